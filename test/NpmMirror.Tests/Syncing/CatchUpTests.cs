using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Syncing;

/// <summary>The counts and names of a sync: its own tries, and those of other processes meanwhile.</summary>
public sealed class CatchUpTests : IAsyncLifetime
{
    private MirrorBench _bench = null!;
    private CatchUp _catchUp = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _bench = await MirrorBench.StartAsync();
        _catchUp = new CatchUp(_bench.Store, _bench.Queue, _bench.Clock);
    }

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Claim("A sync counts each try by its result, and the results of other processes",
        With =
        [
            nameof(A_document_written_and_finished_by_a_later_try_is_counted_once),
            nameof(The_results_of_another_process_are_counted),
            nameof(A_named_package_that_is_not_there_is_a_failure),
        ],
        Red = "`CatchUp` does not count removals: the first was red; it counts one that is tried again twice: the second; it does not count what others did: the third")]
    [Fact]
    public async Task Counts_each_try_by_how_it_ended()
    {
        var (stored, unchanged) = (await SyncAsync("stored"), await SyncAsync("unchanged", twice: true));
        _bench.Upstream.Publish(new FakePackage("removed").Version("1.0.0"));
        await _bench.SyncAsync("removed");
        _bench.Upstream.Delete("removed");
        var removed = await _bench.SyncAsync("removed", _bench.Item("removed") with { IsDeletedRow = true });
        Count("stored", stored);
        Count("unchanged", unchanged);
        Count("removed", removed);
        Count("waiting", unchanged with { RetryBecause = "the feed is ahead" }, isDone: false);
        Count("given-up", null, isDone: true, error: "No.");
        Count("failing", null, isDone: false, error: "Not yet.");

        var summary = await _catchUp.RunAsync(null, Token);
        Assert.Equal((1, 1, 1), (summary.Changed, summary.Unchanged, summary.Removed));
        Assert.Equal(["failing: Not yet.", "given-up: No.", "waiting: the feed is ahead"], summary.Failures.Select(failure => $"{failure.Key}: {failure.Value}").Order());
        Assert.Equal((await _bench.RowAsync("stored"))!.RawSizeBytes, summary.RawBytes);
        Assert.Equal(0, summary.InDoubt);
    }

    [Fact]
    public async Task A_document_written_and_finished_by_a_later_try_is_counted_once()
    {
        foreach (var (name, later) in new[] { ("written", await SyncAsync("written")), ("left", await SyncAsync("left", twice: true)) })
        {
            Count(name, await SyncAsync($"{name}-first") with { RetryBecause = "a tarball is missing" }, isDone: false);
            Count(name, later);
        }

        var summary = await _catchUp.RunAsync(null, Token);
        Assert.Equal((2, 0), (summary.Changed, summary.Unchanged));
        Assert.Empty(summary.Failures);
    }

    [Fact]
    public async Task A_failure_that_a_later_try_mended_is_forgotten()
    {
        var stored = await SyncAsync("a");
        Count("a", null, isDone: false, error: "Not yet.");
        Count("a", stored);
        Count("a", await SyncAsync("a", twice: true));
        var summary = await _catchUp.RunAsync(null, Token);
        Assert.Equal((1, 1), (summary.Changed, summary.Unchanged));
        Assert.Empty(summary.Failures);
    }

    [Fact]
    public async Task A_named_package_that_is_not_there_is_a_failure()
    {
        await _catchUp.ExpectAsync([PackageName.Parse("named"), PackageName.Parse("never-tried")], Token);
        Count("named", new SyncResult.Absent(404, null));
        Count("other", new SyncResult.Absent(404, null));
        var summary = await _catchUp.RunAsync(null, Token);
        Assert.Equal(["named", "never-tried"], summary.Failures.Keys.Select(name => name.Value).Order());
        Assert.All(summary.Failures.Values, reason => Assert.Contains("no such package", reason, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_results_of_another_process_are_counted()
    {
        await SyncAsync("as-it-was");
        await SyncAsync("changed");
        await _catchUp.ExpectAsync(((string[])["as-it-was", "changed", "new", "own"]).Select(PackageName.Parse), Token);
        _bench.Upstream.PublishVersion("changed", "2.0.0");
        await _bench.SyncAsync("changed");
        await SyncAsync("new");
        Count("own", await SyncAsync("own"));
        var summary = await _catchUp.RunAsync(null, Token);
        Assert.Equal((3, 1), (summary.Changed, summary.Unchanged));
        var sizes = ((string[])["changed", "new", "own"]).Select(async name => (long)(await _bench.RowAsync(name))!.RawSizeBytes);
        Assert.Equal((await Task.WhenAll(sizes)).Sum(), summary.RawBytes);
        Assert.Empty(summary.Failures);
    }

    [Fact]
    public async Task A_named_package_that_must_be_retried_is_named_with_the_reason()
    {
        await _catchUp.ExpectAsync([PackageName.Parse("named")], Token);
        Count("named", new SyncResult.Absent(404, null) { RetryBecause = "the feed is ahead" }, isDone: false);
        Assert.Equal("the feed is ahead", Assert.Single((await _catchUp.RunAsync(null, Token)).Failures).Value);
    }

    [Theory]
    [InlineData("listed", true)]
    [InlineData("another", false)]
    public async Task Of_removed_packages_only_listed_names_are_failures(string listed, bool isFailure)
    {
        _catchUp.Want([PackageName.Parse(listed)]);
        _bench.Upstream.Publish(new FakePackage("another").Version("1.0.0"));
        await _bench.SyncAsync("another");
        await SyncAsync("listed");
        _bench.Upstream.Unpublish("listed");
        Count("listed", await _bench.SyncAsync("listed"));
        var summary = await _catchUp.RunAsync(null, Token);
        Assert.Equal(isFailure ? ["listed"] : [], summary.Failures.Keys.Select(name => name.Value));
        Assert.Equal(isFailure ? 0 : 1, summary.Removed);
    }

    [Fact]
    public async Task A_doubt_is_counted_until_a_later_try_ends_it()
    {
        var unchanged = await SyncAsync("a", twice: true);
        var doubted = unchanged with { RetryBecause = "the upstream has it no more", MissingSince = _bench.Clock.GetUtcNow() };
        Count("a", doubted, isDone: false);
        Count("b", doubted, isDone: false);
        Count("b", unchanged);
        Assert.Equal(1, (await _catchUp.RunAsync(null, Token)).InDoubt);
    }

    [Fact]
    public async Task Progress_counts_each_package_once_as_done_left_or_failed()
    {
        var stored = await SyncAsync("a");
        await QueueAsync("queued-1");
        await QueueAsync("queued-2");
        await QueueAsync("queued-3");
        Count("queued-1", null, isDone: false, error: "Not yet.");
        Count("a", null, isDone: false, error: "Not yet.");
        Count("a", stored);
        var reported = await ReportedAsync(_catchUp);
        Assert.Equal(new SyncProgress(1, 2, 1, (await _bench.RowAsync("a"))!.RawSizeBytes), reported);
    }

    [Theory]
    [InlineData(1, 0, 0)]
    [InlineData(4, 2, 1)]
    public async Task Progress_of_named_packages_counts_just_these(int named, long left, long failed)
    {
        await QueueAsync("other");
        await _catchUp.ExpectAsync(((string[])["a", "b", "c", "d"])[..named].Select(PackageName.Parse), Token);
        Count("a", await SyncAsync("a"));
        if (named > 1)
        {
            Count("b", null, isDone: false, error: "Not yet.");
        }

        var reported = await ReportedAsync(_catchUp);
        Assert.Equal((1, left, failed), (reported.Done, reported.Left, reported.Failed));
    }

    [Fact]
    public async Task Progress_counts_the_tarballs_of_this_run_only()
    {
        await using var bench = await MirrorBench.StartAsync(new NpmMirror.Options.MirrorOptions { Tarballs = NpmMirror.Options.TarballMode.Eager });
        bench.Upstream.Publish(new FakePackage("before").Version("1.0.0").Version("1.1.0").Version("1.2.0"));
        await bench.SyncAsync("before");
        var catchUp = new CatchUp(bench.Store, bench.Queue, bench.Clock);
        bench.Upstream.Publish(new FakePackage("now").Version("1.0.0").Version("2.0.0"));
        await bench.SyncAsync("now");
        var reported = await ReportedAsync(catchUp);
        Assert.Equal((2, 0, 0), (reported.Tarballs, reported.TarballsLeft, reported.Left));
        Assert.Equal((await bench.Store.Tarballs.ListTarballsAsync(PackageName.Parse("now"), Token).ToListAsync(Token)).Sum(row => row.SizeBytes), reported.TarballBytes);
    }

    [Theory]
    [InlineData(4, false, true)]
    [InlineData(5, false, false)]
    [InlineData(1, true, false)]
    public async Task A_package_that_failed_a_few_times_is_tried_again(int attempts, bool isMissing, bool isWaitedFor)
    {
        _bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        await QueueAsync("a", attempts, TimeSpan.FromSeconds(30), isMissing);
        using var counting = _bench.Queue.OnAttempt((attempt, _) =>
        {
            _catchUp.Count(attempt);
            return ValueTask.CompletedTask;
        });
        var running = _catchUp.RunAsync(null, Token);
        await Eventually.Async(() => running.IsCompleted || _bench.Clock.HasTimerBetween(TimeSpan.FromSeconds(29), TimeSpan.FromSeconds(30)));
        Assert.Equal(isWaitedFor, !running.IsCompleted);
        await Eventually.Async(() =>
        {
            _bench.Clock.Advance(TimeSpan.FromSeconds(1));
            return running.IsCompleted;
        });
        var summary = await running;
        Assert.Equal(isWaitedFor, await _bench.RowAsync("a") is not null);
        Assert.Equal(isWaitedFor ? [] : ["Not yet."], summary.Failures.Values);
        Assert.Equal(isMissing ? 1 : 0, summary.InDoubt);
    }

    [Theory]
    [InlineData(30, 60)]
    [InlineData(60, 30)]
    public async Task The_next_that_is_due_is_waited_for_and_told_as_failed(int first, int second)
    {
        await QueueAsync("a", 1, TimeSpan.FromSeconds(first));
        await QueueAsync("b", 2, TimeSpan.FromSeconds(second));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var reported = new Reports();
        var running = _catchUp.RunAsync(reported, stop.Token);
        await Eventually.Async(() => _bench.Clock.HasTimerBetween(TimeSpan.FromSeconds(29), TimeSpan.FromSeconds(30)));
        for (var (more, before) = (1, reported.Count); more <= 3; more++)
        {
            await Eventually.Async(() => _bench.Clock.HasTimerBetween(TimeSpan.FromMilliseconds(250), TimeSpan.FromMilliseconds(250)));
            _bench.Clock.Advance(TimeSpan.FromMilliseconds(250));
            await Eventually.Async(() => reported.Count >= before + more);
        }

        Assert.True(reported.Last is { Failed: 2, Left: 0 });
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Progress_is_told_each_quarter_of_a_second_until_it_is_cancelled(bool isNamed)
    {
        using var gate = new FakeGate();
        _bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        _bench.Upstream.Knobs.Add(new FakeRule { Path = "/a", Gate = gate });
        await _bench.Store.Queue.EnqueueAsync([_bench.Item("a")], null, Token);
        if (isNamed)
        {
            await _catchUp.ExpectAsync([PackageName.Parse("a")], Token);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var reported = new Reports();
        var running = _catchUp.RunAsync(reported, stop.Token);
        await gate.WaitForAsync(1, Token);
        for (var reports = 1; reports < 4; reports++)
        {
            _bench.Clock.Advance(TimeSpan.FromMilliseconds(250));
            await Eventually.Async(() => reported.Count == reports && _bench.Clock.HasTimerBetween(TimeSpan.FromMilliseconds(250), TimeSpan.FromMilliseconds(250)));
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Equal(3, reported.Count);
        Assert.Equal(0, (await _bench.Store.Queue.FindQueuedAsync(PackageName.Parse("a"), Token))!.DueAt.CompareTo(_bench.Clock.GetUtcNow()));
    }

    [Claim("A queue that cannot be read ends a sync with the store's own words",
        Red = "a pause that was cancelled throws (as before)")]
    [Fact]
    public async Task A_queue_that_cannot_be_looked_at_ends_the_run()
    {
        var store = NpmMirror.Tests.Maintenance.FailingStore.Over(_bench.Store, nameof(IQueueTable.NextDueAsync), () => new MirrorException(MirrorFault.StoreUnavailable, "Not now."));
        using var queue = new SyncQueue(store, _bench.Sync, _bench.Options, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<SyncQueue>.Instance);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => new CatchUp(store, queue, TimeProvider.System).RunAsync(null, Token));
        Assert.Equal("Not now.", failure.Message);
    }

    [Fact]
    public async Task With_named_packages_the_rest_of_the_queue_is_left_alone()
    {
        await QueueAsync("failing", 1, TimeSpan.FromSeconds(30));
        await QueueAsync("due", 1, TimeSpan.Zero);
        await SyncAsync("named");
        await _catchUp.ExpectAsync([PackageName.Parse("named")], Token);
        Assert.Empty((await _catchUp.RunAsync(null, Token)).Failures);
        Assert.Equal(0, _bench.Upstream.Requests.CountOf("/due"));
    }

    /// <summary>Puts a name into the queue, due later and tried so often.</summary>
    private async Task QueueAsync(string name, int attempts = 0, TimeSpan? dueIn = null, bool isMissing = false)
    {
        var due = _bench.Clock.GetUtcNow() + (dueIn ?? TimeSpan.FromMinutes(5));
        await _bench.Store.Queue.EnqueueAsync([_bench.Item(name) with { DueAt = due }], null, Token);
        for (var tries = 0; tries < (attempts == 0 ? 5 : attempts); tries++)
        {
            var lease = await _bench.Store.Queue.TakeAsync(PackageName.Parse(name), TimeSpan.FromSeconds(10), Token);
            await _bench.Store.Queue.PostponeAsync(lease!, new QueuePostponement(due, attempts == 0 ? null : "Not yet.", isMissing ? _bench.Clock.GetUtcNow() : null), Token);
        }
    }

    /// <summary>The last progress of a run.</summary>
    private static async Task<SyncProgress> ReportedAsync(CatchUp catchUp)
    {
        var reported = new Reports();
        await catchUp.RunAsync(reported, Token);
        return reported.Last!;
    }

    private sealed class Reports : IProgress<SyncProgress>
    {
        internal SyncProgress? Last { get; private set; }

        internal int Count { get; private set; }

        public void Report(SyncProgress value)
        {
            Last = value;
            Count++;
        }
    }

    private async Task<SyncResult> SyncAsync(string name, bool twice = false)
    {
        _bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
        var result = await _bench.SyncAsync(name);
        return twice ? await _bench.SyncAsync(name) : result;
    }

    private void Count(string name, SyncResult? result, bool isDone = true, string? error = null) =>
        _catchUp.Count(new SyncAttempt(_bench.Item(name), result, error is null ? null : new MirrorException(MirrorFault.UpstreamUnavailable, error), isDone));
}
