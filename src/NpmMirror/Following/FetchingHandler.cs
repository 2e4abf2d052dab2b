using System.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Packuments;
using NpmMirror.Removals;
using NpmMirror.Upstream;

namespace NpmMirror.Following;

/// <summary>
/// Handles pages for a monitor without a store: fetches each changed package, several at once, and tells of them in the feed's
/// order. A failure is told, kept in memory and tried again after the page, so that one package never holds up the others.
/// </summary>
internal sealed class FetchingHandler : IChangeHandler, IAsyncDisposable
{
    /// <summary>How many packages wait for another try at most; beyond, only their next change tells of them.</summary>
    private const int ParkedMax = 10_000;

    /// <summary>How many packages are asked for at most to see whether the upstream is well.</summary>
    private const int OthersMax = 6;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan GiveUpAfter = TimeSpan.FromHours(24);

    // A cache in between usually lags the feed by seconds: a short wait here saves an error and a later try.
    private static readonly TimeSpan[] LagWaits = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2)];

    private readonly SeenPackages _seen = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<PackageName, Parked> _parked = [];
    private readonly RegistryClient _client;
    private readonly KnownUpstream _known;
    private readonly RemovalCheck _removals;
    private readonly int _concurrency;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _retries;
    private string? _trail;

    /// <summary>Fetches from an upstream whose feed is known, <paramref name="concurrency"/> packuments at once.</summary>
    public FetchingHandler(RegistryClient client, KnownUpstream known, int concurrency, TimeProvider time)
    {
        (_client, _known, _concurrency, _time) = (client, known, concurrency, time);
        _retries = new SemaphoreSlim(concurrency);
        // There is no store here to tell whether an upstream without a list is believed.
        _removals = new RemovalCheck(client, known, NamedLately, static _ => ValueTask.FromResult(false));
    }

    /// <inheritdoc/>
    public async Task HandleAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
    {
        var wanted = await SelectAsync(page);
        var fetching = new Queue<Task<Outcome>>();
        try
        {
            for (int told = 0, begun = 0; told < wanted.Count; told++)
            {
                while (begun < wanted.Count && fetching.Count < _concurrency)
                {
                    fetching.Enqueue(FetchPatientlyAsync(wanted[begun++], cancellationToken));
                }

                await TellAsync(wanted[told], await fetching.Dequeue(), tell, cancellationToken);
            }
        }
        finally
        {
            // A page that is broken off leaves nothing running.
            await Task.WhenAll(fetching).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ChangeRow>> HandleAgainAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
    {
        await HandleAsync(page, tell, cancellationToken);
        return page.Rows;
    }

    /// <inheritdoc/>
    public ValueTask<string?> ReadTrailAsync(CancellationToken cancellationToken) => ValueTask.FromResult(_trail);

    /// <inheritdoc/>
    public ValueTask KeepTrailAsync(string trail, CancellationToken cancellationToken)
    {
        _trail = trail;
        return ValueTask.CompletedTask;
    }

    /// <summary>Ends the tries that are still to come.</summary>
    public async ValueTask DisposeAsync()
    {
        List<PackageName> names;
        lock (_lock)
        {
            names = [.. _parked.Keys];
        }

        foreach (var name in names)
        {
            await UnparkAsync(name);
        }

        _retries.Dispose();
    }

    /// <summary>The packages of a page in its order, each once, at its newest row; the feed also has design documents and ids that are no names.</summary>
    private async Task<List<Wanted>> SelectAsync(ChangesPage page)
    {
        var places = new Dictionary<PackageName, int>();
        var wanted = new List<Wanted>(page.Rows.Count);
        foreach (var row in page.Rows)
        {
            if (!PackageName.TryParse(row.Id, out var name))
            {
                continue;
            }

            await UnparkAsync(name);
            if (places.TryGetValue(name, out var place))
            {
                wanted[place] = new Wanted(name, row.Rev, row.IsDeleted);
            }
            else
            {
                places[name] = wanted.Count;
                wanted.Add(new Wanted(name, row.Rev, row.IsDeleted));
            }
        }

        return wanted;
    }

    private async Task<Outcome> FetchPatientlyAsync(Wanted wanted, CancellationToken cancellationToken)
    {
        // Fetches of one page begin together, not one inside the other.
        await Task.Yield();
        var outcome = await FetchAsync(wanted, isCacheBusted: false, cancellationToken);
        foreach (var wait in LagWaits)
        {
            if (!outcome.IsLagging)
            {
                break;
            }

            await Task.Delay(wait, _time, cancellationToken);
            outcome = await FetchAsync(wanted, isCacheBusted: true, cancellationToken);
        }

        return outcome;
    }

    private async Task<Outcome> FetchAsync(Wanted wanted, bool isCacheBusted, CancellationToken cancellationToken)
    {
        if (wanted.IsDeleted)
        {
            return new Outcome { IsGone = true };
        }

        try
        {
            var answer = await _client.GetPackumentAsync(wanted.Name, default, isCacheBusted, cancellationToken);
            return answer switch
            {
                PackumentAnswer.Fetched fetched => Read(wanted, fetched.Document),
                PackumentAnswer.Absent absent => new Outcome { MissingStatus = absent.Status, Error = Missing(wanted, absent.Status) },
                _ => throw new UnreachableException("The answer to an unconditional request was not modified."),
            };
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception exception)
        {
            // The edge of one package's work: after any failure the others go on.
            return new Outcome { Error = exception };
        }
    }

    private Outcome Read(Wanted wanted, RawDocument document)
    {
        using (document)
        {
            var index = PackumentReader.Read(document.Bytes, wanted.Name).Index;
            _removals.NoteAlive(wanted.Name);
            if (index.IsUnpublished)
            {
                return new Outcome { IsGone = true };
            }

            var outcome = new Outcome { Packument = document.Bytes.ToArray(), Index = index };
            // Without a rev on both sides there is nothing to compare: the packument counts as it came.
            var isLagging = wanted.Rev is { } rev && index.Rev is { } got && new Revision(got).IsBefore(new Revision(rev));
            return isLagging ? outcome with { Error = Lagging(wanted, index.Rev!), IsLagging = true } : outcome;
        }
    }

    private async ValueTask TellAsync(Wanted wanted, Outcome outcome, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
    {
        if (outcome.Error is { } error)
        {
            await tell(new MonitorEvent.Failed(error, wanted.Name), cancellationToken);
            Park(wanted, outcome, tell, cancellationToken);
            return;
        }

        await tell(_seen.Classify(wanted.Name, outcome.Packument, outcome.Index, wanted.Rev), cancellationToken);
    }

    private void Park(Wanted wanted, Outcome outcome, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_parked.Count < ParkedMax && !_parked.ContainsKey(wanted.Name))
            {
                var giving = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                _parked[wanted.Name] = new Parked(giving, RetryAsync(wanted, outcome, tell, giving));
            }
        }
    }

    /// <summary>A newer row takes the place of the try that waits.</summary>
    private async ValueTask UnparkAsync(PackageName name)
    {
        Parked? parked;
        lock (_lock)
        {
            _parked.Remove(name, out parked);
        }

        if (parked is not null)
        {
            await parked.Giving.CancelAsync();
            await parked.Retrying;
            parked.Giving.Dispose();
        }
    }

    private async Task RetryAsync(Wanted wanted, Outcome last, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationTokenSource giving)
    {
        var backoff = new Backoff(FirstRetry, LongestRetry, Random.Shared);
        var startedAt = _time.GetTimestamp();
        long? missingSince = last.MissingStatus is null ? null : startedAt;
        await Task.Yield();
        try
        {
            while (last.Error is not null && _time.GetElapsedTime(startedAt) < GiveUpAfter)
            {
                await Task.Delay(backoff.Next((last.Error as MirrorException)?.RetryAfter), _time, giving.Token);
                last = await RetryOnceAsync(wanted, giving.Token);
                missingSince = last.MissingStatus is null ? null : missingSince ?? _time.GetTimestamp();
                if (missingSince is { } since && await IsGoneAsync(wanted.Name, last.MissingStatus!.Value, _time.GetElapsedTime(since), backoff.Failures, giving.Token))
                {
                    last = new Outcome { IsGone = true };
                }
            }

            // The announced rev never arrived: report the packument that came.
            if (last.Error is null || last.IsLagging)
            {
                await tell(_seen.Classify(wanted.Name, last.Packument, last.Index, wanted.Rev), giving.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // A newer row, or the monitor's end.
        }
        finally
        {
            if (IsLeaving(wanted.Name, giving))
            {
                giving.Dispose();
            }
        }
    }

    private async Task<bool> IsGoneAsync(PackageName name, int status, TimeSpan missingFor, int tries, CancellationToken cancellationToken)
    {
        try
        {
            return await _removals.FindDoubtAsync(name, status, missingFor, tries, cancellationToken) is null;
        }
        catch (MirrorException)
        {
            // Asked again at the next try.
            return false;
        }
    }

    /// <summary>Packages that the feed named last: the upstream has one of them, if it is well.</summary>
    private async IAsyncEnumerable<PackageName> NamedLately(PackageName missing)
    {
        var rows = _known.State.Feed is UpstreamFeed.Found { Feed: var feed } ? await feed.ReadNewestAsync(OthersMax, CancellationToken.None) : [];
        foreach (var row in rows)
        {
            if (!row.IsDeleted && PackageName.TryParse(row.Id, out var name) && name != missing)
            {
                yield return name;
            }
        }
    }

    /// <summary>Takes a finished try out of the list; false if that was done already. Disposes what it held.</summary>
    private bool IsLeaving(PackageName name, CancellationTokenSource giving)
    {
        lock (_lock)
        {
            return _parked.TryGetValue(name, out var own) && own.Giving == giving && _parked.Remove(name);
        }
    }

    private async Task<Outcome> RetryOnceAsync(Wanted wanted, CancellationToken cancellationToken)
    {
        await _retries.WaitAsync(cancellationToken);
        try
        {
            return await FetchAsync(wanted, isCacheBusted: true, cancellationToken);
        }
        finally
        {
            _retries.Release();
        }
    }

    private static MirrorException Missing(Wanted wanted, int status) => new(
        MirrorFault.UpstreamMalformed,
        $"The feed names a change of {wanted.Name}, the upstream {(status == 404 ? "has no such package" : $"answers {status}")}; will ask again before it counts as gone.",
        isTransient: true);

    private static MirrorException Lagging(Wanted wanted, string got) =>
        new(MirrorFault.UpstreamUnavailable, $"The feed names {wanted.Name} at {MirrorException.Quote(wanted.Rev)}, the upstream still answers {MirrorException.Quote(got)}; will ask again.", isTransient: true);

    private sealed record Wanted(PackageName Name, string? Rev, bool IsDeleted);

    private sealed record Parked(CancellationTokenSource Giving, Task Retrying);

    /// <summary>How one fetch ended: with a packument, gone, or with an error to be tried again (a lagging one has both).</summary>
    private sealed record Outcome
    {
        internal byte[] Packument { get; init; } = [];

        internal PackumentIndex? Index { get; init; }

        internal Exception? Error { get; init; }

        internal bool IsGone { get; init; }

        internal int? MissingStatus { get; init; }

        internal bool IsLagging { get; init; }
    }
}
