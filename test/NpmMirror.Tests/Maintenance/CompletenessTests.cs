using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Maintenance;

/// <summary>The comparison with the upstream's list: its findings, and the packages that it leaves alone.</summary>
public sealed class CompletenessTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private readonly MirrorOptions _options = new() { Metadata = MetadataMode.All };
    private MirrorBench _bench = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _options.Data = _folder.Path;
        _bench = await MirrorBench.StartAsync(_options);
    }

    public async ValueTask DisposeAsync()
    {
        await _bench.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("`verify --against-upstream` says that removals are held back as a reconciliation would, tells both numbers, leaves queued and unpublished packages alone, and mends only packages that the upstream lists",
        With =
        [
            nameof(A_list_that_is_too_short_is_told_with_both_numbers),
            nameof(Queued_and_unpublished_packages_are_no_findings),
            nameof(Only_packages_that_the_upstream_lists_are_mended),
            nameof(Of_a_list_with_times_the_time_that_differs_is_told),
            $"{nameof(Cli.MaintenanceCommandTests)}.{nameof(Cli.MaintenanceCommandTests.Verify_compares_with_the_upstreams_list_and_fetches_the_missing)}",
        ],
        Red = "counts begin at one; `AcceptRemovals` is not looked at; what vanished is mended too")]
    [Theory]
    [InlineData(50, false, null)]
    [InlineData(51, false, "51 of 53 packages are not on the upstream's list, and one reconciliation removes 50 at most")]
    [InlineData(51, true, null)]
    public async Task From_the_fifty_first_on_it_says_that_removals_are_held_back(int vanished, bool isAccepted, string? told)
    {
        _options.AcceptRemovals = isAccepted;
        foreach (var name in Enumerable.Range(0, vanished).Select(i => $"p{i}").Append("stays").Append("stays-too"))
        {
            await HoldAsync(name);
        }

        for (var i = 0; i < vanished; i++)
        {
            _bench.Upstream.Delete($"p{i}");
        }

        // One that is not held yet is none of the fifty-three.
        _bench.Upstream.Publish(new FakePackage("new").Version("1.0.0"));
        var (findings, heldBack) = await CompareAsync();
        Assert.Equal(told, heldBack);
        Assert.Equal(vanished, findings.Count(finding => finding.Fault == VerifyFault.Vanished));
    }

    [Fact]
    public async Task A_list_that_is_too_short_is_told_with_both_numbers()
    {
        await HoldAsync("a");
        await HoldAsync("b");
        await HoldAsync("not-listed");
        _bench.Upstream.Delete("not-listed");
        _bench.Upstream.Knobs.DocumentCount = 100;
        Assert.Equal("the upstream says it has 100 documents and lists 2", (await CompareAsync()).HeldBack);
    }

    [Fact]
    public async Task Queued_and_unpublished_packages_are_no_findings()
    {
        await HoldAsync("unpublished");
        _bench.Upstream.Unpublish("unpublished");
        await _bench.SyncAsync("unpublished");
        _bench.Upstream.Publish(new FakePackage("queued").Version("1.0.0"));
        await _bench.Queue.EnqueueAsync([_bench.Item("queued")], null, Token);
        _bench.Upstream.Publish(new FakePackage("missing").Version("1.0.0"));
        Assert.Equal([(VerifyFault.NotHeld, "missing")], (await CompareAsync()).Findings.Select(finding => (finding.Fault, finding.Subject)));
    }

    [Fact]
    public async Task Only_packages_that_the_upstream_lists_are_mended()
    {
        await HoldAsync("vanished");
        _bench.Upstream.Delete("vanished");
        _bench.Upstream.Publish(new FakePackage("missing").Version("1.0.0"));
        var asked = _bench.Upstream.Requests.CountOf("/vanished");
        var (findings, _) = await CompareAsync(new Repairs(_bench.Store, _bench.Sync, _bench.Tarballs, _bench.Budget));
        Assert.Equal(
            [(VerifyFault.NotHeld, "missing", true), (VerifyFault.Vanished, "vanished", false)],
            findings.Select(finding => (finding.Fault, finding.Subject, finding.IsRepaired)));
        Assert.Equal(asked, _bench.Upstream.Requests.CountOf("/vanished"));
        Assert.DoesNotContain("mended", findings[1].Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_package_that_cannot_be_fetched_is_told_with_the_reason()
    {
        _bench.Upstream.Publish(new FakePackage("missing").Version("1.0.0"));
        _bench.Upstream.Knobs.Fail("/missing", 404);
        var finding = Assert.Single((await CompareAsync(new Repairs(_bench.Store, _bench.Sync, _bench.Tarballs, _bench.Budget))).Findings);
        Assert.StartsWith("The upstream lists it, and it is not held. It could not be mended: ", finding.Problem, StringComparison.Ordinal);
        Assert.False(finding.IsRepaired);
    }

    [Fact]
    public async Task An_upstream_without_a_list_is_told_as_one()
    {
        _bench.Upstream.Knobs.Feed = FakeFeedDialect.None;
        _bench.Upstream.Knobs.Add(new FakeRule { Path = "/-/all", Status = 200, ContentType = "application/json", Body = "nonsense" });
        var failure = await Assert.ThrowsAsync<MirrorException>(() => CompareAsync(hasFeed: false));
        Assert.Contains("neither a feed nor a list of its packages, which metadata=all needs", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_a_list_with_times_the_time_that_differs_is_told()
    {
        await HoldAsync("changed");
        _bench.Upstream.Knobs.Feed = FakeFeedDialect.None;
        _bench.Upstream.Knobs.Add(new FakeRule { Path = "/-/all", Status = 200, ContentType = "application/json", Body = """{"_updated":1,"changed":{"name":"changed","time":{"modified":"2031-02-03T04:05:06.789Z"}}}""" });
        Assert.Equal("The upstream lists a change of 2031-02-03 04:05:06Z; the held document has another.", Assert.Single((await CompareAsync(hasFeed: false)).Findings).Problem);
    }

    private async Task HoldAsync(string name)
    {
        _bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
        await _bench.SyncAsync(name);
    }

    private async Task<(List<VerifyFinding> Findings, string? HeldBack)> CompareAsync(Repairs? repairs = null, bool hasFeed = true)
    {
        var findings = new List<VerifyFinding>();
        var request = new VerifyRequest { Found = findings.Add, Repairs = repairs };
        var tally = new VerifyTally(request);
        var probe = new FeedProbe(_bench.Client, new FeedOptions(), NullLogger.Instance);
        FindFeed findFeed = hasFeed ? token => probe.FindAsync(_bench.Upstream.FeedUrl.AbsoluteUri, token) : _ => Task.FromResult<IChangeFeed?>(null);
        await new Completeness(_bench.Store, _bench.Client, _bench.Known, findFeed, new PackageScope(_options), _options, NullLogger<Completeness>.Instance).RunAsync(request, tally, Token);
        return (findings, tally.HeldBack);
    }
}
