using System.Threading.Channels;
using NpmMirror.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>
/// Brings lists and log up to the packages: in the background, for many commits at once. A package is noted as unsettled before it is written; that note
/// goes when all is done, so that the next process finds the unfinished work of a dead one.
/// </summary>
/// <remarks>
/// Several processes may number: rows are appended in one step that compares the log's end, and the next step is not begun before all packages of this one were told,
/// by any process. So an event gets one number, and readers see the new end only when everything up to it is in its place.
/// </remarks>
internal sealed class RedisNumbering : IAsyncDisposable
{
    private const int PackagesMax = 256;
    private const int RowsMax = 1000;
    private const int PayloadMaxBytes = 4 * 1024 * 1024;

    // Each failed try means that another process appended rows. Rounds of a call too: what comes meanwhile waits for the next one.
    private const int TriesMax = 1000;
    private readonly RedisSession _session;
    private readonly LogSignal _signal;
    private readonly Channel<Waiting> _waiting = Channel.CreateUnbounded<Waiting>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Task _running;

    // The log's end after the last round of this process; null if another process may have moved it.
    private NumberedHead? _head;

    internal RedisNumbering(RedisSession session, LogSignal signal)
    {
        (_session, _signal) = (session, signal);
        _running = Task.Run(RunAsync);
    }

    /// <summary>Brings lists and log up to a package that was written. Returns the position of its last event; zero if it had none, or another process numbered it.</summary>
    internal async ValueTask<LogPosition> SettleAsync(PackageName name, string note, CancellationToken cancellationToken)
    {
        var done = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = new Waiting(name, note, done);
        ObjectDisposedException.ThrowIf(!_waiting.Writer.TryWrite(waiting), typeof(RedisStore));
        await done.Task.WaitAsync(cancellationToken);
        return waiting.Position;
    }

    /// <summary>The same, without a caller that waits.</summary>
    internal void SettleLater(PackageName name, string note) => _waiting.Writer.TryWrite(new Waiting(name, note, null));

    /// <summary>Appends rows of another log as they are, whose packages are there.</summary>
    /// <exception cref="MirrorException">They do not continue the log, or another process appends to it.</exception>
    internal async ValueTask AppendAsync(List<LogRow> rows)
    {
        var head = await ReadHeadAsync();
        var end = LogContinuation.Of(new LogHead(head.Position, head.Hash), rows);
        if (rows.Count == 0)
        {
            return;
        }

        var told = new List<NumberedPackage>();
        foreach (var row in rows)
        {
            var isRun = told.Count > 0 && told[^1].Name == row.Package;
            var first = isRun ? told[^1].First : row.Position.Value;
            if (isRun)
            {
                told.RemoveAt(told.Count - 1);
            }

            told.Add(new NumberedPackage(row.Package, row.Generation, row.Ordinal, first, row.Position.Value));
        }

        var next = new NumberedHead(end.Position, end.Hash, told);

        // An answer that was lost: the rows are there.
        var breaks = _session.Breaks;
        if (!await AppendAsync(head, next, rows) && await ReadHeadAsync() is var moved && (moved.Position, moved.Hash) != (end.Position, end.Hash))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"Another process appends to the log at {_session.Location}; stop it.", isTransient: true);
        }

        await _session.ConfirmAsync([_session.Keys.LogHead], breaks, CancellationToken.None);
        await FinishAsync(next);
    }

    /// <summary>Settles all packages that dead processes left, and those under way. Returns how many events it numbered.</summary>
    internal async ValueTask<int> NumberAllAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_session.Ended.IsCancellationRequested, typeof(RedisStore));
        var numbered = 0;
        for (var rounds = 0; rounds < TriesMax; rounds++)
        {
            var notes = await _session.RunAsync(ReadNotesAsync, cancellationToken);
            var tasks = new List<Task<int>>();
            foreach (var note in notes)
            {
                if (PackageName.TryParse((string?)note.Name, out var name))
                {
                    var done = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
                    ObjectDisposedException.ThrowIf(!_waiting.Writer.TryWrite(new Waiting(name, (string)note.Value!, done)), typeof(RedisStore));
                    tasks.Add(done.Task);
                }
            }

            numbered += (await Task.WhenAll(tasks).WaitAsync(cancellationToken)).Sum();
            if (notes.Count < PackagesMax)
            {
                break;
            }
        }

        return numbered;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        await _running;
    }

    private async Task<List<HashEntry>> ReadNotesAsync(IDatabase database)
    {
        var notes = new List<HashEntry>();
        await foreach (var note in database.HashScanAsync(_session.Keys.Unsettled, default, PackagesMax, flags: RedisSession.Flags))
        {
            notes.Add(note);
            if (notes.Count == PackagesMax)
            {
                break;
            }
        }

        return notes;
    }

    private async Task RunAsync()
    {
        var round = new List<Waiting>();
        while (await _waiting.Reader.WaitToReadAsync())
        {
            round.Clear();
            while (round.Count < PackagesMax && _waiting.Reader.TryRead(out var waiting))
            {
                round.Add(waiting);
            }

            try
            {
                await SettleAsync(round);
                round.ForEach(waiting => waiting.Done?.TrySetResult(waiting.Numbered));
            }
            catch (Exception e)
            {
                // The callers that wait tell of it, the notes are still there, and the next round begins from the server's head.
                _head = null;
                round.ForEach(waiting => waiting.Done?.TrySetException(e));
            }
        }
    }

    private async Task SettleAsync(List<Waiting> round)
    {
        var breaks = _session.Breaks;
        var names = round.Select(waiting => waiting.Name).Distinct().ToList();
        var numbered = new Dictionary<PackageName, (LogPosition Last, int Count)>();
        for (var tries = 0; names.Count > 0; tries++)
        {
            if (tries == TriesMax)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"The log at {_session.Location} is moved on by others all the time; the events wait for the next try.", isTransient: true);
            }

            var head = _head ?? await ReadHeadAsync();
            var packages = await _session.RunAsync(database => Task.WhenAll(names.Select(name => SettledPackage.ReadAsync(database, _session.Keys, name))), CancellationToken.None);
            if (tries == 0)
            {
                await ListAsync(packages);
            }

            var (rows, told, left) = Chain(head, packages);
            if (rows.Count > 0)
            {
                var next = new NumberedHead(rows[^1].Position, rows[^1].Hash, told);
                var breaksThen = _session.Breaks;
                if (!await AppendAsync(head, next, rows))
                {
                    _head = null;
                    continue;
                }

                CrashPoint.Hit(CrashPoint.WhileNumberingEvents);

                // Packages forget their events then.
                await _session.ConfirmAsync([_session.Keys.LogHead], breaksThen, CancellationToken.None);
                await FinishAsync(next);
                foreach (var package in told)
                {
                    var before = numbered.GetValueOrDefault(package.Name).Count;
                    numbered[package.Name] = (new LogPosition(package.Last), before + (int)(package.Last - package.First + 1));
                }
            }

            names = left;
        }

        await _session.ConfirmAsync([_session.Keys.Held], breaks, CancellationToken.None);
        await _session.RunAsync(RedisScripts.RemoveSame, [_session.Keys.Unsettled], [.. round.SelectMany(waiting => (RedisValue[])[waiting.Name.Value, waiting.Note])], CancellationToken.None);
        foreach (var waiting in round)
        {
            if (numbered.Remove(waiting.Name, out var result))
            {
                (waiting.Position, waiting.Numbered) = result;
            }
        }
    }

    private async Task<NumberedHead> ReadHeadAsync()
    {
        var breaks = _session.Breaks;
        var head = NumberedHead.Read(await _session.RunAsync(database => database.HashGetAsync(_session.Keys.LogHead, NumberedHead.Fields, RedisSession.Flags), CancellationToken.None));
        if (head.Unfinished.Count > 0)
        {
            await _session.ConfirmAsync([_session.Keys.LogHead], breaks, CancellationToken.None);
            await FinishAsync(head);
        }

        return _head = head with { Unfinished = [] };
    }

    // The row decides on the package's lists and its tombstone. The tombstone goes before the mark that tells of it changes.
    private async Task ListAsync(SettledPackage[] packages)
    {
        var there = packages.Where(package => package.Row is not null).ToList();
        if (there.Count == 0)
        {
            return;
        }

        var keys = _session.Keys;
        var marks = await _session.RunAsync(database => database.HashGetAsync(keys.Marks, [.. there.Select(package => (RedisValue)package.Name.Value)], RedisSession.Flags), CancellationToken.None);
        var restored = there.Zip(marks).Where(pair => !pair.First.Row!.Facts.IsRemoved && ListedMark.IsRemoved(pair.Second) is null or true).Select(pair => pair.First.Name).ToList();
        if (restored.Count > 0)
        {
            await _session.RunAsync(database => Task.WhenAll(restored.Select(name => database.KeyDeleteAsync(keys.Tombstone(name), RedisSession.Flags))), CancellationToken.None);
        }

        await _session.RunAsync(
            RedisScripts.List,
            [keys.Held, keys.Removed, keys.Marks, keys.Counts],
            [.. there.SelectMany(package => (RedisValue[])[package.Name.Value, package.Mark])],
            CancellationToken.None);
    }

    private static (List<LogRow> Rows, List<NumberedPackage> Told, List<PackageName> Left) Chain(NumberedHead head, SettledPackage[] packages)
    {
        var rows = new List<LogRow>();
        var told = new List<NumberedPackage>();
        var left = new List<PackageName>();
        var (position, hash, bytes) = (head.Position, head.Hash, 0L);
        foreach (var package in packages)
        {
            if (rows.Count >= RowsMax || bytes >= PayloadMaxBytes)
            {
                left.Add(package.Name);
                continue;
            }

            var first = position.Value + 1;
            foreach (var (generation, pending) in package.Pending)
            {
                var row = ChainHash.Append(position, hash, package.Name, generation, pending);
                (position, hash, bytes) = (row.Position, row.Hash, bytes + pending.Payload.Length);
                rows.Add(row);
            }

            if (package.Pending.Count > 0)
            {
                var (generation, pending) = package.Pending[^1];
                told.Add(new NumberedPackage(package.Name, generation, pending.Ordinal, first, position.Value));
            }

            if (package.HasMore)
            {
                left.Add(package.Name);
            }
        }

        return (rows, told, left);
    }

    private async Task<bool> AppendAsync(NumberedHead head, NumberedHead next, List<LogRow> rows)
    {
        var keys = _session.Keys;
        var pages = new List<RedisKey> { keys.LogHead, keys.Changes };
        var values = new List<RedisValue> { head.Position.Value, head.Hash.Hex, next.Position.Value, next.Hash.Hex, next.WriteUnfinished(), next.Unfinished.Count };
        foreach (var package in next.Unfinished)
        {
            values.Add(package.Name.Value);
            values.Add(package.Last);
        }

        foreach (var row in rows)
        {
            var page = keys.LogRows(row.Position.Value);
            if (pages[^1] != page)
            {
                pages.Add(page);
            }

            values.Add(pages.Count);
            values.Add(EventText.Write(row));
        }

        return (bool)await _session.RunAsync(RedisScripts.Append, [.. pages], [.. values], CancellationToken.None);
    }

    // May be done by several, and again.
    private async Task FinishAsync(NumberedHead head)
    {
        var breaks = _session.Breaks;
        await _session.RunAsync(
            database => Task.WhenAll(head.Unfinished.Select(package =>
            {
                var keys = _session.Keys.Of(package.Name);
                return database.ScriptEvaluateAsync(RedisScripts.Finish, [keys.Row, keys.Pending, keys.History], [package.Generation, package.Ordinal, package.First, package.Last], RedisSession.Flags);
            })),
            CancellationToken.None);
        await _session.ConfirmAsync([.. head.Unfinished.Select(package => _session.Keys.Of(package.Name).Row)], breaks, CancellationToken.None);
        await _session.RunAsync(RedisScripts.Show, [_session.Keys.LogHead], [head.Position.Value], CancellationToken.None);
        _head = head with { Unfinished = [] };
        _signal.Advance(head.Position);
    }

    private sealed record Waiting(PackageName Name, string Note, TaskCompletionSource<int>? Done)
    {
        /// <summary>The package's last position.</summary>
        internal LogPosition Position { get; set; }

        /// <summary>How many events got a number for it.</summary>
        internal int Numbered { get; set; }
    }
}
