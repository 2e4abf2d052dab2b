using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;

namespace NpmMirror.AspNetCore.Connections;

/// <summary>
/// Waits for a client that takes its answer slowly, but not for one that takes nothing (<see cref="StallLimit"/>): its connection is closed, and bytes
/// written from then on are dropped. Only a bounded pipe is between, so no reader is ever ahead of its client by more than that.
/// </summary>
internal sealed class PatientWriter(PipeWriter output, StallLimit stall, Action abort) : PipeWriter
{
    private PipeWriter _output = output;

    /// <summary>Bytes written so far, whether or not the client has taken them.</summary>
    internal long WrittenBytes { get; private set; }

    /// <summary>For the body of an answer; a feature of the request from then on.</summary>
    internal static PatientWriter Of(HttpContext context, TimeProvider time)
    {
        var writer = new PatientWriter(context.Response.BodyWriter, StallLimit.Of(context, time), context.Abort);
        context.Features.Set(writer);
        return writer;
    }

    /// <inheritdoc/>
    public override bool CanGetUnflushedBytes => _output.CanGetUnflushedBytes;

    /// <inheritdoc/>
    public override long UnflushedBytes => _output.UnflushedBytes;

    /// <inheritdoc/>
    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        var flushing = _output.FlushAsync(cancellationToken);
        return flushing.IsCompleted ? flushing : WaitAsync(flushing, cancellationToken);
    }

    /// <inheritdoc/>
    public override void Advance(int bytes)
    {
        WrittenBytes += bytes;
        _output.Advance(bytes);
    }

    /// <inheritdoc/>
    public override Memory<byte> GetMemory(int sizeHint = 0) => _output.GetMemory(sizeHint);

    /// <inheritdoc/>
    public override Span<byte> GetSpan(int sizeHint = 0) => _output.GetSpan(sizeHint);

    /// <inheritdoc/>
    public override void CancelPendingFlush() => _output.CancelPendingFlush();

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null) => _output.Complete(exception);

    private async ValueTask<FlushResult> WaitAsync(ValueTask<FlushResult> flushing, CancellationToken cancellationToken)
    {
        var flush = flushing.AsTask();
        if (await stall.WaitAsync(flush, abort, cancellationToken))
        {
            return await flush;
        }

        _output = Create(Stream.Null);
        return new FlushResult(isCanceled: false, isCompleted: true);
    }
}
