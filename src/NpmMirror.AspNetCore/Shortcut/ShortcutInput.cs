using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Runtime.CompilerServices;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Shortcut;

/// <summary>
/// The server's source of requests: between two of them, requests that can be answered from memory are answered, and the server never
/// sees them. It gets the others one at a time, so that the place between two requests stays known.
/// </summary>
internal sealed class ShortcutInput(PipeReader connection, ShortcutOutput output, ShortcutAnswers answers, AnsweringThread thread, EndPoint? client, TimeSpan handOverAfter, TimeProvider time, CancellationToken stopping) : PipeReader
{
    // A longer body is sent on the pool: the other connections of the thread would wait for it.
    private const int ShortBytes = 256 * 1024;

    private ReadOnlySequence<byte> _handed;
    private static readonly ReadResult Over = new(ReadOnlySequence<byte>.Empty, isCanceled: false, isCompleted: true);

    private bool _isOpaque;
    private bool _isOver;
    private long _handedAt = time.GetTimestamp();

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            if (_isOver)
            {
                return Over;
            }

            var reading = connection.ReadAsync(cancellationToken);
            var hasWaited = !reading.IsCompleted;
            var read = await reading;
            RememberedAnswer? answer = null;
            var (body, length) = (default(AnswerBody), 0);
            _isOpaque = _isOpaque || read.IsCanceled || read.IsCompleted || !TryLook(read.Buffer, out length, out answer, out body);
            var isShort = !_isOpaque && answer is not null && body.File is null && body.LengthBytes <= ShortBytes;
            if (!isShort && thread.Leave(hasWaited))
            {
                await Task.Yield();
            }

            if (_isOpaque)
            {
                return read;
            }

            var head = read.Buffer.Slice(0, length);
            if (answer is null)
            {
                _handed = head;
                _handedAt = time.GetTimestamp();
                return new ReadResult(head, isCanceled: false, isCompleted: false);
            }

            var isNextThere = length < read.Buffer.Length;
            connection.AdvanceTo(head.End);
            await output.SendAsync(answer, body);
            answers.Count(answer, body);
            if (answer is RefusedHead)
            {
                // For the server this is a client that left.
                _isOver = true;
                return Over;
            }

            if (thread.Stay(isNextThere))
            {
                await Task.Yield();
            }
        }
    }

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (_isOver)
        {
            return;
        }

        if (!_isOpaque)
        {
            // A server that takes less than the request does something unforeseen: leave the connection to it.
            _isOpaque = !_handed.Slice(consumed).IsEmpty;
            _handed = default;
        }

        connection.AdvanceTo(consumed, examined);
    }

    /// <inheritdoc/>
    public override bool TryRead(out ReadResult result)
    {
        if (_isOver)
        {
            result = Over;
            return true;
        }

        _isOpaque = true;
        return connection.TryRead(out result);
    }

    /// <inheritdoc/>
    public override void CancelPendingRead() => connection.CancelPendingRead();

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null) => connection.Complete(exception);

    /// <summary>The length of the request, when it is one without a body, and its answer, when it is at hand and may be given now.</summary>
    private bool TryLook(in ReadOnlySequence<byte> buffer, out int length, out RememberedAnswer? answer, out AnswerBody body)
    {
        (length, answer, body) = (0, null, default);
        // A head in pieces is long or slow; the server has limits for both.
        var bytes = buffer.FirstSpan;
        var end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return false;
        }

        length = end + 4;
        var kind = RequestHead.Read(bytes[..length], out var head);
        if (kind != RequestKind.Opaque && bytes.StartsWith("GET "u8) && output.IsDrained && RefusedHead.Of(head) is { } refusal)
        {
            answer = refusal;
            return refusal.TryBegin(default, client, out body);
        }

        // At the end the server answers, because it tells the client that the connection closes.
        if (kind == RequestKind.Simple && !stopping.IsCancellationRequested && output.IsDrained && time.GetElapsedTime(_handedAt) <= handOverAfter
            && answers.Find(head) is { } found && found.TryBegin(head.IfNoneMatch, client, out body))
        {
            answer = found;
        }

        return kind != RequestKind.Opaque;
    }
}
