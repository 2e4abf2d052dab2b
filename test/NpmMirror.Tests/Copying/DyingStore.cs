using NpmMirror.Storage;

namespace NpmMirror.Tests.Copying;

/// <summary>A target as a copy sees it that dies after so many writes: none reaches the store from then on. Half of the time the last one is there, and the copy was not told.</summary>
internal sealed class DyingStore
{
    private static readonly string[] Reads = ["Read", "Find", "List", "Count", "Wait", "get_", "Release", "Number"];

    private long _writesLeft;

    private DyingStore(long writesToLive) => _writesLeft = writesToLive;

    internal bool IsDead => Interlocked.Read(ref _writesLeft) < 0;

    internal static (IMetadataStore Store, DyingStore Process) Over(IMetadataStore inner, long writesToLive)
    {
        var process = new DyingStore(writesToLive);
        return (InterceptedStore.Over(inner, process.Handle), process);
    }

    private object? Handle(StoreCall call)
    {
        if (IsDead)
        {
            throw Dead();
        }

        if (Reads.Any(read => call.Method.StartsWith(read, StringComparison.Ordinal)))
        {
            return call.Make();
        }

        var left = Interlocked.Decrement(ref _writesLeft);
        if (left >= 0)
        {
            return call.Make();
        }

        if (left == -1 && call.Method.Length % 2 == 0)
        {
            call.Make();
        }

        throw Dead();
    }

    private static MirrorException Dead() => new(MirrorFault.StoreUnavailable, "The process is dead.", isTransient: true);
}
