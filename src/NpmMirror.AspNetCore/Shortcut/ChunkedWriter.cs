using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;

namespace NpmMirror.AspNetCore.Shortcut;

/// <summary>
/// The body of an answer of unknown length, written to the socket itself: each flush is a chunk, and is with the kernel when it ends, so
/// that no later write can overtake it. Between flushes nothing is held.
/// </summary>
internal sealed class ChunkedWriter(Socket socket) : PipeWriter
{
    // "ffffffff\r\n" in front of a chunk's bytes.
    private const int PrefixBytes = 10;
    private const int BufferBytes = 4096;

    private byte[]? _buffer;
    private int _begin;
    private int _end = PrefixBytes;

    /// <inheritdoc/>
    public override bool CanGetUnflushedBytes => true;

    /// <inheritdoc/>
    public override long UnflushedBytes => _end - _begin - PrefixBytes;

    /// <summary>The head goes along with the first chunk.</summary>
    internal void Begin(ReadOnlySpan<byte> date, ReadOnlySpan<byte> lines)
    {
        var head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n"u8;
        _buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        head.CopyTo(_buffer);
        lines.CopyTo(_buffer.AsSpan(head.Length));
        date.CopyTo(_buffer.AsSpan(head.Length + lines.Length));
        _begin = head.Length + lines.Length + date.Length;
        _end = _begin + PrefixBytes;
    }

    /// <summary>Sends the rest, and the end.</summary>
    internal async Task EndAsync()
    {
        await FlushAsync(CancellationToken.None);
        try
        {
            await socket.SendAsync("0\r\n\r\n"u8.ToArray());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client left.
        }
    }

    /// <inheritdoc/>
    public override async ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (_buffer is not { } buffer)
        {
            return default;
        }

        var sent = Frame(buffer);
        (_buffer, _begin, _end) = (null, 0, PrefixBytes);
        try
        {
            await socket.SendAsync(sent, SocketFlags.None, CancellationToken.None);
            return default;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return new FlushResult(isCanceled: false, isCompleted: true);
        }
        finally
        {
            // Not before the kernel has released it.
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <inheritdoc/>
    public override void Advance(int bytes) => _end += bytes;

    /// <inheritdoc/>
    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        // Two bytes stay free for the end of the chunk.
        var needed = _end + Math.Max(sizeHint, 1) + 2;
        if (_buffer is null || needed > _buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(BufferBytes, Math.Max(needed, 2 * (_buffer?.Length ?? 0))));
            if (_buffer is not null)
            {
                _buffer.AsSpan(0, _end).CopyTo(larger);
                ArrayPool<byte>.Shared.Return(_buffer);
            }

            _buffer = larger;
        }

        return _buffer.AsMemory(_end, _buffer.Length - _end - 2);
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <inheritdoc/>
    public override void CancelPendingFlush()
    {
        // Sends are ended by aborting the connection.
    }

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null)
    {
        if (_buffer is { } buffer)
        {
            _buffer = null;
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Head, length, bytes, line end; only the head if there are no bytes, since an empty chunk is the last.</summary>
    private ReadOnlyMemory<byte> Frame(byte[] buffer)
    {
        var dataAt = _begin + PrefixBytes;
        var length = _end - dataAt;
        if (length == 0)
        {
            return buffer.AsMemory(0, _begin);
        }

        Encoding.ASCII.GetBytes(length.ToString("x8", CultureInfo.InvariantCulture) + "\r\n", buffer.AsSpan(_begin));
        buffer[_end] = (byte)'\r';
        buffer[_end + 1] = (byte)'\n';
        return buffer.AsMemory(0, _end + 2);
    }
}
