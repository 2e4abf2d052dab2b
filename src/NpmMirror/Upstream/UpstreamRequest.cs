namespace NpmMirror.Upstream;

/// <summary>One request to the upstream, or to where it redirects.</summary>
internal sealed record UpstreamRequest(HttpMethod Method, Uri Url)
{
    internal RequestPurpose Purpose { get; init; } = RequestPurpose.Fetching;

    /// <summary>The kind of document, for the metrics.</summary>
    internal string Kind { get; init; } = "packument";

    internal HttpContent? Content { get; init; }

    /// <summary>Whether it can be sent a second time: no request here changes anything, but a body that is a stream is read once.</summary>
    internal bool IsRepeatable => Content is null or ByteArrayContent or ReadOnlyMemoryContent;

    internal string Accept { get; init; } = "*/*";

    /// <summary>Asks for a compressed answer; the body is then to be opened decoded.</summary>
    internal bool IsCompressed { get; init; } = true;

    internal Validators Validators { get; init; }

    /// <summary>Null: the client's own time-out.</summary>
    internal TimeSpan? HeadersTimeout { get; init; }

    /// <summary>No client waits for it, and it has waited for its turn.</summary>
    internal bool IsPatient { get; init; }

    /// <summary>The address was derived from the upstream's, and no stranger chose it: it leads to no neighbour, and to no other place.</summary>
    internal bool IsDerived { get; init; }

    /// <summary>The address came out of a packument: fenced in.</summary>
    internal bool IsTarball { get; init; }
}

/// <summary>An answer whose body was not read yet, and the address that gave it.</summary>
internal sealed record UpstreamResponse(HttpResponseMessage Message, Uri Url) : IDisposable
{
    internal bool IsAbsent => (int)Message.StatusCode is 404 or 410 or 451;

    /// <inheritdoc/>
    public void Dispose() => Message.Dispose();
}
