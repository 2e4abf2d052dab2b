using System.IO.Pipelines;

namespace NpmMirror.AspNetCore;

/// <summary>
/// Waits for a client that takes what it asked for slowly, and not for one that takes nothing: it is cut off, and what is written from then on
/// goes nowhere. Only a bounded pipe stands between, so no reader is ever ahead of what its client took by more than that.
/// </summary>
internal sealed class PatientWriter(PipeWriter output, Action abort, TimeProvider time) : PipeWriter
{
    /// <summary>How long a client may take nothing at all.</summary>
    internal static readonly TimeSpan StallMax = TimeSpan.FromSeconds(30);

    private PipeWriter _output = output;

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
    public override void Advance(int bytes) => _output.Advance(bytes);

    /// <inheritdoc/>
    public override Memory<byte> GetMemory(int sizeHint = 0) => _output.GetMemory(sizeHint);

    /// <inheritdoc/>
    public override Span<byte> GetSpan(int sizeHint = 0) => _output.GetSpan(sizeHint);

    /// <inheritdoc/>
    public override void CancelPendingFlush() => _output.CancelPendingFlush();

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null) => _output.Complete(exception);

    /// <summary>Waits for one write in the same way; what comes after it goes nowhere by itself.</summary>
    internal static async Task WaitAsync(ValueTask<FlushResult> writing, Action abort, TimeProvider time)
    {
        var write = writing.AsTask();
        try
        {
            await write.WaitAsync(StallMax, time);
        }
        catch (TimeoutException)
        {
            abort();
            await write;
        }
    }

    private async ValueTask<FlushResult> WaitAsync(ValueTask<FlushResult> flushing, CancellationToken cancellationToken)
    {
        try
        {
            return await flushing.AsTask().WaitAsync(StallMax, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            abort();
            _output = Create(Stream.Null);
            return new FlushResult(isCanceled: false, isCompleted: true);
        }
    }
}
