namespace NpmMirror.Sqlite;

/// <summary>How soon work is to be on the disk when its caller hears of it.</summary>
internal enum WriteUrgency
{
    /// <summary>Synced, at once.</summary>
    Now,

    /// <summary>Synced, after a short wait for other writes: one sync for many.</summary>
    Together,

    /// <summary>Written, and synced with the next that is: losing it in a power cut only repeats work.</summary>
    Unsynced,
}

/// <summary>Work that waits for the writer.</summary>
internal abstract class WriteJob(WriteUrgency urgency, long sizeBytes)
{
    internal WriteUrgency Urgency { get; } = urgency;

    internal long SizeBytes { get; } = sizeBytes;

    /// <summary>Ends the job when its caller has left before it began.</summary>
    internal abstract bool IsCancelled();

    internal abstract void Run(WriteTransaction transaction);

    /// <summary>The transaction is durable: the caller may know.</summary>
    internal abstract void Publish();

    internal abstract void Fail(Exception e);
}

/// <inheritdoc/>
internal sealed class WriteJob<T>(Func<WriteTransaction, T> write, WriteUrgency urgency, long sizeBytes, CancellationToken cancellationToken) : WriteJob(urgency, sizeBytes)
{
    private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T? _result;

    internal Task<T> Done => _done.Task;

    internal override bool IsCancelled() => _done.Task.IsCanceled || (cancellationToken.IsCancellationRequested && _done.TrySetCanceled(cancellationToken));

    internal override void Run(WriteTransaction transaction) => _result = write(transaction);

    internal override void Publish() => _done.TrySetResult(_result!);

    internal override void Fail(Exception e) => _done.TrySetException(e);
}
