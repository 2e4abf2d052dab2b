namespace NpmMirror.Sqlite;

/// <summary>Work that waits for the writer.</summary>
internal abstract class WriteJob(long sizeBytes)
{
    internal long SizeBytes { get; } = sizeBytes;

    /// <summary>Ends the job when its caller has left before it began.</summary>
    internal abstract bool IsCancelled();

    internal abstract void Run(WriteTransaction transaction);

    /// <summary>The transaction is durable: the caller may know.</summary>
    internal abstract void Publish();

    internal abstract void Fail(Exception e);
}

/// <inheritdoc/>
internal sealed class WriteJob<T>(Func<WriteTransaction, T> write, long sizeBytes, CancellationToken cancellationToken) : WriteJob(sizeBytes)
{
    private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T? _result;

    internal Task<T> Done => _done.Task;

    internal override bool IsCancelled() => cancellationToken.IsCancellationRequested && _done.TrySetCanceled(cancellationToken);

    internal override void Run(WriteTransaction transaction) => _result = write(transaction);

    internal override void Publish() => _done.TrySetResult(_result!);

    internal override void Fail(Exception e) => _done.TrySetException(e);
}
