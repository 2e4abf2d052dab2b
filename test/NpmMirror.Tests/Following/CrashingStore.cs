using System.Reflection;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Following;

/// <summary>
/// A store as one process sees it that dies in the middle of its work: after so many writes none reaches the store any more, the last one
/// perhaps half. What was written before is there for the next process.
/// </summary>
public class CrashingStore : DispatchProxy
{
    private static readonly HashSet<string> Writes =
    [
        nameof(IMetadataStore.EnqueueAsync), nameof(IMetadataStore.TakeAsync), nameof(IMetadataStore.CompleteAsync), nameof(IMetadataStore.PostponeAsync),
        nameof(IMetadataStore.CommitAsync), nameof(IMetadataStore.SetCursorAsync), nameof(IMetadataStore.NumberEventsAsync),
    ];

    private IMetadataStore _inner = null!;
    private long _writesLeft;
    private long _calls;

    /// <summary>Told of a cursor before it is set.</summary>
    internal Action<string, string?>? CursorIsSet { get; set; }

    /// <summary>Whether the process died.</summary>
    internal bool IsDead => Interlocked.Read(ref _writesLeft) < 0;

    /// <summary>How often anything was asked of the store.</summary>
    internal long Calls => Interlocked.Read(ref _calls);

    /// <summary>A process over a store with so many writes to live.</summary>
    internal static (IMetadataStore Store, CrashingStore Process) Over(IMetadataStore inner, long writesToLive)
    {
        var store = Create<IMetadataStore, CrashingStore>();
        var process = (CrashingStore)(object)store;
        process._inner = inner;
        process._writesLeft = writesToLive;
        return (store, process);
    }

    /// <summary>Dies now.</summary>
    internal void Kill() => Interlocked.Exchange(ref _writesLeft, -1);

    /// <inheritdoc/>
    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        Interlocked.Increment(ref _calls);
        if (IsDead)
        {
            throw Dead();
        }

        if (!Writes.Contains(targetMethod!.Name))
        {
            return targetMethod.Invoke(_inner, BindingFlags.DoNotWrapExceptions, null, args, null);
        }

        var left = Interlocked.Decrement(ref _writesLeft);
        if (left < 0)
        {
            // Of names and their cursor only the names may be there, or nothing.
            if (targetMethod.Name == nameof(IMetadataStore.EnqueueAsync) && Interlocked.Read(ref _calls) % 2 == 0)
            {
                args![1] = null;
                targetMethod.Invoke(_inner, BindingFlags.DoNotWrapExceptions, null, args, null);
            }

            throw Dead();
        }

        if (targetMethod.Name == nameof(IMetadataStore.SetCursorAsync))
        {
            CursorIsSet?.Invoke((string)args![0]!, (string?)args[1]);
        }

        var result = targetMethod.Invoke(_inner, BindingFlags.DoNotWrapExceptions, null, args, null);
        // As often the last write is there, and nobody hears of it.
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
