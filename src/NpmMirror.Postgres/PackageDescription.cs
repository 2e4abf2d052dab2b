using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Postgres;

/// <summary>What the columns and child rows of a package were before a write.</summary>
/// <param name="Id">The package's number.</param>
/// <param name="Generation">Its generation; 0 where it has no row.</param>
/// <param name="Described">The generation they are of, see <see cref="QueryTables"/>.</param>
/// <param name="HasManifests">Whether each version has its manifest.</param>
/// <param name="Index">The index that they were written from, where they are its own.</param>
internal readonly record struct DescribedBefore(long Id, long Generation, long Described, bool HasManifests, byte[]? Index)
{
    /// <summary>Whether the child rows are of the row's own generation.</summary>
    internal bool IsCurrent => Generation > 0 && Described == Generation;

    /// <summary>Whether there are no child rows for sure.</summary>
    internal bool IsEmpty => Described == 0 || Described == -Generation;
}

/// <summary>What is kept for people's queries.</summary>
/// <param name="IsOn">Whether anything is.</param>
/// <param name="WithManifests">Whether each version's small manifest is, as <c>jsonb</c>.</param>
internal readonly record struct QueryOptions(bool IsOn, bool WithManifests);

/// <summary>The columns of a package for people's queries, and its child rows, brought up to what a write says.</summary>
/// <param name="Described">For the column of that name.</param>
/// <param name="HasManifests">For the column of that name.</param>
/// <param name="IsWhole">Whether description and license are told; else they stay.</param>
/// <param name="Description">For the column of that name.</param>
/// <param name="License">For the column of that name.</param>
internal sealed record PackageDescription(long Described, bool HasManifests, bool IsWhole = true, string? Description = null, string? License = null)
{
    // An entry of a B-tree has 2,704 bytes at most; a word here has up to three bytes a character.
    private const int NameMaxChars = 256;
    private const int LicenseMaxChars = 512;
    private const int NamesMax = 50_000;
    private static readonly WordKind[] AlwaysWhole = [WordKind.Keyword, WordKind.Maintainer, WordKind.DistTag];
    private static readonly JsonWriterOptions Written = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Adds the rows of a package to those that are sent; tells its columns.</summary>
    /// <param name="rows">Where they go.</param>
    /// <param name="name">The package.</param>
    /// <param name="before">What is there.</param>
    /// <param name="generation">The generation that is written.</param>
    /// <param name="isRemoved">Whether it is in the graveyard then.</param>
    /// <param name="document">Its document; null if that stays.</param>
    /// <param name="index">The document's index.</param>
    /// <param name="options">What is written at all.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal static async ValueTask<PackageDescription> WriteAsync(
        QueryRows rows, PackageName name, DescribedBefore before, long generation, bool isRemoved, StoredDocument? document, ReadOnlyMemory<byte> index, QueryOptions options, CancellationToken cancellationToken)
    {
        if (!options.IsOn)
        {
            return Empty(rows, before, 0);
        }

        if (!isRemoved && document is null)
        {
            // Of a package that comes back without a new document they are written in the background.
            return before.IsCurrent ? new PackageDescription(generation, before.HasManifests, IsWhole: false) : new PackageDescription(before.IsEmpty ? 0 : before.Described, false, IsWhole: false);
        }

        PackumentIndex? read = null;
        var raw = isRemoved ? null : Decode(document!, name);
        var columns = raw is { } bytes ? PackumentColumns.TryRead(name, index.Span, bytes.Span, out read) : null;
        if (columns is null)
        {
            return Empty(rows, before, -generation);
        }

        var held = before.IsCurrent && before.Index is { } stored && (before.HasManifests || !options.WithManifests) ? PackumentIndex.TryFromBytes(stored, name) : null;
        if (held is null && !before.IsEmpty)
        {
            rows.Empty(before.Id);
        }

        var (names, isShrunk) = await WriteVersionsAsync(rows, before.Id, held, read!, raw!.Value, options.WithManifests, cancellationToken);
        IEnumerable<(WordKind Kind, string Word, string Value)> words =
        [
            .. columns.Keywords.Select(word => (WordKind.Keyword, word, "")),
            .. columns.Maintainers.Select(word => (WordKind.Maintainer, word, "")),
            .. columns.DistTags.Select(tag => (WordKind.DistTag, tag.Tag, tag.Version)),
            .. names.Select(word => (WordKind.Dependency, word, "")),
        ];
        rows.Add(before.Id, words, held is null ? [] : isShrunk ? [.. AlwaysWhole, WordKind.Dependency] : AlwaysWhole);
        return new PackageDescription(generation, options.WithManifests, IsWhole: true, columns.Description, Cut(columns.License));
    }

    private static PackageDescription Empty(QueryRows rows, DescribedBefore before, long described)
    {
        if (!before.IsEmpty)
        {
            rows.Empty(before.Id);
        }

        return new PackageDescription(described, HasManifests: false);
    }

    /// <summary>Writes the versions that changed. Returns the names of dependencies: of all versions where one is gone or another, else of those that came.</summary>
    private static async ValueTask<(HashSet<string> Names, bool IsShrunk)> WriteVersionsAsync(
        QueryRows rows, long id, PackumentIndex? held, PackumentIndex index, ReadOnlyMemory<byte> raw, bool withManifests, CancellationToken cancellationToken)
    {
        var (changed, same, isShrunk) = (new List<VersionEntry>(), new List<VersionEntry>(), false);
        foreach (var entry in index.Versions.Where(entry => entry.Version.Length <= NameMaxChars))
        {
            var old = held?.Find(entry.Version);
            (old is { } known && (known.Hash, known.PublishedAt) == (entry.Hash, entry.PublishedAt) ? same : changed).Add(entry);
        }

        foreach (var gone in held?.Versions ?? [])
        {
            if (gone.Version.Length <= NameMaxChars && (index.Find(gone.Version) is not { } now || (now.Hash, now.PublishedAt) != (gone.Hash, gone.PublishedAt)))
            {
                rows.Drop(id, gone.Version);
                isShrunk = true;
            }
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in changed)
        {
            if (TryRead(entry, raw.Span) is { } version)
            {
                Note(names, version);
                var manifest = withManifests ? Encoding.UTF8.GetString(VersionColumns.ReadSmallManifest(entry, raw.Span)) : null;
                await rows.AddAsync(new VersionValues(id, version.Version, version.PublishedAt, Cut(version.License), version.Deprecated, Json(version.Dependencies), manifest), cancellationToken);
            }
        }

        foreach (var version in isShrunk ? same.Select(entry => TryRead(entry, raw.Span)) : [])
        {
            Note(names, version);
        }

        return (names, isShrunk);
    }

    private static void Note(HashSet<string> names, VersionColumns? version)
    {
        foreach (var dependency in version?.Dependencies ?? [])
        {
            if (names.Count < NamesMax)
            {
                names.Add(dependency.Name);
            }
        }
    }

    private static VersionColumns? TryRead(VersionEntry entry, ReadOnlySpan<byte> raw)
    {
        try
        {
            return VersionColumns.Read(entry, raw);
        }
        catch (MirrorException e) when (e.Fault == MirrorFault.StoreDamaged)
        {
            return null;
        }
    }

    private static ReadOnlyMemory<byte>? Decode(StoredDocument document, PackageName name)
    {
        try
        {
            return document.Codec == DocumentCodec.Purged ? null : document.As(DocumentCodec.Identity, name).Bytes;
        }
        catch (MirrorException e) when (e.Fault is MirrorFault.StoreDamaged or MirrorFault.StoreUnavailable)
        {
            return null;
        }
    }

    private static string? Json(IReadOnlyList<DependencyColumns> dependencies)
    {
        if (dependencies.Count == 0)
        {
            return null;
        }

        var output = new System.Buffers.ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(output, Written))
        {
            writer.WriteStartObject();
            foreach (var dependency in dependencies)
            {
                writer.WriteString(PostgresValues.Stored(dependency.Name)!, PostgresValues.Stored(dependency.Range));
            }

            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static string? Cut(string? license) => license is { Length: > LicenseMaxChars } ? license[..LicenseMaxChars] : license;
}
