using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace NpmMirror.Testing;

/// <summary>
/// The body of one answer on its way, whole or piece by piece: rules about bodies are applied only here. Kestrel sends it, or it is sent by
/// hand if a rule wants something that Kestrel would not do.
/// </summary>
/// <param name="response">The answer, its status and headers set.</param>
/// <param name="connection">The connection below it.</param>
/// <param name="disturbance">The rules.</param>
/// <param name="lengthBytes">The length of the body; null if it is not known.</param>
/// <param name="usual">How its end is told unless a rule says otherwise.</param>
/// <param name="time">The clock of slow bodies.</param>
internal sealed class FakeBodyWriter(HttpResponse response, FakeConnection connection, FakeDisturbance disturbance, int? lengthBytes, FakeFraming usual, TimeProvider time)
{
    // In an endless body a shorter piece is a heartbeat or an opening bracket: the first rows are damaged.
    private const int DamagedLeastBytes = 32;

    private readonly FakeFraming _framing = (disturbance.Framing ?? usual) is var wanted && wanted == FakeFraming.ContentLength && lengthBytes is null ? FakeFraming.Chunked : wanted;
    private int? _damagedAt = disturbance.CorruptsBody ? lengthBytes / 2 : null;
    private bool _isBegun;
    private int _writtenBytes;

    /// <summary>True if a rule has ended the answer: later writes are dropped.</summary>
    public bool IsCut { get; private set; }

    private bool IsByHand => (disturbance.CutAfterBytes is not null || _framing == FakeFraming.CloseDelimited) && !HttpMethods.IsHead(response.HttpContext.Request.Method);

    /// <summary>Writes the next piece, or all of the body, and flushes it.</summary>
    public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await BeginAsync(cancellationToken);
        if (IsCut)
        {
            return;
        }

        bytes = Damage(bytes);
        var left = (disturbance.CutAfterBytes ?? int.MaxValue) - _writtenBytes;
        _writtenBytes += bytes.Length;
        if (!IsByHand)
        {
            await PaceAsync(response.BodyWriter, bytes, cancellationToken);
            return;
        }

        if (_framing == FakeFraming.Chunked && !bytes.IsEmpty)
        {
            await WriteTextAsync($"{bytes.Length:x}\r\n", cancellationToken);
        }

        await PaceAsync(connection.Output, bytes[..Math.Min(bytes.Length, left)], cancellationToken);
        if (bytes.Length > left || (bytes.Length == left && _writtenBytes != lengthBytes))
        {
            IsCut = true;
            await connection.EndAsync(disturbance.ResetsAtCut);
        }
        else if (_framing == FakeFraming.Chunked && !bytes.IsEmpty)
        {
            await WriteTextAsync("\r\n", cancellationToken);
        }
    }

    /// <summary>Ends the body.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        await BeginAsync(cancellationToken);
        if (!IsByHand || IsCut)
        {
            return;
        }

        if (_framing == FakeFraming.Chunked)
        {
            await WriteTextAsync("0\r\n\r\n", cancellationToken);
        }

        await connection.EndAsync(disturbance.ResetsAtCut);
    }

    /// <summary>Sends the head.</summary>
    public async Task BeginAsync(CancellationToken cancellationToken)
    {
        if (_isBegun)
        {
            return;
        }

        _isBegun = true;
        if (IsByHand)
        {
            await WriteTextAsync(Head(), cancellationToken);
            return;
        }

        response.ContentLength = _framing == FakeFraming.ContentLength ? lengthBytes : null;
        if (lengthBytes is null)
        {
            await response.BodyWriter.FlushAsync(cancellationToken);
        }
    }

    private string Head()
    {
        var head = new StringBuilder();
        var version = _framing == FakeFraming.CloseDelimited ? "1.0" : "1.1";
        head.Append(CultureInfo.InvariantCulture, $"HTTP/{version} {response.StatusCode} {ReasonPhrases.GetReasonPhrase(response.StatusCode)}\r\n");
        foreach (var (name, value) in response.Headers)
        {
            head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        }

        return head.Append(_framing switch
        {
            FakeFraming.ContentLength => string.Create(CultureInfo.InvariantCulture, $"Content-Length: {lengthBytes}\r\n\r\n"),
            FakeFraming.Chunked => "Transfer-Encoding: chunked\r\n\r\n",
            _ => "Connection: close\r\n\r\n",
        }).ToString();
    }

    private ReadOnlyMemory<byte> Damage(ReadOnlyMemory<byte> bytes)
    {
        if (disturbance.CorruptsBody && lengthBytes is null && _damagedAt is null && bytes.Length >= DamagedLeastBytes)
        {
            _damagedAt = _writtenBytes + (bytes.Length / 2);
        }

        if (_damagedAt - _writtenBytes is not { } at || at < 0 || at >= bytes.Length)
        {
            return bytes;
        }

        var damaged = bytes.ToArray();
        damaged[at] ^= 0x55;
        return damaged;
    }

    private async Task PaceAsync(PipeWriter output, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (disturbance.BytesPerSecond is not { } bytesPerSecond)
        {
            await output.WriteAsync(bytes, cancellationToken);
            return;
        }

        // Twenty pieces a second look smooth to a client and are cheap to time.
        var pieceBytes = Math.Max(1, bytesPerSecond / 20);
        while (!bytes.IsEmpty)
        {
            var piece = bytes[..Math.Min(pieceBytes, bytes.Length)];
            await output.WriteAsync(piece, cancellationToken);
            bytes = bytes[piece.Length..];
            await Task.Delay(TimeSpan.FromSeconds((double)piece.Length / bytesPerSecond), time, cancellationToken);
        }
    }

    private async Task WriteTextAsync(string text, CancellationToken cancellationToken) => await connection.Output.WriteAsync(Encoding.Latin1.GetBytes(text), cancellationToken);
}
