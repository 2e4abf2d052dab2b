using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>The result of one pass over a packument's bytes.</summary>
/// <param name="Index">The slim index.</param>
public sealed record ParsedPackument(PackumentIndex Index)
{
    /// <summary>Whether it names its package.</summary>
    public required bool IsNamed { get; init; }

    /// <summary><c>modified</c> or <c>time.modified</c>; null if the document has neither.</summary>
    public DateTimeOffset? StatedModifiedAt { get; init; }
}

/// <summary>
/// Reads a packument's raw bytes in one pass of a UTF-8 reader; accepts what JavaScript's <c>JSON.parse</c> accepts (the last of equal
/// keys counts), and a BOM, nested up to 1,000 levels. It ignores unknown parts: a version whose manifest is no object
/// is not in the index, and a member of an unexpected type counts as missing.
/// </summary>
public static class PackumentReader
{
    /// <summary>Reads the document.</summary>
    /// <param name="document">The raw bytes.</param>
    /// <param name="expected">The package that was asked for.</param>
    /// <param name="isAnyCase">Whether the document's own name may differ in upper and lower case.</param>
    /// <param name="hashSeed">The <see cref="PackumentIndex.HashSeed"/> of the index to compare with; 0: a new one is drawn.</param>
    /// <exception cref="MirrorException"><see cref="MirrorFault.UpstreamMalformed"/>: not JSON, not an object, too deep, or of another package.</exception>
    public static ParsedPackument Read(ReadOnlySpan<byte> document, PackageName expected, bool isAnyCase = false, ulong hashSeed = 0)
    {
        var pass = new PackumentPass(document, hashSeed == 0 ? DrawSeed() : hashSeed);
        try
        {
            pass.Run();
        }
        catch (JsonException e)
        {
            throw new MirrorException(
                MirrorFault.UpstreamMalformed,
                $"The upstream's packument of {expected} is not JSON, or nests deeper than {JsonText.DepthMax:N0} levels (line {e.LineNumber + 1}, byte {e.BytePositionInLine} of {document.Length:N0} bytes); kept what is stored.",
                inner: e);
        }

        if (!pass.IsObject)
        {
            throw new MirrorException(MirrorFault.UpstreamMalformed, $"The upstream's packument of {expected} is JSON, but no object; kept what is stored.");
        }

        // A document without a name is accepted: some registries leave it out. One of another package never is.
        var name = pass.IsText(pass.Name) ? pass.Name : pass.Id;
        if (pass.IsText(name) && pass.TextOf(name) != expected.Value)
        {
            RefuseAnother(expected, pass.TextOf(name), isAnyCase);
        }

        return new ParsedPackument(pass.ToIndex(expected))
        {
            IsNamed = pass.IsText(name),
            StatedModifiedAt = pass.StatedModifiedAt,
        };
    }

    private static void RefuseAnother(PackageName expected, string? sent, bool isAnyCase)
    {
        var isOtherCase = string.Equals(sent, expected.Value, StringComparison.OrdinalIgnoreCase);
        if (isOtherCase && isAnyCase)
        {
            return;
        }

        var hint = isOtherCase ? "names that differ in case are two packages: ask for it as the upstream spells it, or set anyCase=true" : "kept what is stored";
        throw new MirrorException(MirrorFault.UpstreamMalformed, $"Asked for the packument of {expected}, the upstream sent that of {MirrorException.Quote(sent ?? "a very long name")}; {hint}.");
    }

    /// <summary>Where the JSON begins: after a byte order mark, if there is one.</summary>
    internal static int OriginOf(ReadOnlySpan<byte> document) => document.StartsWith(ByteOrderMark) ? ByteOrderMark.Length : 0;

    private static ulong DrawSeed()
    {
        Span<byte> seed = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(seed);
        return BinaryPrimitives.ReadUInt64LittleEndian(seed) | 1;
    }

    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];
}
