using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;

namespace NpmMirror.Testing;

/// <content>How a body leaves: as Kestrel does it, or by hand where a rule wants what Kestrel would not do.</content>
internal sealed partial class FakeExchange
{
    public async Task SendAsync(int status, string? contentType, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        _request.Status = status;
        var response = context.Response;
        response.StatusCode = status;
        if (contentType is not null)
        {
            response.ContentType = contentType;
        }

        AddHeaders();
        var hasBody = !HttpMethods.IsHead(_request.Method) && status is not 304;
        if (hasBody && (_disturbance.CutAfterBytes is not null || _disturbance.Framing == FakeFraming.CloseDelimited))
        {
            await SendByHandAsync(body, cancellationToken);
            return;
        }

        if (_disturbance.Framing == FakeFraming.ContentLength && status is not 304)
        {
            response.ContentLength = body.Length;
        }

        if (hasBody)
        {
            await WriteAsync(response.BodyWriter, body, cancellationToken);
        }
    }

    private async Task SendByHandAsync(ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var connection = context.Features.GetRequiredFeature<FakeConnection>();
        var framing = _disturbance.Framing;
        var response = context.Response;
        var head = new StringBuilder();
        var version = framing == FakeFraming.CloseDelimited ? "1.0" : "1.1";
        head.Append(CultureInfo.InvariantCulture, $"HTTP/{version} {response.StatusCode} {ReasonPhrases.GetReasonPhrase(response.StatusCode)}\r\n");
        foreach (var (name, value) in response.Headers)
        {
            head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        }

        head.Append(framing switch
        {
            FakeFraming.ContentLength => $"Content-Length: {body.Length}\r\n\r\n",
            FakeFraming.Chunked => $"Transfer-Encoding: chunked\r\n\r\n{body.Length:x}\r\n",
            _ => "Connection: close\r\n\r\n",
        });
        await connection.Output.WriteAsync(Encoding.Latin1.GetBytes(head.ToString()), cancellationToken);
        var sent = body[..Math.Min(body.Length, _disturbance.CutAfterBytes ?? body.Length)];
        await WriteAsync(connection.Output, sent, cancellationToken);
        if (framing == FakeFraming.Chunked && sent.Length == body.Length)
        {
            await connection.Output.WriteAsync("\r\n0\r\n\r\n"u8.ToArray(), cancellationToken);
        }

        await connection.EndAsync(_disturbance.ResetsAtCut);
    }

    private async Task WriteAsync(PipeWriter output, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        if (_disturbance.BytesPerSecond is not { } bytesPerSecond)
        {
            await output.WriteAsync(body, cancellationToken);
            return;
        }

        // Twenty pieces a second look smooth to a client and are cheap to time.
        var pieceBytes = Math.Max(1, bytesPerSecond / 20);
        while (!body.IsEmpty)
        {
            var piece = body[..Math.Min(pieceBytes, body.Length)];
            await output.WriteAsync(piece, cancellationToken);
            body = body[piece.Length..];
            await Task.Delay(TimeSpan.FromSeconds((double)piece.Length / bytesPerSecond), registry.Time, cancellationToken);
        }
    }
}
