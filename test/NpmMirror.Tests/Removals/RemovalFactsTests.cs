using NpmMirror.Log;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Removals;

/// <summary>What the row and the event of a removal say: why, when, and under which revision.</summary>
public sealed class RemovalFactsTests
{
    private const string Notice = """{"error":"not_found","reason":"by a mirror","removed":{"kind":"Gone","reason":"told by a mirror","at":"2030-01-02T03:04:05Z","rev":"99-x"}}""";

    private static readonly DateTimeOffset At = new(2030, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A removal tells the upstream's reason, its time and its revision, and those of another mirror where that tells them",
        With = [nameof(A_removal_without_a_notice_tells_the_reason_of_the_answer), nameof(An_unpublish_tells_the_time_and_the_revision_of_its_document)],
        Red = "`RemoveAsync` or `BuryAsync` leaves out the reason, the time or the revision")]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_removal_by_another_mirror_tells_its_reason_time_and_revision(bool isSecond)
    {
        await using var bench = await HeldAsync();
        if (isSecond)
        {
            bench.Upstream.Unpublish("left-pad");
            await bench.SyncAsync("left-pad");
        }

        var before = (await bench.RowAsync("left-pad"))!;
        bench.Clock.Advance(TimeSpan.FromHours(1));
        Answer(bench, 404, Notice);
        var removed = Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", bench.Item("left-pad") with { IsDeletedRow = true }));
        var told = Assert.IsType<PackageRemoved>(Assert.Single(removed.Events));
        Assert.Equal(("told by a mirror", At, "99-x", bench.Clock.GetUtcNow()), (told.Reason, told.At, told.UpstreamRev, told.SeenAt));
        var facts = (await bench.RowAsync("left-pad"))!.Facts;
        Assert.Equal(("told by a mirror", At, "99-x", bench.Clock.GetUtcNow()), (facts.RemovalReason, facts.ModifiedAt, facts.Rev, facts.StoredAt));
        Assert.Equal((null, null), (facts.ETag, facts.LastModified));
        Assert.StartsWith(ServedRevision.Of(before), facts.Ancestors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_removal_without_a_notice_tells_the_reason_of_the_answer()
    {
        await using var bench = await HeldAsync();
        bench.Clock.Advance(TimeSpan.FromHours(1));
        Answer(bench, 451, """{"error":"blocked by an order"}""");
        var removed = Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", bench.Item("left-pad") with { IsDeletedRow = true }));
        var told = Assert.IsType<PackageRemoved>(Assert.Single(removed.Events));
        Assert.Contains("blocked by an order", told.Reason, StringComparison.Ordinal);
        var facts = (await bench.RowAsync("left-pad"))!.Facts;

        // The upstream gives no time: it went when it was seen.
        Assert.Equal((told.Reason, bench.Clock.GetUtcNow()), (facts.RemovalReason, facts.ModifiedAt));

        // Of a package that was never held too.
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/other", Status = 451, ContentType = "application/json", Body = """{"error":"blocked by an order"}""" });
        Assert.Equal(told.Reason, Assert.IsType<SyncResult.Absent>(await bench.SyncAsync("other")).Reason);
    }

    [Fact]
    public async Task A_deletion_under_an_earlier_revision_is_not_its_own_ancestor()
    {
        await using var bench = await HeldAsync();
        var gone = Answer(bench, 404, Notice);
        await bench.SyncAsync("left-pad", bench.Item("left-pad") with { IsDeletedRow = true });
        bench.Upstream.Knobs.Remove(gone);
        Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad"));
        var restored = (await bench.RowAsync("left-pad"))!.Facts;
        Assert.Contains("99-x", restored.Ancestors, StringComparison.Ordinal);
        Answer(bench, 404, Notice);
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", bench.Item("left-pad") with { IsDeletedRow = true }));
        var facts = (await bench.RowAsync("left-pad"))!.Facts;
        Assert.Equal(("99-x", restored.Rev), (facts.Rev, facts.Ancestors));
    }

    [Fact]
    public async Task An_unpublish_tells_the_time_and_the_revision_of_its_document()
    {
        await using var bench = await HeldAsync();
        bench.Clock.Advance(TimeSpan.FromHours(1));
        bench.Upstream.Unpublish("left-pad");
        var removed = Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad"));
        var told = Assert.IsType<PackageRemoved>(Assert.Single(removed.Events));
        Assert.Equal("unpublished upstream", told.Reason);
        Assert.Equal(bench.Upstream.Revision("left-pad"), told.UpstreamRev);
        var facts = (await bench.RowAsync("left-pad"))!.Facts;
        Assert.NotEqual(bench.Clock.GetUtcNow(), facts.ModifiedAt);
        Assert.Equal((told.Reason, told.At, told.UpstreamRev), (facts.RemovalReason, facts.ModifiedAt, facts.Rev));
    }

    [Theory]
    [InlineData(RemovalCheck.DoubtTriesMin, 86_400, true)]
    [InlineData(RemovalCheck.DoubtTriesMin, 86_399, false)]
    public async Task An_older_notice_of_unpublishing_is_believed_after_a_day_of_tries(int attempts, int seconds, bool isRemoved)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        bench.Upstream.Unpublish("left-pad");
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0").Version("1.1.0"));
        await bench.SyncAsync("left-pad");
        bench.Upstream.Knobs.Lagging["left-pad"] = true;
        var item = bench.Item("left-pad") with { Attempts = attempts, QueuedAt = bench.Clock.GetUtcNow() - TimeSpan.FromSeconds(seconds) };
        Assert.Equal(isRemoved, await bench.SyncAsync("left-pad", item) is SyncResult.Removed);
    }

    private static async Task<MirrorBench> HeldAsync()
    {
        var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        Assert.NotNull((await bench.Store.Packages.FindAsync(PackageName.Parse("left-pad"), Token))!.Facts.ETag);
        return bench;
    }

    private static FakeRule Answer(MirrorBench bench, int status, string body) =>
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/left-pad", Status = status, ContentType = "application/json", Body = body });
}
