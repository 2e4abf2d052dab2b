using NpmMirror.Storage;

namespace NpmMirror.Tests.Following;

/// <summary>
/// A store as one process sees it that dies in the middle of its work: after so many writes none reaches the store any more, the last one
/// perhaps half. Earlier writes are there for the next process.
/// </summary>
internal sealed class CrashingStore
{
    private static readonly HashSet<string> Writes =
    [
        nameof(IQueueTable.EnqueueAsync), nameof(IQueueTable.TakeAsync), nameof(IQueueTable.CompleteAsync), nameof(IQueueTable.PostponeAsync),
        nameof(IPackageTable.CommitAsync), nameof(INoteTable.SetNoteAsync), nameof(ILogTable.NumberEventsAsync),
    ];

    private long _writesLeft;
    private long _calls;

    private CrashingStore(long writesToLive) => _writesLeft = writesToLive;

    /// <summary>Told of a cursor before it is set.</summary>
    internal Action<string, string?>? CursorIsSet { get; set; }

    /// <summary>Told of a lease that this process holds: its name and its owner.</summary>
    internal Action<string, string>? LeaseIsHeld { get; set; }

    /// <summary>Whether the process died.</summary>
    internal bool IsDead => Interlocked.Read(ref _writesLeft) < 0;

    /// <summary>How often anything was asked of the store.</summary>
    internal long Calls => Interlocked.Read(ref _calls);

    /// <summary>A process over a store with so many writes to live.</summary>
    internal static (IMetadataStore Store, CrashingStore Process) Over(IMetadataStore inner, long writesToLive)
    {
        var process = new CrashingStore(writesToLive);
        return (InterceptedStore.Over(inner, process.Handle), process);
    }

    /// <summary>Dies now.</summary>
    internal void Kill() => Interlocked.Exchange(ref _writesLeft, -1);

    private object? Handle(StoreCall call)
    {
        Interlocked.Increment(ref _calls);
        if (IsDead)
        {
            throw Dead();
        }

        if (call.Method == nameof(ILeaseTable.TryHoldLeaseAsync))
        {
            var held = (ValueTask<bool>)call.Make()!;
            if (held is { IsCompletedSuccessfully: true, Result: true })
            {
                LeaseIsHeld?.Invoke((string)call.Arguments[0]!, (string)call.Arguments[1]!);
            }

            return held;
        }

        if (!Writes.Contains(call.Method))
        {
            return call.Make();
        }

        var left = Interlocked.Decrement(ref _writesLeft);
        if (left < 0)
        {
            // Of names and their cursor only the names may be there, or nothing.
            if (call.Method == nameof(IQueueTable.EnqueueAsync) && Interlocked.Read(ref _calls) % 2 == 0)
            {
                call.Arguments[1] = null;
                call.Make();
            }

            throw Dead();
        }

        if (call.Method == nameof(INoteTable.SetNoteAsync))
        {
            CursorIsSet?.Invoke((string)call.Arguments[0]!, (string?)call.Arguments[1]);
        }

        var result = call.Make();
        // Half of the time the last write is there, but its caller is not told.
        return left == 0 && IsUnheard() ? throw Dead() : result;
    }

    private bool IsUnheard()
    {
        var isUnheard = Interlocked.Read(ref _calls) % 2 == 0;
        if (isUnheard)
        {
            Kill();
        }

        return isUnheard;
    }

    private static MirrorException Dead() => new(MirrorFault.StoreUnavailable, "The process is dead.", isTransient: true);
}
