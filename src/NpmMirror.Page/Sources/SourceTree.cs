using System.Text;

namespace NpmMirror.Page.Sources;

/// <summary>A file of a tarball.</summary>
/// <param name="Path">Its path, without the folder that all files of a tarball are in. A stranger's text.</param>
/// <param name="SizeBytes">Its length.</param>
/// <param name="Sha256">The hash of its bytes.</param>
/// <param name="Text">Its text; null if it is none, or was not kept.</param>
/// <param name="IsBinary">Whether it is no text.</param>
internal sealed record SourceFile(string Path, long SizeBytes, Digest Sha256, string? Text, bool IsBinary);

/// <summary>The files of a tarball.</summary>
/// <param name="Files">The files by path; of equal paths the last one, as npm unpacks them.</param>
/// <param name="Problem">Why there may be more of them; null if these are all.</param>
internal sealed record SourceTree(IReadOnlyDictionary<string, SourceFile> Files, string? Problem)
{
    /// <summary>Text, or null for bytes that are none.</summary>
    internal static string? TextOf(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Contains((byte)0))
        {
            return null;
        }

        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
}
