using Microsoft.Extensions.Primitives;

namespace BareKestrel;

/// <summary>One answer, ready to be written; one without a coding (a tarball) is read from its file for each request.</summary>
internal sealed record Prepared(byte[] Body, string? File, StringValues ContentType, StringValues ContentEncoding, StringValues ETag)
{
    /// <summary>The words of a command line that describe one answer.</summary>
    public const int Words = 5;

    private const string NoCoding = "-";

    /// <summary>Reads what is described: path, file, content type, content coding, ETag.</summary>
    public static Prepared Read(string[] words)
    {
        var body = System.IO.File.ReadAllBytes(words[1]);
        return words[3] == NoCoding ? new(body, words[1], words[2], default, words[4]) : new(body, null, words[2], words[3], words[4]);
    }
}
