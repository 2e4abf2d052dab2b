using System.Threading.Channels;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>
/// Brings log and versions up to the packages: in the background, for many commits at once. A package is unsettled from its write until all is done, so that the next
/// process finds the unfinished work of a dead one.
/// </summary>
/// <remarks>
/// Several processes may number. One step decides on the numbers: it moves the log's end, if that is still where it was, and names the packages whose events they are.
/// The rows follow from it and from the packages, so that any process can finish what a dead one had begun, and no two write different ones. The next step is not begun
/// before this one is finished, and readers see the new end last.
/// </remarks>
internal sealed class MongoNumbering : IAsyncDisposable
{
    private const int PackagesMax = 256;
    private const int RowsMax = 1000;
    private const int PayloadMaxBytes = 8 * 1024 * 1024;
    private const int TallyEvery = 1000;

    // Each failed try means that another process moved the log's end.
    private const int TriesMax = 1000;
    private readonly MongoSession _session;
    private readonly Chunks _chunks;
    private readonly MongoLog _log;
    private readonly MongoSettling _settling;
    private readonly MongoTally _tally;
    private readonly Channel<Waiting> _waiting = Channel.CreateUnbounded<Waiting>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Task _running;
    private int _untallied;
    private long _numbered;

    internal MongoNumbering(MongoSession session, Chunks chunks, MongoLog log, MongoSettling settling, MongoTally tally)
    {
        (_session, _chunks, _log, _settling, _tally) = (session, chunks, log, settling, tally);
        _running = Task.Run(RunAsync);
    }

    /// <summary>Brings the log up to a package that was written. Returns the position of its last event; zero if it had none, or another process numbered it.</summary>
    /// <param name="name">The package.</param>
    /// <param name="versionsOf">The content of which its versions were told; null for none.</param>
    internal async ValueTask<LogPosition> SettleAsync(PackageName name, string? versionsOf)
    {
        var waiting = new Waiting(name, versionsOf, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        ObjectDisposedException.ThrowIf(!_waiting.Writer.TryWrite(waiting), typeof(MongoStore));
        await waiting.Done.Task;
        return waiting.Position;
    }

    /// <summary>Appends rows of another log as they are.</summary>
    /// <exception cref="MirrorException">They do not continue the log, or another process appends to it.</exception>
    internal async ValueTask AppendAsync(List<LogRow> rows, CancellationToken cancellationToken)
    {
        var head = await FinishAsync(await ReadHeadAsync());
        var end = LogContinuation.Of(head.Shown, rows);
        if (rows.Count == 0)
        {
            return;
        }

        // Rows first: no events wait from which another process could write them.
        await _log.WriteAsync(rows, cancellationToken);
        if (!await MoveAsync(head, new NumberedHead(head.Round + 1, end, end, [])) && (await ReadHeadAsync()).Shown != end)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"Another process appends to the log at {_session.Location}; stop it.", isTransient: true);
        }

        _log.Signal.Advance(end.Position);
    }

    /// <summary>Settles all packages that dead processes left, and those under way. Returns how many events it numbered.</summary>
    internal async ValueTask<int> NumberAllAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_session.IsEnded, typeof(MongoStore));
        var before = Interlocked.Read(ref _numbered);
        List<PackageName> names;
        do
        {
            names = await _session.RunAsync(PackageDocument.Collection, ReadUnsettledAsync, cancellationToken);
            await Task.WhenAll(names.Select(name => SettleAsync(name, null).AsTask())).WaitAsync(cancellationToken);
        }
        while (names.Count == PackagesMax);

        // The end may have moved, and its mover died before it told any package.
        await FinishAsync(await ReadHeadAsync());
        return (int)Math.Min(int.MaxValue, Interlocked.Read(ref _numbered) - before);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        await _running;
    }

    private static async Task<List<PackageName>> ReadUnsettledAsync(IMongoCollection<BsonDocument> packages, CancellationToken cancellationToken)
    {
        var found = await packages.Find(new BsonDocument("unsettled", true)).Project(new BsonDocument("_id", 1)).Limit(PackagesMax).ToListAsync(cancellationToken);
        return [.. found.Select(PackageDocument.Of).OfType<PackageDocument>().Select(document => document.Name)];
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
                round.ForEach(waiting => waiting.Done.TrySetResult());
            }
            catch (Exception e)
            {
                // The callers that wait tell of it, and the packages are still unsettled.
                round.ForEach(waiting => waiting.Done.TrySetException(e));
            }
        }
    }

    private async Task SettleAsync(List<Waiting> round)
    {
        var names = round.Select(waiting => waiting.Name).Distinct().ToList();
        var written = round.Where(waiting => waiting.VersionsOf is not null).ToLookup(waiting => waiting.Name, waiting => waiting.VersionsOf!);
        for (var tries = 0; ; tries++)
        {
            if (tries == TriesMax)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"The log at {_session.Location} is moved on by others all the time; the events wait for the next try.", isTransient: true);
            }

            var head = await FinishAsync(await ReadHeadAsync());
            var packages = await ReadAsync(names);
            var next = Number(head, packages);
            if (next.Unfinished.Count > 0)
            {
                if (!await MoveAsync(head, next))
                {
                    continue;
                }

                CrashPoint.Hit(CrashPoint.WhileNumberingEvents);
                await FinishAsync(next, packages);
                Interlocked.Add(ref _numbered, next.End.Position.Value - head.End.Position.Value);
                foreach (var waiting in round)
                {
                    waiting.Position = next.Unfinished.FirstOrDefault(package => package.Name == waiting.Name) is { } told ? new LogPosition(told.Last) : waiting.Position;
                }
            }

            // Those that did not fit have their turn now.
            var left = packages.Where(package => package.Events.Any(commit => commit.Generation > (next.Unfinished.FirstOrDefault(told => told.Name == package.Document.Name)?.Generation ?? 0))).Select(package => package.Document.Name).ToHashSet();
            await _settling.EndAsync([.. packages.Where(package => !left.Contains(package.Document.Name))], written, CancellationToken.None);
            if (left.Count == 0)
            {
                break;
            }

            names = [.. left];
        }

        _untallied += round.Count;
        if (_untallied >= TallyEvery)
        {
            await _tally.SettleAsync(CancellationToken.None);
            _untallied = 0;
        }
    }

    private async Task<NumberedHead> ReadHeadAsync() => NumberedHead.Read(await _session.RunAsync(
        MongoSchema.State,
        (state, token) => state.Find(new BsonDocument("_id", NumberedHead.Id)).FirstOrDefaultAsync(token)!,
        CancellationToken.None));

    private async Task<List<UnsettledPackage>> ReadAsync(IEnumerable<PackageName> names)
    {
        var filter = new BsonDocument("_id", new BsonDocument("$in", new BsonArray(names.Select(name => name.Value))));
        var found = await _session.RunAsync(PackageDocument.Collection, (packages, token) => packages.Find(filter).Project(UnsettledPackage.Fields).ToListAsync(token), CancellationToken.None);
        var packages = new List<UnsettledPackage>();
        foreach (var stored in found)
        {
            if (await UnsettledPackage.ReadAsync(stored, _chunks, CancellationToken.None) is { } package)
            {
                packages.Add(package);
            }
        }

        return packages;
    }

    /// <summary>The end after the events of whole commits, as many as fit into one step.</summary>
    private static NumberedHead Number(NumberedHead head, List<UnsettledPackage> packages)
    {
        var told = new List<NumberedPackage>();
        var (end, rows, bytes) = (head.End, 0, 0L);
        foreach (var package in packages)
        {
            NumberedPackage? of = null;
            foreach (var commit in package.Events)
            {
                if (rows >= RowsMax || bytes >= PayloadMaxBytes)
                {
                    break;
                }

                var before = rows;
                foreach (var row in package.Chain(end, commit))
                {
                    (end, rows, bytes) = (new LogHead(row.Position, row.Hash), rows + 1, bytes + (row.Payload?.Length ?? 0));
                }

                of = new NumberedPackage(package.Document.Name, commit.Generation, rows > before ? end.Position.Value : of?.Last ?? 0);
            }

            if (of is not null)
            {
                told.Add(of);
            }
        }

        return new NumberedHead(head.Round + 1, end, head.Shown, told);
    }

    /// <summary>Decides on the numbers; false if another process was faster.</summary>
    private async Task<bool> MoveAsync(NumberedHead head, NumberedHead next)
    {
        if (head.Round == 0)
        {
            try
            {
                await _session.RunAsync(MongoSchema.State, async (state, token) => { await state.InsertOneAsync(next.Write(), null, token); return true; }, CancellationToken.None);
                return true;
            }
            catch (MongoException e) when (MongoFaults.IsDuplicate(e))
            {
                return false;
            }
        }

        var filter = new BsonDocument { ["_id"] = NumberedHead.Id, ["round"] = head.Round, ["unfinished"] = new BsonArray() };
        var result = await _session.RunAsync(MongoSchema.State, (state, token) => state.ReplaceOneAsync(filter, next.Write(), (ReplaceOptions?)null, token), CancellationToken.None);
        return result.MatchedCount == 1;
    }

    /// <summary>Writes the rows, tells the packages, and shows the new end. May be done by several, and again.</summary>
    private async Task<NumberedHead> FinishAsync(NumberedHead head, List<UnsettledPackage>? known = null)
    {
        if (head.Unfinished.Count > 0)
        {
            await _log.WriteAsync(await ChainAsync(head, known), CancellationToken.None);
            await _settling.TellAsync(head, known, CancellationToken.None);
            if (known is null)
            {
                // A dead one's step.
                Interlocked.Add(ref _numbered, head.End.Position.Value - head.Shown.Position.Value);
            }

            var shown = head with { Shown = head.End, Unfinished = [] };
            await _session.RunAsync(
                MongoSchema.State,
                (state, token) => state.ReplaceOneAsync(new BsonDocument { ["_id"] = NumberedHead.Id, ["round"] = head.Round }, shown.Write(), (ReplaceOptions?)null, token),
                CancellationToken.None);
            head = shown;
        }

        _log.Signal.Advance(head.Shown.Position);
        return head;
    }

    /// <summary>The rows between the shown end and the new one; none if they are written.</summary>
    private async Task<List<LogRow>> ChainAsync(NumberedHead head, List<UnsettledPackage>? known)
    {
        var packages = (known ?? await ReadAsync(head.Unfinished.Select(package => package.Name))).ToDictionary(package => package.Document.Name);
        if (known is null && head.Unfinished.Any(told => packages.GetValueOrDefault(told.Name)?.Round >= head.Round))
        {
            // Packages are told after all rows are written.
            return [];
        }

        var rows = new List<LogRow>();
        var end = head.Shown;
        foreach (var told in head.Unfinished)
        {
            foreach (var row in packages.TryGetValue(told.Name, out var package) ? package.Chain(end, told.Generation) : [])
            {
                rows.Add(row);
                end = new LogHead(row.Position, row.Hash);
            }
        }

        return end == head.End
            ? rows
            : throw new MirrorException(MirrorFault.StoreDamaged, $"The log at {_session.Location} has an end that its packages do not lead to: another program changed them; restore the store from a backup.");
    }

    private sealed record Waiting(PackageName Name, string? VersionsOf, TaskCompletionSource Done)
    {
        /// <summary>The package's last position.</summary>
        internal LogPosition Position { get; set; }
    }
}
