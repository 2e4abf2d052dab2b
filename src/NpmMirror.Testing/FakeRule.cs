using System.IO.Enumeration;

namespace NpmMirror.Testing;

/// <summary>How the end of a body is told to the client.</summary>
public enum FakeFraming
{
    /// <summary>By <c>Content-Length</c>.</summary>
    ContentLength,

    /// <summary>By chunks.</summary>
    Chunked,

    /// <summary>By closing the connection, as HTTP/1.0 servers do.</summary>
    CloseDelimited,
}

/// <summary>
/// A fault, or another behaviour, for some requests. Several rules may match one request: the values of a later one win.
/// Members that are not set leave the answer as it is.
/// </summary>
public sealed class FakeRule
{
    private int _hits;

    /// <summary>The paths it is for, percent-decoded, with <c>*</c> and <c>?</c> as wildcards: <c>/ms</c>, <c>/@types/*</c>, <c>*.tgz</c>.</summary>
    public string Path { get; init; } = "*";

    /// <summary>The method it is for, or null for all.</summary>
    public string? Method { get; init; }

    /// <summary>How many requests it is for; the later ones are answered well.</summary>
    public int TimesMax { get; init; } = int.MaxValue;

    /// <summary>How long the headers of the answer are late.</summary>
    public TimeSpan? HeaderDelay { get; init; }

    /// <summary>Holds answers until it is opened.</summary>
    public FakeGate? Gate { get; init; }

    /// <summary>True: nothing is ever answered, the connection stays open.</summary>
    public bool Hangs { get; init; }

    /// <summary>The status to answer with instead. The body is <see cref="Body"/>.</summary>
    public int? Status { get; init; }

    /// <summary>The body that goes with <see cref="Status"/>.</summary>
    public string Body { get; init; } = "<html><body><h1>Too bad</h1></body></html>";

    /// <summary>The media type of <see cref="Body"/>.</summary>
    public string ContentType { get; init; } = "text/html; charset=utf-8";

    /// <summary>The value of <c>Retry-After</c>.</summary>
    public string? RetryAfter { get; init; }

    /// <summary>Answers 302 to this address.</summary>
    public string? RedirectTo { get; init; }

    /// <summary>Further headers of the answer.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>How fast the body comes.</summary>
    public int? BytesPerSecond { get; init; }

    /// <summary>The connection ends after so many bytes of the body, even if the headers promised more.</summary>
    public int? CutAfterBytes { get; init; }

    /// <summary>With <see cref="CutAfterBytes"/>: the end is a reset rather than a FIN.</summary>
    public bool ResetsAtCut { get; init; }

    /// <summary>The gzip body is cut in half, with a Content-Length that fits the half. Bodies that are not compressed (the client did not accept it, a live feed) are not cut.</summary>
    public bool TruncatesGzip { get; init; }

    /// <summary>One byte in the middle of the body is another one; the length is right. Of a live feed it is one in the first rows.</summary>
    public bool CorruptsBody { get; init; }

    /// <summary>How the end of the body is told.</summary>
    public FakeFraming? Framing { get; init; }

    /// <summary>How many requests it has applied to.</summary>
    public int HitCount => Math.Min(Volatile.Read(ref _hits), TimesMax);

    internal bool Applies(string method, string path) =>
        (Method is null || string.Equals(Method, method, StringComparison.OrdinalIgnoreCase))
        && FileSystemName.MatchesSimpleExpression(Path, path, ignoreCase: false)
        && Interlocked.Increment(ref _hits) <= TimesMax;
}
