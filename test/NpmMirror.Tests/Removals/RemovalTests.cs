using NpmMirror.Feeds;
using NpmMirror.Log;
using NpmMirror.Notes;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Removals;

public sealed class RemovalTests
{
    private static FakePackage Pad => new FakePackage("left-pad").Version("1.0.0");

    [Claim("Removals that are confirmed: a flagged deletion, an unpublish, a security holder",
        With =
        [
            nameof(A_packument_that_says_it_was_unpublished_removes_at_once),
            nameof(A_security_holder_is_served_and_the_replaced_one_archived),
            nameof(A_deletion_has_the_revision_of_the_row_that_told_of_it),
            nameof(Where_documents_have_no_revisions_no_row_is_taken_for_a_deletions),
            nameof(A_package_in_the_graveyard_is_asked_for_if_the_feed_is_ahead),
            nameof(A_package_unpublished_before_it_was_held_is_absent),
        ],
        Red = "`RemovalCheck` does not look at `IsDeletedRow`; `IsUnpublished` is not looked at; `IsSecurityHolder` is not looked at, or the document it replaces is not archived; ")]
    [Fact]
    public async Task A_flagged_deletion_and_a_404_remove_and_keep_the_last_metadata()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        var before = await bench.DocumentAsync("left-pad");
        bench.Upstream.Delete("left-pad");
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", bench.Item("left-pad") with { IsDeletedRow = true }));
        Assert.Equal(RemovalKind.Gone, (await bench.RowAsync("left-pad"))!.Facts.Removal);
        Assert.Equal(before, await bench.DocumentAsync("left-pad"));
        Assert.IsType<PackageRemoved>((await bench.EventsAsync())[^1]);
    }

    [Claim("One 404 removes nothing, nor does a night of them",
        With = [nameof(A_night_in_which_everything_is_404_removes_nothing)],
        Red = "`RemovalCheck.BetweenAnswers` zero; `IsAnotherAliveAsync` always true")]
    [Fact]
    public async Task Two_404s_in_ten_minutes_remove_while_another_lives_and_one_does_not()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        bench.Upstream.Publish(new FakePackage("alive").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        await bench.SyncAsync("alive");
        bench.Upstream.Delete("left-pad");

        var first = await bench.SyncAsync("left-pad", bench.Item("left-pad"));
        Assert.NotNull(first.RetryBecause);
        bench.Clock.Advance(TimeSpan.FromMinutes(9));
        Assert.NotNull((await bench.SyncAsync("left-pad", bench.Item("left-pad") with { MissingSince = first.MissingSince })).RetryBecause);
        bench.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", bench.Item("left-pad") with { MissingSince = first.MissingSince }));
    }

    [Claim("A package that is a 404 and still listed is not gone for a day, so that half a night of 404 removes nothing; one that is blocked, or neither there nor listed, is removed; a list that fails confirms nothing",
        With =
        [
            nameof(An_unlisted_or_blocked_package_is_removed_at_the_second_answer),
            nameof(A_failing_list_confirms_nothing_and_an_upstream_may_have_no_list),
            nameof(A_list_that_was_there_does_not_cease_to_be_because_of_a_404),
            $"{nameof(Following.FollowingProofTests)}.{nameof(Following.FollowingProofTests.Loses_nothing_in_hundreds_of_hostile_hours)}",
            $"{nameof(Following.FetchingHandlerTests)}.{nameof(Following.FetchingHandlerTests.A_package_that_is_listed_and_not_there_counts_as_gone_after_a_day)}",
            $"{nameof(Following.FetchingHandlerTests)}.{nameof(Following.FetchingHandlerTests.A_package_neither_there_nor_listed_is_gone_after_ten_minutes)}",
        ],
        Red = "the list is not asked: the first and the third were red; it is asked for what is blocked: the second; never believed: the first; that there was a list is forgotten, within a run or after a restart: the fourth; the feed is not made known to the check: the simulation was red; the bare monitor does not ask the list, or takes its trouble for a no: the last but one")]
    [Fact]
    public async Task A_listed_package_is_not_gone_within_a_day_despite_many_404s()
    {
        await using var bench = await ListedAsync();
        bench.Upstream.Knobs.Fail("/left-pad", 404);
        var (item, missingSince) = (bench.Item("left-pad"), bench.Clock.GetUtcNow());
        bench.Clock.Advance(TimeSpan.FromHours(23));
        Assert.Contains("lists the package still", (await bench.SyncAsync("left-pad", item with { MissingSince = missingSince })).RetryBecause, StringComparison.Ordinal);
        bench.Clock.Advance(TimeSpan.FromHours(1));
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", item with { MissingSince = missingSince, Attempts = RemovalCheck.DoubtTriesMin }));
    }

    [Theory]
    [InlineData(404, true, RemovalKind.Gone)]
    [InlineData(451, false, RemovalKind.Blocked)]
    public async Task An_unlisted_or_blocked_package_is_removed_at_the_second_answer(int status, bool isDeleted, RemovalKind kind)
    {
        await using var bench = await ListedAsync();
        if (isDeleted)
        {
            bench.Upstream.Delete("left-pad");
        }

        bench.Upstream.Knobs.Fail("/left-pad", status);
        var item = bench.Item("left-pad") with { MissingSince = bench.Clock.GetUtcNow() };
        bench.Clock.Advance(TimeSpan.FromMinutes(10));
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", item));
        Assert.Equal(kind, (await bench.RowAsync("left-pad"))!.Facts.Removal);
    }

    [Fact]
    public async Task A_failing_list_confirms_nothing_and_an_upstream_may_have_no_list()
    {
        await using var bench = await ListedAsync();
        bench.Upstream.Knobs.Fail("/left-pad", 404);
        var failing = bench.Upstream.Knobs.Fail("*/_all_docs", 503);
        var item = bench.Item("left-pad") with { MissingSince = bench.Clock.GetUtcNow() };
        bench.Clock.Advance(TimeSpan.FromMinutes(10));
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => bench.SyncAsync("left-pad", item))).IsTransient);
        bench.Upstream.Knobs.Remove(failing);
        bench.Upstream.Knobs.Fail("*/_all_docs", 404);
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", item));
    }

    [Claim("Until the upstream's list is found, at a start and in a command that does not look for it, no second 404 is believed",
        With =
        [
            nameof(From_its_start_a_mirror_tells_that_its_feed_is_sought),
            $"{nameof(Following.FollowingProofTests)}.{nameof(Following.FollowingProofTests.Loses_nothing_in_hundreds_of_hostile_hours)}",
        ],
        Red = "it is not asked whether the feed is sought: the first was red; a start does not say so: the second")]
    [Fact]
    public async Task While_the_list_is_not_found_yet_nothing_is_believed_gone()
    {
        await using var bench = await ListedAsync();
        bench.Upstream.Knobs.Fail("/left-pad", 404);
        bench.Known.Note(new UpstreamFeed.Seeking());
        var item = bench.Item("left-pad") with { MissingSince = bench.Clock.GetUtcNow() };
        bench.Clock.Advance(TimeSpan.FromMinutes(10));
        Assert.Contains("has not been found yet", (await bench.SyncAsync("left-pad", item)).RetryBecause, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task From_its_start_a_mirror_tells_that_its_feed_is_sought(bool hasFeed)
    {
        await using var bench = await ListedAsync();
        using var gate = new FakeGate();
        bench.Upstream.Knobs.Add(new FakeRule { Path = bench.Upstream.FeedUrl.AbsolutePath, Gate = gate });
        await using var mirror = bench.Mirror(hasFeed);
        await mirror.StartAsync(TestContext.Current.CancellationToken);
        await Eventually.Async(() => gate.WaitingCount > 0 || !hasFeed);
        await Eventually.Async(() => bench.Known.State.Feed is UpstreamFeed.Seeking == hasFeed);
        gate.Open();
        await Eventually.Async(() => bench.Known.State.Feed is not UpstreamFeed.Seeking);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_list_that_was_there_does_not_cease_to_be_because_of_a_404(bool isRestarted)
    {
        await using var bench = await ListedAsync();
        if (isRestarted)
        {
            await new Reconciliation(bench.Clock.GetUtcNow(), bench.Clock.GetUtcNow(), 2, 2, 0, 0, 0, null).KeepAsync(bench.Store, TestContext.Current.CancellationToken);
        }
        else
        {
            Assert.True(await Assert.IsType<UpstreamFeed.Found>(bench.Known.State.Feed).Feed.IsListedAsync("left-pad", TestContext.Current.CancellationToken));
        }

        bench.Upstream.Knobs.Fail("/left-pad", 404);
        bench.Upstream.Knobs.Fail("*/_all_docs", 404);
        var item = bench.Item("left-pad") with { MissingSince = bench.Clock.GetUtcNow() };
        bench.Clock.Advance(TimeSpan.FromMinutes(10));
        if (isRestarted)
        {
            Assert.Contains("no list of packages any more", (await bench.SyncAsync("left-pad", item)).RetryBecause, StringComparison.Ordinal);
        }
        else
        {
            Assert.True((await Assert.ThrowsAsync<MirrorException>(() => bench.SyncAsync("left-pad", item))).IsTransient);
        }

        Assert.False((await bench.RowAsync("left-pad"))!.Facts.IsRemoved);
    }

    [Claim("One package that lives confirms that others went, also after a stretch of names that all went",
        Red = "only the first names are asked")]
    [Fact]
    public async Task A_package_that_lives_after_many_names_that_went_is_found()
    {
        await using var bench = await MirrorBench.StartAsync();
        foreach (var name in new[] { "z", "a", "b", "c", "d", "e" })
        {
            bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
            await bench.SyncAsync(name);
        }

        foreach (var name in new[] { "a", "b", "c", "d", "e" })
        {
            bench.Upstream.Delete(name);
        }

        var missingSince = bench.Clock.GetUtcNow();
        bench.Clock.Advance(TimeSpan.FromMinutes(10));
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("e", bench.Item("e") with { MissingSince = missingSince }));
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("a", bench.Item("a") with { MissingSince = missingSince }));
    }

    /// <summary>Two packages held from an upstream whose feed, and so whose list, is known.</summary>
    private static async Task<MirrorBench> ListedAsync()
    {
        var bench = await MirrorBench.StartAsync();
        bench.Known.Note(new UpstreamFeed.Found(new PagedChangeFeed(bench.Client, bench.Upstream.FeedUrl, new FeedOptions())));
        foreach (var package in new[] { Pad, new FakePackage("alive").Version("1.0.0") })
        {
            bench.Upstream.Publish(package);
            await bench.SyncAsync(package.Name);
        }

        return bench;
    }

    [Fact]
    public async Task A_night_in_which_everything_is_404_removes_nothing()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        bench.Upstream.Publish(new FakePackage("other").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        await bench.SyncAsync("other");
        bench.Upstream.Knobs.Fail("*", 404);
        var missingSince = bench.Clock.GetUtcNow();
        bench.Clock.Advance(TimeSpan.FromHours(1));
        Assert.NotNull((await bench.SyncAsync("left-pad", bench.Item("left-pad") with { MissingSince = missingSince })).RetryBecause);
        Assert.Null((await bench.RowAsync("left-pad"))!.Facts.Removal);
    }

    [Fact]
    public async Task A_packument_that_says_it_was_unpublished_removes_at_once()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        bench.Upstream.Unpublish("left-pad");
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad"));
        Assert.Equal(RemovalKind.Unpublished, (await bench.RowAsync("left-pad"))!.Facts.Removal);
    }

    [Claim("A notice of unpublishing that a cache still sends after a republication neither removes the package nor ends the wait for it",
        With = [nameof(A_notice_from_before_a_republication_does_not_take_it_away)],
        Red = "an unpublished packument is buried without comparing its rev with the stored and the wanted one")]
    [Fact]
    public async Task A_notice_from_before_a_republication_does_not_end_the_wait_for_it()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        bench.Upstream.Unpublish("left-pad");
        bench.Upstream.Publish(Pad.Version("1.1.0"));
        bench.Upstream.Knobs.Lagging["left-pad"] = true;
        var item = bench.Item("left-pad", bench.Upstream.Revision("left-pad"));
        Assert.NotNull(Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", item)).RetryBecause);
        Assert.NotNull(Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("left-pad", item)).RetryBecause);
        bench.Upstream.Knobs.Lagging.Clear();
        Assert.Null(Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad", item)).RetryBecause);
    }

    [Fact]
    public async Task A_notice_from_before_a_republication_does_not_take_it_away()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        bench.Upstream.Unpublish("left-pad");
        bench.Upstream.Publish(Pad.Version("1.1.0"));
        await bench.SyncAsync("left-pad");
        bench.Upstream.Knobs.Lagging["left-pad"] = true;
        Assert.NotNull(Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("left-pad", bench.Item("left-pad"))).RetryBecause);
        Assert.False((await bench.RowAsync("left-pad"))!.Facts.IsRemoved);
    }

    [Fact]
    public async Task A_security_holder_is_served_and_the_replaced_one_archived()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        var before = Digest.OfSha256(await bench.DocumentAsync("left-pad"));
        bench.Upstream.TakeDown("left-pad");
        await bench.SyncAsync("left-pad");
        var row = await bench.RowAsync("left-pad");
        Assert.Equal(RemovalKind.SecurityHolder, row!.Facts.Removal);
        Assert.False(row.Facts.IsRemoved);
        Assert.NotNull(await bench.Store.Packages.ReadArchivedAsync(row.Name, before, TestContext.Current.CancellationToken));
        var removed = Assert.IsType<PackageRemoved>((await bench.EventsAsync())[^1]);
        Assert.Equal((before.Hex, row.Facts.ModifiedAt, row.Facts.Rev), (removed.Archived, removed.At, removed.UpstreamRev));
    }

    [Claim("Compatibility C2: the graveyard",
        With =
        [
            nameof(Deleting_a_package_never_held_leaves_no_tombstone),
            $"{nameof(Sqlite.SqliteStoreTests)}.{nameof(Sqlite.SqliteStoreTests.Has_the_removed_in_the_graveyard_with_their_last_document)}",
            $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Takes_the_republished_out_of_the_graveyard)}",
        ],
        Red = "the old `Removal` stays when a document comes again: the first was red; a removal deletes the document, or `is_removed` is never taken back: the two of SQLite were red")]
    [Fact]
    public async Task A_package_that_comes_back_leaves_the_graveyard()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        bench.Upstream.Delete("left-pad");
        await bench.SyncAsync("left-pad", bench.Item("left-pad") with { IsDeletedRow = true });
        bench.Upstream.Publish(Pad.Version("2.0.0"));
        Assert.True(Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad")).IsNew);
        Assert.Null((await bench.RowAsync("left-pad"))!.Facts.Removal);
        Assert.Contains(await bench.EventsAsync(), e => e is PackageRestored);
        Assert.Contains(await bench.EventsAsync(), e => e is VersionPublished { Version: "2.0.0" });
    }

    [Claim("A package that comes back with the very bytes it had leaves the graveyard",
        Red = "`PackageSync.StoreAsync` does not compare the removal")]
    [Fact]
    public async Task A_package_that_comes_back_with_the_same_bytes_leaves_the_graveyard()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        var before = (await bench.RowAsync("left-pad"))!.DocumentSha256;
        var gone = bench.Upstream.Knobs.Fail("/left-pad", 404);
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", bench.Item("left-pad") with { IsDeletedRow = true }));
        bench.Upstream.Knobs.Remove(gone);
        Assert.True(Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad")).IsNew);
        var row = (await bench.RowAsync("left-pad"))!;
        Assert.Equal((null, before), (row.Facts.Removal, row.DocumentSha256));
        var restored = Assert.IsType<PackageRestored>((await bench.EventsAsync())[^1]);
        Assert.Equal((row.Facts.ModifiedAt, row.Facts.Rev, bench.Clock.GetUtcNow()), (restored.At, restored.UpstreamRev, restored.SeenAt));
    }

    [Theory]
    [InlineData("same", false)]
    [InlineData("99-x", true)]
    public async Task A_second_removal_by_another_mirror_is_buried_by_its_revision(string rev, bool isAnew)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        bench.Upstream.Unpublish("left-pad");
        await bench.SyncAsync("left-pad");
        var told = rev == "same" ? ServedRevision.Of((await bench.RowAsync("left-pad"))!) : rev;
        Tell(bench, "left-pad", 404, $$$"""{"error":"not_found","removed":{"kind":"Gone","reason":"by a mirror","at":"2030-01-02T03:04:05Z","rev":"{{{told}}}"}}""");
        var events = (await bench.EventsAsync()).Count;
        Assert.Equal(isAnew, await bench.SyncAsync("left-pad") is SyncResult.Removed);
        Assert.Equal(events + (isAnew ? 1 : 0), (await bench.EventsAsync()).Count);
        Assert.Equal(told, ServedRevision.Of((await bench.RowAsync("left-pad"))!));
    }

    [Theory]
    [InlineData(404, RemovalKind.Gone)]
    [InlineData(451, RemovalKind.Blocked)]
    public async Task An_earlier_removal_of_another_mirror_is_kept_as_told(int status, RemovalKind kind)
    {
        await using var bench = await MirrorBench.StartAsync();
        Tell(bench, "never-held", status, """{"error":"not_found","removed":{"kind":"Gone","reason":"by a mirror","at":"2030-01-02T03:04:05Z","rev":"7-x"}}""");
        Assert.IsType<SyncResult.Absent>(await bench.SyncAsync("never-held", bench.Item("never-held", "7-x")));
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("never-held", bench.Item("never-held", "7-x") with { IsDeletedRow = true }));
        var facts = (await bench.RowAsync("never-held"))!.Facts;
        Assert.Equal((kind, "by a mirror", "7-x"), (facts.Removal!.Value, facts.RemovalReason, facts.Rev));
    }

    [Theory]
    [InlineData(0, false, false)]
    [InlineData(-1, false, false)]
    [InlineData(1, false, true)]
    [InlineData(1, true, true)]
    [InlineData(0, true, true)]
    public async Task A_deletion_has_the_revision_of_the_row_that_told_of_it(int ahead, bool isDeletedRow, bool isTold)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        bench.Upstream.Touch("left-pad");
        await bench.SyncAsync("left-pad");
        var held = (await bench.RowAsync("left-pad"))!.Facts.Rev!;
        var wanted = ahead == 0 ? held : $"{new Revision(held).Number + ahead}-x";
        bench.Upstream.Delete("left-pad");
        var item = bench.Item("left-pad", wanted) with { IsDeletedRow = isDeletedRow, MissingSince = bench.Clock.GetUtcNow() - TimeSpan.FromDays(1), Attempts = RemovalCheck.DoubtTriesMin };
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", item));
        Assert.Equal(isTold ? wanted : null, Assert.IsType<PackageRemoved>((await bench.EventsAsync())[^1]).UpstreamRev);

        // A follower with the last document takes it for something newer.
        var told = (await bench.RowAsync("left-pad"))!.Facts.Rev!;
        Assert.True(new Revision(held).IsBefore(new Revision(told)));
    }

    [Fact]
    public async Task Where_documents_have_no_revisions_no_row_is_taken_for_a_deletions()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Knobs.HasRevision = false;
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        Assert.Null((await bench.RowAsync("left-pad"))!.Facts.Rev);
        bench.Upstream.Delete("left-pad");
        var item = bench.Item("left-pad", "7-x") with { MissingSince = bench.Clock.GetUtcNow() - TimeSpan.FromDays(1), Attempts = RemovalCheck.DoubtTriesMin };
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", item));
        Assert.Null(Assert.IsType<PackageRemoved>((await bench.EventsAsync())[^1]).UpstreamRev);
    }

    [Theory]
    [InlineData(-1, false)]
    [InlineData(0, false)]
    [InlineData(1, true)]
    public async Task A_package_in_the_graveyard_is_asked_for_if_the_feed_is_ahead(int ahead, bool isAskedAgain)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        bench.Upstream.Touch("left-pad");
        await bench.SyncAsync("left-pad");
        bench.Upstream.Delete("left-pad");
        await bench.SyncAsync("left-pad", bench.Item("left-pad") with { IsDeletedRow = true });
        var removedAs = (await bench.RowAsync("left-pad"))!.Facts.Rev!;
        var wanted = ahead == 0 ? removedAs : $"{new Revision(removedAs).Number + ahead}-x";
        Assert.Equal(isAskedAgain, (await bench.SyncAsync("left-pad", bench.Item("left-pad", wanted))).RetryBecause is not null);
    }

    [Theory]
    [InlineData(null, false, false)]
    [InlineData("99-x", false, true)]
    [InlineData("99-x", true, false)]
    public async Task A_package_unpublished_before_it_was_held_is_absent(string? wanted, bool isDeletedRow, bool isAskedAgain)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        bench.Upstream.Unpublish("left-pad");
        var absent = Assert.IsType<SyncResult.Absent>(await bench.SyncAsync("left-pad", bench.Item("left-pad", wanted) with { IsDeletedRow = isDeletedRow }));
        Assert.Equal((404, isAskedAgain), (absent.Status, absent.RetryBecause is not null));
        Assert.Null(await bench.RowAsync("left-pad"));
    }

    [Fact]
    public async Task Deleting_a_package_never_held_leaves_no_tombstone()
    {
        await using var bench = await MirrorBench.StartAsync();
        Assert.IsType<SyncResult.Absent>(await bench.SyncAsync("nobody", bench.Item("nobody") with { IsDeletedRow = true }));
        Assert.Null(await bench.RowAsync("nobody"));
        Assert.Empty(await bench.EventsAsync());
    }

    private static void Tell(MirrorBench bench, string name, int status, string body) =>
        bench.Upstream.Knobs.Add(new FakeRule { Path = $"/{name}", Status = status, ContentType = "application/json", Body = body });
}
