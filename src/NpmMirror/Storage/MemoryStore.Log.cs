using System.Runtime.CompilerServices;
using NpmMirror.Log;

namespace NpmMirror.Storage;

public sealed partial class MemoryStore
{
    private readonly List<LogRow> _log = [];
    private readonly LogSignal _signal = new();

    private LogHead Head => _log.Count == 0 ? new LogHead(LogPosition.Zero, ChainHash.Genesis) : new LogHead(_log[^1].Position, _log[^1].Hash);

    /// <inheritdoc/>
    public ValueTask<LogHead> ReadHeadAsync(CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(Head);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<LogRow> ReadLogAsync(LogPosition after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position;
        for (var position = Math.Max(after.Value, 0) + 1; position <= head.Value; position++)
        {
            yield return LogRowAt(position, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<LogRow> ReadHistoryAsync(PackageName package, CancellationToken cancellationToken) =>
        ReadLogAsync(LogPosition.Zero, cancellationToken).Where(row => row.Package == package);

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageRow> ListChangesAsync(LogPosition from, bool isDescending, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A package is listed where its newest event lies.
        var head = (await ReadHeadAsync(cancellationToken)).Position.Value;
        var (position, end, step) = isDescending ? (Math.Min(from.Value - 1, head), 0L, -1) : (Math.Max(from.Value, 0) + 1, head + 1, 1);
        for (; isDescending ? position > end : position < end; position += step)
        {
            var name = LogRowAt(position, cancellationToken).Package;
            if (await FindAsync(name, cancellationToken) is { } row && row.LastPosition.Value == position)
            {
                yield return row;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask<int> NumberEventsAsync(CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        return ValueTask.FromResult(0);
    }

    /// <inheritdoc/>
    public ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        return _signal.WaitAsync(after, timeout, timeProvider, cancellationToken);
    }

    private LogRow LogRowAt(long position, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return _log[(int)(position - 1)];
        }
    }

    private long PurgeLog(PackagePurge purge)
    {
        var bytes = 0L;
        foreach (var position in purge.Payloads)
        {
            if (position.Value > 0 && position <= Head.Position && _log[(int)(position.Value - 1)] is { } row && row.Package == purge.Package)
            {
                bytes += row.Payload?.Length ?? 0;
                _log[(int)(position.Value - 1)] = row with { Payload = null };
            }
        }

        return bytes;
    }

    private LogPosition? AppendToLog(PackageCommit commit, long generation)
    {
        foreach (var pending in commit.Events)
        {
            var owned = pending with { Payload = pending.Payload.ToArray(), At = Truncate(pending.At), SeenAt = Truncate(pending.SeenAt) };
            _log.Add(ChainHash.Append(Head.Position, Head.Hash, commit.Name, generation, owned));
        }

        return commit.Events.Count > 0 ? Head.Position : null;
    }
}
