namespace NpmMirror.Testing;

/// <summary>A request as it arrived.</summary>
/// <param name="Method">The method.</param>
/// <param name="Target">The raw target, query included, as sent.</param>
/// <param name="Path">The path, percent-decoded.</param>
/// <param name="Headers">The headers; several values of one name are joined by commas.</param>
/// <param name="Body">The body, decompressed; empty for most.</param>
public sealed record RecordedRequest(string Method, string Target, string Path, IReadOnlyDictionary<string, string> Headers, ReadOnlyMemory<byte> Body)
{
    private int _status;

    /// <summary>The status it was answered with, or 0 while it was not.</summary>
    public int Status
    {
        get => Volatile.Read(ref _status);
        internal set => Volatile.Write(ref _status, value);
    }

    /// <summary>The value of a header, or null.</summary>
    public string? Header(string name) => Headers.TryGetValue(name, out var value) ? value : null;
}
