using System.IO.Compression;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace NpmMirror.Testing;

/// <content>How an answer leaves.</content>
internal sealed partial class FakeExchange
{
    // As servers do: compressing a shorter body saves nothing.
    private const int CompressedLeastBytes = 1024;

    public Task SendAsync(int status, string? contentType, ReadOnlyMemory<byte> body, CancellationToken cancellationToken) =>
        SendAsync(status, contentType, body, FakeFraming.ContentLength, cancellationToken);

    private async Task SendAsync(int status, string? contentType, ReadOnlyMemory<byte> body, FakeFraming framing, CancellationToken cancellationToken)
    {
        var writer = Begin(status, contentType, body.Length, framing);
        if (status is 304)
        {
            return;
        }

        if (HttpMethods.IsHead(_request.Method))
        {
            context.Response.ContentLength = body.Length;
            return;
        }

        await writer.WriteAsync(body, cancellationToken);
        await writer.EndAsync(cancellationToken);
    }

    /// <summary>Sends JSON, compressed if the client accepts it.</summary>
    public Task SendJsonAsync(int status, byte[] json, FakeFraming framing, CancellationToken cancellationToken)
    {
        if (!registry.Knobs.HasGzip || !AcceptsGzip || (json.Length < CompressedLeastBytes && !_disturbance.TruncatesGzip))
        {
            return SendAsync(status, FakeBody.FullType, json, framing, cancellationToken);
        }

        context.Response.Headers.ContentEncoding = "gzip";
        return SendAsync(status, FakeBody.FullType, Truncated(FakeBody.Compress(json, CompressionLevel.Fastest)), framing, cancellationToken);
    }

    /// <summary>Begins an answer whose body its caller writes: that of a feed, whose end is told by chunks unless a rule says otherwise.</summary>
    public FakeBodyWriter Begin(int status, string? contentType, int? lengthBytes = null, FakeFraming usual = FakeFraming.Chunked)
    {
        _request.Status = status;
        context.Response.StatusCode = status;
        if (contentType is not null)
        {
            context.Response.ContentType = contentType;
        }

        AddHeaders();
        return new FakeBodyWriter(context.Response, context.Features.GetRequiredFeature<FakeConnection>(), _disturbance, lengthBytes, usual, registry.Time);
    }

    private bool AcceptsGzip => _request.Header("Accept-Encoding")?.Contains("gzip", StringComparison.OrdinalIgnoreCase) == true;

    private ReadOnlyMemory<byte> Truncated(byte[] gzip) => _disturbance.TruncatesGzip ? gzip.AsMemory(0, gzip.Length / 2) : gzip;
}
