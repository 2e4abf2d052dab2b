using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using NpmMirror.Log;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>The log: lists of a hundred rows or so, and a head that moves on when everything before it is in its place.</summary>
internal sealed class RedisLog : ILogTable, IAsyncDisposable
{
    private readonly RedisSession _session;
    private readonly RedisNumbering _numbering;
    private readonly LogWatch _watch;

    internal RedisLog(RedisSession session)
    {
        _session = session;
        _watch = new LogWatch(async cancellationToken => (await ReadHeadAsync(cancellationToken)).Position, typeof(RedisStore));
        _numbering = new RedisNumbering(session, _watch.Signal);
    }

    internal RedisNumbering Numbering => _numbering;

    /// <inheritdoc/>
    public async ValueTask<LogHead> ReadHeadAsync(CancellationToken cancellationToken)
    {
        var head = await _session.RunAsync(database => database.HashGetAsync(_session.Keys.LogHead, ["shown_position", "shown_hash"], RedisSession.Flags), cancellationToken);
        return head[0].TryParse(out long position) && position > 0 && Digest.TryFromHex((string?)head[1] ?? "", out var hash) && hash.Bytes.Length == SHA256.HashSizeInBytes
            ? new LogHead(new LogPosition(position), hash)
            : new LogHead(LogPosition.Zero, ChainHash.Genesis);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<LogRow> ReadLogAsync(LogPosition after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position.Value;
        for (var first = Math.Max(after.Value, 0) + 1; first <= head;)
        {
            var (start, page) = (first, (first - 1) / RedisKeys.LogPage);
            var last = Math.Min(head, (page + 1) * RedisKeys.LogPage);
            var texts = await _session.RunAsync(database => database.ListRangeAsync(_session.Keys.LogRows(start), PlaceOf(start), PlaceOf(last), RedisSession.Flags), cancellationToken);
            for (var i = 0; i < texts.Length; i++)
            {
                yield return EventText.ReadRow(new LogPosition(start + i), (byte[])texts[i]!);
            }

            first = last + 1;
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<LogRow> ReadHistoryAsync(PackageName package, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position.Value;
        var history = _session.Keys.Of(package).History;
        for (var last = 0L; ;)
        {
            var after = last;
            var page = await _session.RunAsync(
                database => database.SortedSetRangeByScoreAsync(history, after, head, Exclude.Start, Order.Ascending, 0, RedisKeys.LogPage, RedisSession.Flags),
                cancellationToken);
            var positions = page.Select(position => (long)position).ToList();
            var texts = await _session.RunAsync(
                database => Task.WhenAll(positions.Select(position => database.ListGetByIndexAsync(_session.Keys.LogRows(position), PlaceOf(position), RedisSession.Flags))),
                cancellationToken);
            foreach (var (position, text) in positions.Zip(texts))
            {
                if (!text.IsNull)
                {
                    yield return EventText.ReadRow(new LogPosition(position), (byte[])text!);
                }
            }

            if (positions.Count < RedisKeys.LogPage)
            {
                yield break;
            }

            last = positions[^1];
        }
    }

    /// <inheritdoc/>
    public ValueTask<int> NumberEventsAsync(CancellationToken cancellationToken) => _numbering.NumberAllAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken) => _watch.WaitAsync(after, timeout, _session.Time, cancellationToken);

    /// <summary>Drops the payload of a row of this package; returns its length.</summary>
    internal async ValueTask<long> PurgeAsync(PackageName package, LogPosition position, CancellationToken cancellationToken)
    {
        if (position <= LogPosition.Zero)
        {
            return 0;
        }

        var (key, place) = (_session.Keys.LogRows(position.Value), PlaceOf(position.Value));
        var text = await _session.RunAsync(database => database.ListGetByIndexAsync(key, place, RedisSession.Flags), cancellationToken);
        if (text.IsNull || EventText.ReadRow(position, (byte[])text!) is not { Damage: null, Payload: { } payload } row || row.Package != package)
        {
            return 0;
        }

        var isPurged = (bool)await _session.RunAsync(RedisScripts.SwapAt, [key], [place, text, EventText.Write(row with { Payload = null })], cancellationToken);
        return isPurged ? payload.Length : 0;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync();
        await _numbering.DisposeAsync();
    }

    private static long PlaceOf(long position) => (position - 1) % RedisKeys.LogPage;
}
