using System.Collections.Concurrent;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Following;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Tarballs;

public sealed class EagerTarballTests
{
    private static readonly PackageName Pad = PackageName.Parse("left-pad");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("With `tarballs=eager` a tarball that could not be fetched is fetched later, also for packages held before tarballs were wanted ahead; after a day it is given up",
        With = [nameof(Switching_to_eager_fetches_the_tarballs_of_held_packages), nameof(A_tarball_that_cannot_be_fetched_for_a_day_is_given_up)],
        Red = "the failure is no reason for another try, or the document is asked for conditionally: the first was red; the mode is not part of what is wanted: the second; it never ends: the third")]
    [Fact]
    public async Task A_later_try_fetches_missing_tarballs_of_an_unchanged_document()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Tarballs = TarballMode.Eager });
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0").Version("1.1.0"));
        var away = bench.Upstream.Knobs.Fail("/left-pad/-/*", 503);
        var item = bench.Item("left-pad");
        var first = Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad", item));
        Assert.Contains("2 of its tarballs could not be fetched", first.RetryBecause, StringComparison.Ordinal);
        bench.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Contains("2 of its tarballs", (await bench.SyncAsync("left-pad", item)).RetryBecause, StringComparison.Ordinal);
        bench.Upstream.Knobs.Remove(away);
        bench.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Null((await bench.SyncAsync("left-pad", item)).RetryBecause);
        Assert.Equal(2, await CountHeldAsync(bench));
        bench.Upstream.Requests.Clear();
        await bench.SyncAsync("left-pad");
        Assert.Equal(0, bench.Upstream.Requests.CountOf("/left-pad/-/*"));
        Assert.Equal(304, Assert.Single(bench.Upstream.Requests.All).Status);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task While_tarballs_are_fetched_ahead_their_document_is_not_in_memory(bool isHeld)
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Tarballs = TarballMode.Eager });
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        if (isHeld)
        {
            var away = bench.Upstream.Knobs.Fail("/left-pad/-/*", 503);
            await bench.SyncAsync("left-pad", bench.Item("left-pad"));
            bench.Upstream.Knobs.Remove(away);
            bench.Clock.Advance(TimeSpan.FromHours(1));
        }

        using var gate = new FakeGate();
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/left-pad/-/*", Gate = gate });
        var syncing = bench.SyncAsync("left-pad", bench.Item("left-pad"));
        await gate.WaitForAsync(1, Token);
        await Eventually.Async(() => bench.Budget.UsedBytes == 0);
        gate.Open();
        Assert.Null((await syncing).RetryBecause);
        Assert.Equal(1, await CountHeldAsync(bench));
        Assert.Equal(bench.Upstream.Packument("left-pad"), await bench.DocumentAsync("left-pad"));
    }

    [Fact]
    public async Task A_tarball_that_cannot_be_fetched_for_a_day_is_given_up()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Tarballs = TarballMode.Eager });
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        bench.Upstream.Knobs.Fail("/left-pad/-/*", 404);
        var item = bench.Item("left-pad");
        Assert.NotNull((await bench.SyncAsync("left-pad", item)).RetryBecause);
        bench.Clock.Advance(TimeSpan.FromHours(24));
        Assert.Null((await bench.SyncAsync("left-pad", item with { Attempts = RemovalCheck.DoubtTriesMin })).RetryBecause);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Switching_to_eager_fetches_the_tarballs_of_held_packages(bool hasFeed)
    {
        await using var bench = await MirrorBench.StartAsync(isClockReal: true);
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0").Version("1.1.0"));
        await using (var before = bench.Mirror(hasFeed))
        {
            await before.StartAsync(Token);
            await bench.ReadThrough.FindAsync(Pad, Token);
            await Eventually.Async(async () => await bench.Store.Notes.FindNoteAsync(MirrorCursors.Scope, Token) is not null);
            await before.StopAsync(Token);
        }

        bench.Options.Tarballs = TarballMode.Eager;
        await using var after = bench.Mirror(hasFeed);
        await after.StartAsync(Token);
        await Eventually.Async(async () => await CountHeldAsync(bench) == 2);
    }

    [Claim("`tarballs=eager` waits for room, and for a host that is busy, instead of failing; progress counts each package once, and tarballs with their bytes",
        With =
        [
            nameof(A_host_that_is_busy_is_waited_for_instead_of_failing),
            $"{nameof(OneShotTests)}.{nameof(OneShotTests.Progress_counts_packages_once_and_tarballs_with_their_bytes)}",
        ],
        Red = "a download ahead takes no place and does not come again: the first was red; one that is told to wait has failed: the second; `CatchUp` counts each try, or no bytes: the last")]
    [Fact]
    public async Task Fetching_ahead_waits_for_room_instead_of_failing()
    {
        const int Packages = 105;
        const int Versions = 10;
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Tarballs = TarballMode.Eager }, isClockReal: true);
        var names = Enumerable.Range(0, Packages).Select(i => $"package-{i}").ToList();
        foreach (var name in names)
        {
            bench.Upstream.Publish(Enumerable.Range(0, Versions).Aggregate(new FakePackage(name), (package, i) => package.Version($"1.0.{i}")));
        }

        var attempts = new ConcurrentQueue<SyncAttempt>();
        using var counting = bench.Queue.OnAttempt((attempt, _) =>
        {
            attempts.Enqueue(attempt);
            return ValueTask.CompletedTask;
        });
        await bench.Queue.EnqueueAsync([.. names.Select(name => bench.Item(name) with { DueAt = DateTimeOffset.UnixEpoch, QueuedAt = TimeProvider.System.GetUtcNow() })], null, Token);
        var gate = bench.Upstream.Knobs.Hold("*.tgz");
        var draining = bench.Queue.DrainAsync(Token);
        await gate.WaitForAsync(10, Token);
        await Eventually.Async(() => names.All(name => bench.Upstream.Requests.CountOf($"/{name}") > 0));
        gate.Open();
        await draining;

        Assert.Empty(attempts.Where(attempt => !attempt.IsDone).Select(attempt => attempt.Error?.Message ?? attempt.Result!.RetryBecause));
        Assert.Equal((Packages, (long)Packages * Versions), (attempts.Count, bench.Tarballs.FetchedCount));
    }

    [Trait("Duration", "long")]
    [Fact]
    public async Task A_host_that_is_busy_is_waited_for_instead_of_failing()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Tarballs = TarballMode.Eager });
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        bench.Upstream.Knobs.Fail("*.tgz", 429, timesMax: 3, retryAfter: "7");
        var syncing = bench.SyncAsync("left-pad", bench.Item("left-pad"));
        await bench.Clock.SkipWaitsAsync(syncing, TimeSpan.FromSeconds(20));
        Assert.Null((await syncing).RetryBecause);
        Assert.Equal((4, 1), (bench.Upstream.Requests.CountOf("*.tgz"), await CountHeldAsync(bench)));
    }

    private static async Task<int> CountHeldAsync(MirrorBench bench)
    {
        var held = 0;
        foreach (var version in (string[])["1.0.0", "1.1.0"])
        {
            held += await bench.Store.Tarballs.FindTarballAsync(Pad, $"left-pad-{version}.tgz", Token) is { State: TarballState.Held } ? 1 : 0;
        }

        return held;
    }
}
