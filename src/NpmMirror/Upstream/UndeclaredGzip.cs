namespace NpmMirror.Upstream;

/// <summary>
/// A body that should be JSON, without the gzip that some registries put around it and do not declare: no JSON begins with gzip's first two bytes.
/// </summary>
/// <param name="inner">The body, which this one owns.</param>
/// <param name="url">Where it comes from.</param>
internal sealed class UndeclaredGzip(Stream inner, Uri url) : ForwardStream
{
    private Stream? _plain;

    private static ReadOnlySpan<byte> GzipBegin => [0x1f, 0x8b];

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _plain ??= await OpenAsync(cancellationToken);
        try
        {
            return await _plain.ReadAsync(buffer, cancellationToken);
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException)
        {
            throw UpstreamFailures.BrokenOff(url, exception);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            (_plain ?? inner).Dispose();
        }

        base.Dispose(disposing);
    }

    private async ValueTask<Stream> OpenAsync(CancellationToken cancellationToken)
    {
        var head = new byte[GzipBegin.Length];
        var length = await inner.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, cancellationToken);
        var whole = new HeadStream(head.AsMemory(0, length), inner);
        return head.AsSpan(0, length).SequenceEqual(GzipBegin) ? new DecodedStream(whole, BodyCoding.Gzip) : whole;
    }
}
