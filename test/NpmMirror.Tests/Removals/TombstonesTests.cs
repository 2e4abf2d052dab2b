using System.Text.Json;
using NpmMirror.Feeds;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Removals;

/// <summary>The row of a package that was removed before this mirror ever held it.</summary>
public sealed class TombstonesTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset Then = new(2020, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly PackageName Name = PackageName.Parse("@scope/name");

    [Claim("A tombstone keeps kind, reason, time and revision, and invents no time",
        With = [nameof(Without_a_time_none_is_invented)],
        Red = "`Tombstones.EventOf` leaves the revision out: the first was red; it takes now for a time that nobody told: the second")]
    [Fact]
    public async Task A_tombstone_keeps_kind_reason_time_and_revision_as_npm_sends_them()
    {
        var removed = Tombstones.EventOf(RemovalKind.Unpublished, new RemovalNotice("Unpublished", "by its owner", Then, "7-b"), Now);
        var commit = Tombstones.CommitOf(Name, removed, "upstream#1");
        var facts = commit.Facts;
        Assert.Equal((Name, 0L, RemovalKind.Unpublished, "by its owner", "7-b", "upstream#1"), (commit.Name, commit.ExpectedGeneration, facts.Removal, facts.RemovalReason, facts.Rev, facts.Upstream));
        Assert.Equal((Then, Now, Now), (facts.ModifiedAt, facts.FirstSeenAt, facts.StoredAt));
        Assert.Equal("PackageRemoved", Assert.Single(commit.Events).Type);
        Assert.Equal((Then, Now, "7-b", 0), (commit.Events[0].At, commit.Events[0].SeenAt, commit.Events[0].UpstreamRev, commit.Events[0].Ordinal));

        await using var decoded = DocumentCodecs.OpenDecoded(Name, commit.Document!);
        using var document = await JsonDocument.ParseAsync(decoded, cancellationToken: TestContext.Current.CancellationToken);
        var root = document.RootElement;
        Assert.Equal(("@scope/name", "7-b", "@scope/name"), (root.GetProperty("_id").GetString(), root.GetProperty("_rev").GetString(), root.GetProperty("name").GetString()));
        Assert.Equal(Then.UtcDateTime, root.GetProperty("time").GetProperty("unpublished").GetProperty("time").GetDateTime());
        Assert.True(PackumentIndex.FromBytes(commit.Index.Span).IsUnpublished);
    }

    [Fact]
    public async Task Without_a_time_none_is_invented()
    {
        var commit = Tombstones.CommitOf(Name, Tombstones.EventOf(RemovalKind.Gone, new RemovalNotice("Gone", null, null, "7-b"), Now), "upstream#1");
        await using var decoded = DocumentCodecs.OpenDecoded(Name, commit.Document!);
        using var document = await JsonDocument.ParseAsync(decoded, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Empty(document.RootElement.GetProperty("time").GetProperty("unpublished").EnumerateObject());
        Assert.Null(commit.Facts.ModifiedAt);
        Assert.Null(Assert.Single(commit.Events).At);
    }

    [Theory]
    [InlineData("never-held", "5-x", true)]
    [InlineData("held", "5-x", false)]
    [InlineData("removed", "5-x", true)]
    [InlineData("removed", null, false)]
    [InlineData("removed", "the same", false)]
    [InlineData("not/a/name", "5-x", false)]
    public async Task Of_another_mirrors_removals_only_news_are_queued(string name, string? rev, bool isQueued)
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = MetadataMode.All });
        await HoldAsync(bench);
        rev = rev == "the same" ? ServedRevision.Of((await bench.RowAsync("removed"))!) : rev;
        await QueueAsync(bench, new ListedPackage(name, rev));
        Assert.Equal(isQueued ? [(name, rev, true)] : [], await QueuedAsync(bench));
    }

    [Fact]
    public async Task A_package_the_mode_does_not_want_is_not_queued_as_removed()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = MetadataMode.Used });
        await QueueAsync(bench, new ListedPackage("never-held", "5-x"));
        Assert.Empty(await QueuedAsync(bench));
    }

    private static async Task HoldAsync(MirrorBench bench)
    {
        foreach (var name in (string[])["held", "removed"])
        {
            bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
            await bench.SyncAsync(name);
        }

        bench.Upstream.Unpublish("removed");
        await bench.SyncAsync("removed");
    }

    private static Task QueueAsync(MirrorBench bench, ListedPackage listed) =>
        new TombstoneQueue(bench.Store, bench.Queue, new PackageScope(bench.Options), bench.Clock).AddAsync(new[] { listed }.ToAsyncEnumerable(), TestContext.Current.CancellationToken);

    private static async Task<List<(string, string?, bool)>> QueuedAsync(MirrorBench bench) =>
        await bench.Store.Queue.ListQueuedAsync(TestContext.Current.CancellationToken).Select(item => (item.Name.Value, item.WantedRev, item.IsDeletedRow)).ToListAsync(TestContext.Current.CancellationToken);
}
