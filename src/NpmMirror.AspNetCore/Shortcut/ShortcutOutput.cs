using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;
using Microsoft.Win32.SafeHandles;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Connections;

namespace NpmMirror.AspNetCore.Shortcut;

/// <summary>
/// The sending half of a connection: a pipe for the server's writes, and prepared answers, which go to the socket from
/// memory. The two never overtake each other.
/// </summary>
internal sealed class ShortcutOutput : PipeWriter, IConnectionOutput
{
    private const int PipeMaxBytes = 64 * 1024;
    // The cost of a client that is sent a file: 256 clients 16 MB.
    private const int PieceBytes = 64 * 1024;

    private readonly ConnectionContext _connection;
    private readonly Socket _socket;
    private readonly StallLimit _stall;
    private readonly DateLine _date;
    private readonly Pipe _pipe;
    private readonly ClientConnection? _client;
    // Made when the first remembered answer needs them: thousands of connections only wait.
    private byte[]? _head;
    private ArraySegment<byte>[]? _headAndBody;
    private List<ArraySegment<byte>>? _pieces;
    private long _writtenBytes;
    private long _sentBytes;

    internal ShortcutOutput(ConnectionContext connection, Socket socket, MemoryPool<byte>? pool, StallLimit stall, DateLine date)
    {
        (_connection, _socket, _stall, _date) = (connection, socket, stall, date);
        _client = connection.Features.Get<ClientConnection>();
        _client?.WritesThrough(this);
        // The sender never blocks, so it runs on the thread that flushes; a writer that waits for room goes on elsewhere.
        _pipe = new Pipe(new PipeOptions(pool, PipeScheduler.Inline, PipeScheduler.ThreadPool, PipeMaxBytes, PipeMaxBytes / 2, useSynchronizationContext: false));
    }

    /// <summary>True when everything that the server wrote is with the kernel.</summary>
    public bool IsDrained => _writtenBytes == Volatile.Read(ref _sentBytes);

    /// <inheritdoc/>
    public override bool CanGetUnflushedBytes => _pipe.Writer.CanGetUnflushedBytes;

    /// <inheritdoc/>
    public override long UnflushedBytes => _pipe.Writer.UnflushedBytes;

    /// <summary>Sends the server's writes until it completes. Ends without an exception: a client that left shows at the reading side.</summary>
    internal async Task SendWrittenAsync()
    {
        try
        {
            while (true)
            {
                var read = await _pipe.Reader.ReadAsync();
                if (!read.Buffer.IsEmpty)
                {
                    await SendAsync(read.Buffer);
                    Volatile.Write(ref _sentBytes, _sentBytes + read.Buffer.Length);
                }

                _pipe.Reader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted && read.Buffer.IsEmpty)
                {
                    return;
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client left: the server's next flush says so.
        }
        finally
        {
            await _pipe.Reader.CompleteAsync();
        }
    }

    /// <summary>Sends a prepared answer. Only while <see cref="IsDrained"/>, and one at a time.</summary>
    internal async ValueTask SendAsync(RememberedAnswer answer, AnswerBody body)
    {
        _client?.Begin();
        try
        {
            using (body.File)
            {
                await (body.File is { } file ? SendFileAsync(answer, body, file) : SendBytesAsync(answer, body));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException)
        {
            // Half an answer is on its way: nothing may follow it.
            _connection.Abort(new ConnectionAbortedException("The client left, or a file cannot be read.", e));
        }
        finally
        {
            _client?.End();
        }
    }

    private async ValueTask SendBytesAsync(RememberedAnswer answer, AnswerBody answered)
    {
        _head ??= new byte[RememberedAnswer.HeadMaxBytes];
        var head = new ArraySegment<byte>(_head, 0, answer.WriteHead(_head, answered, _date.Now()));
        if (answered.Bytes is not { } body)
        {
            await WithinAsync(_socket.SendAsync(head.AsMemory(), SocketFlags.None));
            return;
        }

        var first = new ArraySegment<byte>(body, 0, Math.Min(PieceBytes, body.Length));
        _headAndBody ??= new ArraySegment<byte>[2];
        (_headAndBody[0], _headAndBody[1]) = (head, first);
        await WithinAsync(new ValueTask<int>(_socket.SendAsync(_headAndBody, SocketFlags.None)));
        for (var at = first.Count; at < body.Length; at += PieceBytes)
        {
            await WithinAsync(_socket.SendAsync(body.AsMemory(at, Math.Min(PieceBytes, body.Length - at)), SocketFlags.None));
        }

        _headAndBody[1] = default;
    }

    private async ValueTask SendFileAsync(RememberedAnswer answer, AnswerBody body, SafeFileHandle file)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            var filled = answer.WriteHead(buffer, body, _date.Now());
            for (long at = 0; at < body.LengthBytes;)
            {
                var read = RandomAccess.Read(file, buffer.AsSpan(filled, (int)Math.Min(PieceBytes - filled, body.LengthBytes - at)), at);
                if (read == 0)
                {
                    throw new IOException("The file became shorter while it was sent.");
                }

                at += read;
                await WithinAsync(_socket.SendAsync(buffer.AsMemory(0, filled + read), SocketFlags.None));
                filled = 0;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <inheritdoc/>
    public override void Advance(int bytes)
    {
        _writtenBytes += bytes;
        _pipe.Writer.Advance(bytes);
    }

    /// <inheritdoc/>
    public override Memory<byte> GetMemory(int sizeHint = 0) => _pipe.Writer.GetMemory(sizeHint);

    /// <inheritdoc/>
    public override Span<byte> GetSpan(int sizeHint = 0) => _pipe.Writer.GetSpan(sizeHint);

    /// <inheritdoc/>
    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => _pipe.Writer.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        _writtenBytes += source.Length;
        return _pipe.Writer.WriteAsync(source, cancellationToken);
    }

    /// <inheritdoc/>
    public override void CancelPendingFlush() => _pipe.Writer.CancelPendingFlush();

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null) => _pipe.Writer.Complete(exception);

    private async ValueTask SendAsync(ReadOnlySequence<byte> written)
    {
        if (written.IsSingleSegment)
        {
            await WithinAsync(_socket.SendAsync(written.First, SocketFlags.None));
            return;
        }

        _pieces ??= [];
        foreach (var memory in written)
        {
            if (!MemoryMarshal.TryGetArray(memory, out var piece))
            {
                piece = memory.ToArray();
            }

            _pieces.Add(piece);
        }

        await WithinAsync(new ValueTask<int>(_socket.SendAsync(_pieces, SocketFlags.None)));
        _pieces.Clear();
    }

    /// <summary>Waits for a send no longer than a client may stall.</summary>
    private async ValueTask WithinAsync(ValueTask<int> send)
    {
        if (send.IsCompleted)
        {
            await send;
            return;
        }

        var sending = send.AsTask();
        await _stall.WaitAsync(sending, () => _connection.Abort(new ConnectionAbortedException("The client takes nothing.")), CancellationToken.None);
        // The bytes are the kernel's until it releases them: a buffer returned too early would carry another answer.
        await sending;
    }
}
