using NpmMirror.Syncing;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Mirroring;

/// <summary>What a sync counts and names: its own tries, and what other processes did meanwhile.</summary>
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
    public async Task What_is_written_and_finished_by_a_later_try_is_counted_once()
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
        Assert.Empty((await _catchUp.RunAsync(null, Token)).Failures);
    }

    [Fact]
    public async Task What_was_asked_for_by_name_and_is_not_there_is_a_failure()
    {
        await _catchUp.ExpectAsync([PackageName.Parse("named"), PackageName.Parse("never-tried")], Token);
        Count("named", new SyncResult.Absent(404, null));
        Count("other", new SyncResult.Absent(404, null));
        var summary = await _catchUp.RunAsync(null, Token);
        Assert.Equal(["named", "never-tried"], summary.Failures.Keys.Select(name => name.Value).Order());
        Assert.All(summary.Failures.Values, reason => Assert.Contains("no such package", reason, StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_another_process_brought_or_left_as_it_was_is_counted()
    {
        await SyncAsync("as-it-was");
        await SyncAsync("changed");
        await _catchUp.ExpectAsync([PackageName.Parse("as-it-was"), PackageName.Parse("changed")], Token);
        _bench.Upstream.PublishVersion("changed", "2.0.0");
        await _bench.SyncAsync("changed");
        var summary = await _catchUp.RunAsync(null, Token);
        Assert.Equal((1, 1), (summary.Changed, summary.Unchanged));
        Assert.Equal((await _bench.RowAsync("changed"))!.RawSizeBytes, summary.RawBytes);
        Assert.Empty(summary.Failures);
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
