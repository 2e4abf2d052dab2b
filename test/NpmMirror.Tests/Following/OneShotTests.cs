using System.Globalization;
using NpmMirror.Options;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Following;

/// <summary>A command's requests beside its packages: the feed's probe, its information, and the list. They outlast transient failures as packages do.</summary>
public sealed class OneShotTests
{
    private const int PackageCount = 12;

    private readonly FakeClock _clock = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, FakeRule> Troubles()
    {
        var troubles = new TheoryData<string, FakeRule>();
        foreach (var path in new[] { "/registry/", "/registry/_changes", "/registry/_all_docs" })
        {
            troubles.Add("429 with Retry-After: 0", new FakeRule { Path = path, TimesMax = 2, Status = 429, RetryAfter = "0" });
            troubles.Add("503 with Retry-After: 9", new FakeRule { Path = path, TimesMax = 2, Status = 503, RetryAfter = "9" });
            troubles.Add("a cut answer", new FakeRule { Path = path, TimesMax = 2, CutAfterBytes = 20 });
        }

        return troubles;
    }

    [Theory]
    [MemberData(nameof(Troubles), DisableDiscoveryEnumeration = true)]
    public async Task Trouble_that_passes_ends_neither_sync_nor_reconcile(string trouble, FakeRule rule)
    {
        Assert.NotEmpty(trouble);
        await using var bench = await StartAsync();
        await using var mirror = bench.Mirror();
        bench.Upstream.Knobs.Add(rule);
        var summary = await DriveAsync(mirror.SyncOnceAsync([], null, Token));
        Assert.Equal((PackageCount, 0, 2), (summary.Changed, summary.Failures.Count, rule.HitCount));

        bench.Upstream.PublishVersion("package-1", "2.0.0");
        var again = bench.Upstream.Knobs.Add(new FakeRule { Path = rule.Path, TimesMax = 2, Status = rule.Status, RetryAfter = rule.RetryAfter, CutAfterBytes = rule.CutAfterBytes });
        var (found, mended) = await DriveAsync(mirror.ReconcileOnceAsync(Token));
        Assert.Equal((1, 1, 2), (found.Stale, mended.Changed, again.HitCount));
        Assert.DoesNotContain(bench.Upstream.Requests.All, request => request.Path.EndsWith("/latest", StringComparison.Ordinal));
    }

    [Claim("A `sync` whose package came at a later try ends well",
        Red = "`CatchUp.Count` does not forget the failure")]
    [Trait("Duration", "long")]
    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    public async Task A_package_that_a_later_try_brings_is_no_failure(int status)
    {
        await using var bench = await StartAsync();
        await using var mirror = bench.Mirror();
        // More often than one request is repeated: the queue itself has to try again.
        var rule = bench.Upstream.Knobs.Fail("/package-1", status, timesMax: 3);
        var tries = new List<SyncProgress>();
        var summary = await DriveAsync(mirror.SyncOnceAsync([], new Told(tries), Token));
        Assert.Equal((PackageCount, 0, 3), (summary.Changed, summary.Failures.Count, rule.HitCount));
        Assert.Contains(tries, progress => progress.Failed == 1);
    }

    [Theory]
    [InlineData("/registry/", 5)]
    [InlineData("/registry/_all_docs", 5)]
    public async Task Trouble_that_stays_is_told_with_how_often_was_asked(string path, int asked)
    {
        await using var bench = await StartAsync();
        await using var mirror = bench.Mirror();
        bench.Upstream.Knobs.Fail(path, 503);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => DriveAsync(mirror.ReconcileOnceAsync(Token)));
        Assert.Contains("answered 503", failure.Message, StringComparison.Ordinal);
        Assert.Contains("It was asked 5 times", failure.Message, StringComparison.Ordinal);
        Assert.True(failure.IsTransient);
        Assert.Equal(asked, bench.Upstream.Requests.CountOf(path));
    }

    [Fact]
    public async Task Progress_counts_packages_once_and_tarballs_with_their_bytes()
    {
        await using var bench = await StartAsync();
        bench.Options.Tarballs = TarballMode.Eager;
        await using var mirror = bench.Mirror();
        bench.Upstream.Knobs.Fail("/package-3/-/*", 500, timesMax: 1);
        bench.Upstream.Knobs.Fail("/package-5", 500, timesMax: 1);
        var reports = new List<SyncProgress>();
        var summary = await DriveAsync(mirror.SyncOnceAsync([], new Told(reports), Token));

        Assert.Equal((PackageCount, 0, 0), (summary.Changed, summary.Unchanged, summary.Failures.Count));
        Assert.All(reports, report => Assert.InRange(report.Done + report.Left + report.Failed, 0, PackageCount));
        Assert.Contains(reports, report => report.Failed > 0);
        var last = reports[^1];
        Assert.Equal((PackageCount, 0, 0), (last.Done, last.Left, last.Failed));
        Assert.Equal((PackageCount, bench.Upstream.Tarballs.Values.Sum(tarball => (long)tarball.Length), 0), (last.Tarballs, last.TarballBytes, last.TarballsLeft));
    }

    [Fact]
    public async Task A_named_package_is_fetched_anew_despite_validators_and_caches()
    {
        await using var bench = await StartAsync();
        await using var mirror = bench.Mirror("none");
        bench.Upstream.Knobs.IsNeverModified = true;
        var name = PackageName.Parse("package-1");
        await bench.SyncAsync(name.Value);
        bench.Upstream.PublishVersion(name.Value, "2.0.0");
        Assert.Equal((1, 0), await CountsAsync(mirror.SyncOnceAsync([name], null, Token)));
        Assert.Equal((0, 1), await CountsAsync(mirror.SyncOnceAsync([name], null, Token)));
        Assert.Contains("cache=0", bench.Upstream.Requests.Last("/package-1")!.Target, StringComparison.Ordinal);
    }

    private async Task<(int Changed, int Unchanged)> CountsAsync(Task<SyncSummary> running) => await DriveAsync(running) is var summary ? (summary.Changed, summary.Unchanged) : default;

    private async Task<MirrorBench> StartAsync()
    {
        var bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, isClockReal: true, _clock);
        for (var i = 0; i < PackageCount; i++)
        {
            bench.Upstream.Publish(new FakePackage(string.Create(CultureInfo.InvariantCulture, $"package-{i}")).Version("1.0.0"));
        }

        return bench;
    }

    private async Task<T> DriveAsync<T>(Task<T> running)
    {
        await _clock.SkipWaitsAsync(running, TimeSpan.FromSeconds(20));
        return await running;
    }

    private sealed class Told(List<SyncProgress> told) : IProgress<SyncProgress>
    {
        public void Report(SyncProgress value) => told.Add(value);
    }
}
