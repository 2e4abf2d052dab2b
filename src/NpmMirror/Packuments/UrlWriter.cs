using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>
/// Writes the two URLs of a version as this mirror spells them, as JSON strings:
/// <c>{base}/@scope/name/-/name-1.0.0.tgz</c> (a literal slash, so that clients can rebuild it and keep it out of lockfiles) and
/// <c>{base}/-/npm/v1/attestations/@scope%2fname@1.0.0</c> (as npm writes them).
/// </summary>
internal readonly struct UrlWriter
{
    // Clients send these back as they are. A plus sign is itself in a path, and npm does not encode it either.
    private static readonly SearchValues<char> PathChars = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+");

    private readonly byte[] _tarballStart;
    private readonly byte[] _attestationsStart;

    public UrlWriter(string baseUrl, PackageName name)
    {
        // The quote, the base as JSON spells it, a slash.
        var start = $"\"{JsonEncodedText.Encode(baseUrl, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).Value}/";
        _tarballStart = Encoding.UTF8.GetBytes($"{start}{name.UrlPath}/-/{Uri.EscapeDataString(name.BareName)}-");
        _attestationsStart = Encoding.UTF8.GetBytes($"{start}-/npm/v1/attestations/{name.UrlSegment}@");
    }

    public void WriteTarballUrl(string version, IBufferWriter<byte> output)
    {
        output.Write(_tarballStart);
        WriteVersion(version, output);
        output.Write(".tgz\""u8);
    }

    public void WriteAttestationsUrl(string version, IBufferWriter<byte> output)
    {
        output.Write(_attestationsStart);
        WriteVersion(version, output);
        output.Write("\""u8);
    }

    private static void WriteVersion(string version, IBufferWriter<byte> output)
    {
        var escaped = version.AsSpan().ContainsAnyExcept(PathChars)
            ? Uri.EscapeDataString(version).Replace("%2B", "+", StringComparison.Ordinal)
            : version;
        Encoding.ASCII.GetBytes(escaped, output);
    }
}
