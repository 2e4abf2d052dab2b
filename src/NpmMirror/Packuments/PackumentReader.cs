namespace NpmMirror.Packuments;

/// <summary>What one pass over a packument's bytes finds.</summary>
/// <param name="Index">The slim index.</param>
/// <param name="Keywords">The top-level <c>keywords</c> that are strings.</param>
/// <param name="MaintainerNames">The names in the top-level <c>maintainers</c>.</param>
/// <param name="License">The top-level <c>license</c> as one text, or null.</param>
public sealed record ParsedPackument(PackumentIndex Index, IReadOnlyList<string> Keywords, IReadOnlyList<string> MaintainerNames, string? License);

/// <summary>Reads a packument's raw bytes in one pass of a UTF-8 reader; accepts what JavaScript's <c>JSON.parse</c> accepts, and a BOM.</summary>
public static class PackumentReader
{
    /// <summary>Reads the document.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.UpstreamMalformed"/>: not JSON, not an object, too deep, or of another package.</exception>
    public static ParsedPackument Read(ReadOnlySpan<byte> document, PackageName expected) => throw new NotImplementedException();
}
