using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.Searching;

/// <summary>
/// Keeps the search index a view of the log: goes on from the position noted in it, and fills it anew where there is none, or where another store's log has
/// another row at that position. Trouble with the index never ends the mirror.
/// </summary>
internal sealed partial class IndexFollower : BackgroundService
{
    // Some MB of texts at a time, and few transactions.
    private const int BuildBatch = 4_000;
    private const int FollowBatch = 500;
    private static readonly TimeSpan WaitAtMost = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AfterTrouble = TimeSpan.FromSeconds(5);

    private readonly ISearchIndex _index;
    private readonly ILogTable _table;
    private readonly RegistryLog _log;
    private readonly PackageVisibility _visibility;
    private readonly PackageReading _reading;
    private readonly string _shown;
    private readonly TimeProvider _time;
    private readonly ILogger<IndexFollower> _logger;
    private volatile Standing _standing = new(SearchPhase.Opening, default, null);

    internal IndexFollower(ISearchIndex index, IMetadataStore store, RegistryLog log, PackageVisibility visibility, ByteBudget budget, MirrorOptions options, TimeProvider time, ILogger<IndexFollower> logger)
    {
        (_index, _table, _log, _visibility, _time, _logger) = (index, store.Log, log, visibility, time, logger);
        _reading = new PackageReading(store.Packages, visibility.Rules, budget);
        _shown = string.Join(' ', new[] { options.Removed.Unpublished, options.Removed.Gone, options.Removed.Blocked }.Select(mode => mode == RemovedMode.Keep ? "kept" : "hidden"));
    }

    /// <summary>How far it is.</summary>
    internal SearchState State
    {
        get
        {
            var (phase, position, trouble) = _standing;
            var (packages, size) = _index.Count();
            return new SearchState { Location = _index.Location, Phase = phase, Position = position, Packages = packages, SizeBytes = size, Trouble = trouble };
        }
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await RunAsync(stoppingToken);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (OperationCanceledException) when (_index.Broken.IsCancellationRequested)
            {
                // Opened again at once, and built.
                continue;
            }
            catch (Exception trouble)
            {
                if (_standing.Trouble != trouble.Message)
                {
                    LogTrouble(trouble is MirrorException ? null : trouble, trouble.Message);
                }

                _standing = _standing with { Trouble = trouble.Message };
            }

            await Task.Delay(AfterTrouble, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Opens, builds and follows; returns when it is to be opened again.</summary>
    private async Task RunAsync(CancellationToken cancellationToken)
    {
        // Off the thread that starts the mirror.
        await Task.Yield();
        var opened = await _index.OpenAsync(cancellationToken);
        if (opened.Remark is { } remark && _standing.Trouble != remark)
        {
            LogRemark(remark);
        }

        if (!opened.IsWritten)
        {
            // Another process writes it; when that one ends this one goes on.
            _standing = opened.Mark is { } theirs ? new Standing(PhaseOf(theirs), theirs.Head.Position, opened.Remark) : new Standing(SearchPhase.Opening, default, opened.Remark);
            return;
        }

        if (opened.Mark is not { } mark || !await IsOfThisLogAsync(mark, cancellationToken))
        {
            mark = new IndexMark(await _table.ReadHeadAsync(cancellationToken), _shown, Built: "");
            await _index.ClearAsync(mark, cancellationToken);
        }

        if (mark.Built is not null)
        {
            mark = await BuildAsync(mark, cancellationToken);
        }

        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _index.Broken);
        await FollowAsync(mark, either.Token);
    }

    private static SearchPhase PhaseOf(IndexMark mark) => mark.Built is null ? SearchPhase.Following : SearchPhase.Building;

    /// <summary>Whether the index is a view of this log, and under the rules of now.</summary>
    private async Task<bool> IsOfThisLogAsync(IndexMark mark, CancellationToken cancellationToken)
    {
        if (mark.Shown != _shown)
        {
            return false;
        }

        if (mark.Head.Position == LogPosition.Zero)
        {
            return mark.Head.Hash == ChainHash.Genesis;
        }

        var row = await _table.ReadLogAsync(new LogPosition(mark.Head.Position.Value - 1), cancellationToken).FirstOrDefaultAsync(cancellationToken);
        return row?.Position == mark.Head.Position && row.Hash == mark.Head.Hash;
    }

    /// <summary>Takes in all packages by name, from the last noted one on. What changes meanwhile is after the noted position of the log.</summary>
    private async Task<IndexMark> BuildAsync(IndexMark mark, CancellationToken cancellationToken)
    {
        _standing = new Standing(SearchPhase.Building, mark.Head.Position, null);
        LogBuilding(_index.Location, mark.Built!.Length == 0 ? "the first package" : mark.Built);
        var started = _time.GetTimestamp();
        var count = 0L;
        var writing = Task.CompletedTask;
        var marks = _visibility.ListMarksAsync(mark.Built.Length == 0 ? "" : mark.Built + "\0", isHidden: false, cancellationToken);
        try
        {
            await foreach (var names in marks.Select(package => package.Name).Chunk(BuildBatch).WithCancellation(cancellationToken))
            {
                var changes = await _reading.ReadAsync(names, cancellationToken);
                // The next are read while these are written.
                await writing;
                mark = mark with { Built = names[^1].Value };
                writing = _index.WriteAsync(changes, mark, cancellationToken);
                count += changes.Length;
            }
        }
        finally
        {
            await writing;
        }

        mark = mark with { Built = null };
        await _index.CompleteAsync(mark, cancellationToken);
        LogBuilt(_index.Location, count, _time.GetElapsedTime(started).TotalSeconds);
        return mark;
    }

    private async Task FollowAsync(IndexMark mark, CancellationToken cancellationToken)
    {
        while (true)
        {
            _standing = new Standing(SearchPhase.Following, mark.Head.Position, null);
            if (await _log.WaitAsync(mark.Head.Position, WaitAtMost, cancellationToken) > mark.Head.Position)
            {
                mark = await TakeInAsync(mark, cancellationToken);
            }
            else
            {
                // The log may have ended with the mirror.
                await Task.Delay(TimeSpan.FromMilliseconds(10), _time, cancellationToken);
            }
        }
    }

    private async Task<IndexMark> TakeInAsync(IndexMark mark, CancellationToken cancellationToken)
    {
        var names = new HashSet<PackageName>();
        await foreach (var row in _log.ReadAsync(mark.Head.Position, cancellationToken))
        {
            names.Add(row.Package);
            mark = mark with { Head = new LogHead(row.Position, row.Hash) };
            if (names.Count == FollowBatch)
            {
                break;
            }
        }

        await _index.WriteAsync(await _reading.ReadAsync([.. names], cancellationToken), mark, cancellationToken);
        return mark;
    }

    private sealed record Standing(SearchPhase Phase, LogPosition Position, string? Trouble);

    [LoggerMessage(EventIds.Search, LogLevel.Information, "Building the search index {Location} from {From} on; searches find what is in it so far")]
    private partial void LogBuilding(string location, string from);

    [LoggerMessage(EventIds.Search + 1, LogLevel.Information, "The search index {Location} is built: {Count} packages in {Seconds:N1} s")]
    private partial void LogBuilt(string location, long count, double seconds);

    [LoggerMessage(EventIds.Search + 2, LogLevel.Warning, "The search index does not go on: {Reason} It is tried again")]
    private partial void LogTrouble(Exception? unexpected, string reason);

    [LoggerMessage(EventIds.Search + 3, LogLevel.Warning, "{Remark}")]
    private partial void LogRemark(string remark);
}
