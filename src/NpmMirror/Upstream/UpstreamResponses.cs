namespace NpmMirror.Upstream;

/// <summary>The validators of an earlier answer, sent back to ask whether it still holds.</summary>
internal readonly record struct Validators(string? ETag, string? LastModified)
{
    /// <summary>True when there is nothing to ask with.</summary>
    public bool IsEmpty => ETag is null && LastModified is null;
}

/// <summary>How the upstream answered a request for a packument: a closed family. Trouble is a <see cref="MirrorException"/> instead.</summary>
internal abstract record PackumentAnswer
{
    private PackumentAnswer()
    {
    }

    /// <summary>200: the document. The caller disposes of it.</summary>
    public sealed record Fetched(RawDocument Document, Validators Validators) : PackumentAnswer;

    /// <summary>304: the document of the validators is still valid.</summary>
    public sealed record NotModified : PackumentAnswer;

    /// <summary>404, 410 or 451: the upstream says there is none.</summary>
    /// <param name="Status">The status code.</param>
    /// <param name="Reason">The text of the body's <c>error</c>, shortened; or null.</param>
    /// <param name="Notice">Another npm-mirror's notice of a removal; null at any other upstream.</param>
    public sealed record Absent(int Status, string? Reason, RemovalNotice? Notice = null) : PackumentAnswer;
}

/// <summary>How the upstream answered a request for a tarball.</summary>
internal abstract record TarballAnswer
{
    private TarballAnswer()
    {
    }

    /// <summary>200: the body, as it comes. The caller disposes of it.</summary>
    public sealed record Opened(Stream Body, long? LengthBytes, IDisposable Response) : TarballAnswer;

    /// <summary>404, 410 or 451.</summary>
    public sealed record Absent(int Status, string? Reason) : TarballAnswer;
}
