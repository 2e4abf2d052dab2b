using System.Globalization;
using System.Text;
using System.Text.Json;

namespace NpmMirror.Storage;

/// <summary>The revision under which this mirror offers a package to its followers, and the revisions before it.</summary>
internal static class ServedRevision
{
    /// <summary>How many earlier ones are kept: a follower that missed more changes of one package has a conflict, as with a real CouchDB that forgot.</summary>
    private const int AncestorsMax = 20;

    private const int ChainMax = 1_000;
    private const int TextMaxChars = 128;

    /// <summary>The upstream's <c>_rev</c>, else one of our own that changes with every document: <c>&lt;generation&gt;-&lt;32 hex of its SHA-256&gt;</c>.</summary>
    public static string Of(PackageRow row) =>
        row.Facts.Rev ?? string.Create(CultureInfo.InvariantCulture, $"{row.Generation}-{Convert.ToHexStringLower(Head(row.DocumentSha256.Bytes))}");

    // The hash of a damaged row may be missing.
    private static ReadOnlySpan<byte> Head(ReadOnlySpan<byte> hash) => hash[..Math.Min(hash.Length, 16)];

    /// <summary>The revision of a deletion to which the upstream gives none: the next number, so that it wins over the deleted one.</summary>
    public static string? OfDeletion(string? deleted) => deleted is null ? null : string.Create(CultureInfo.InvariantCulture, $"{new Revision(deleted).Number + 1}-{Filler(deleted)}");

    /// <summary><see cref="PackageFacts.Ancestors"/> of the document that replaces a row.</summary>
    /// <param name="row">The row that is replaced; null for a package's first.</param>
    /// <param name="rev">The new document's revision, if it has one.</param>
    public static string? AncestorsAfter(PackageRow? row, string? rev)
    {
        if (row is null || Of(row) is var last && last == rev)
        {
            return row?.Facts.Ancestors;
        }

        var kept = (row.Facts.Ancestors ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(ancestor => ancestor != last && ancestor != rev);
        return string.Join(' ', kept.Prepend(last).Where(ancestor => ancestor.Length <= TextMaxChars && !ancestor.Contains(' ')).Take(AncestorsMax));
    }

    /// <summary>
    /// Writes <c>_revisions</c> as CouchDB does: the hashes of this revision and of those before it, newest first and without a gap. Those that this
    /// mirror never saw are made up, the same ones each time: only so does a follower replace its revision by the new one without a conflict.
    /// </summary>
    public static void WriteChain(Utf8JsonWriter json, PackageRow row)
    {
        var current = Of(row);
        if (Split(current) is not var (number, hash))
        {
            return;
        }

        json.WriteStartObject("_revisions"u8);
        json.WriteNumber("start"u8, number);
        json.WriteStartArray("ids"u8);
        json.WriteStringValue(hash);
        var length = 1;
        foreach (var ancestor in (row.Facts.Ancestors ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            // Of another database, or one that was taken back: no ancestor by its number.
            if (Split(ancestor) is not var (before, beforeHash) || before >= number || (length += (int)Math.Min(number - before, ChainMax)) > ChainMax)
            {
                continue;
            }

            while (--number > before)
            {
                json.WriteStringValue(Filler($"{row.Name.Value} {number}"));
            }

            json.WriteStringValue(beforeHash);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static (long Number, string Hash)? Split(string rev)
    {
        var number = new Revision(rev).Number;
        var dash = rev.IndexOf('-', StringComparison.Ordinal);
        return number > 0 && dash > 0 && dash + 1 < rev.Length ? (number, rev[(dash + 1)..]) : null;
    }

    private static string Filler(string text) => Convert.ToHexStringLower(Digest.OfSha256(Encoding.UTF8.GetBytes(text)).Bytes[..16]);
}
