using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Log;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Following;
using NpmMirror.Tests.Reconciling;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Syncing;

public sealed class PackageSyncTests
{
    private static readonly FakePackage Pad = new FakePackage("left-pad").Version("1.0.0").Version("1.1.0");

    [Claim("The first sight of a package is one event; upstream's bytes are kept verbatim",
        With = [nameof(Keeps_the_upstreams_bytes_verbatim)],
        Red = "`Change.FirstSight` has the event twice; or trailing blanks are cut off before the document is encoded")]
    [Fact]
    public async Task Tells_one_event_of_all_that_is_known_at_first_sight()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        var added = Assert.IsType<PackageAdded>(Assert.Single(await bench.EventsAsync()));
        Assert.Equal(2, added.Versions);
        Assert.Equal("1.1.0", added.Tags["latest"]);
    }

    [Fact]
    public async Task Keeps_the_upstreams_bytes_verbatim()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        Assert.Equal(bench.Upstream.Packument("left-pad"), await bench.DocumentAsync("left-pad"));

        var odd = " {\"versions\" :{}, \"name\":\"b\",\r\n\t\"name\":\"\\u0061\", \"n\":1.0e0}\n\n"u8.ToArray();
        bench.Upstream.Knobs.HasRevision = false;
        bench.Upstream.PutDocument("a", odd);
        await bench.SyncAsync("a");
        Assert.Equal(odd, await bench.DocumentAsync("a"));
    }

    [Claim("The same bytes write nothing; another host or key order gives no event",
        With = [nameof(Another_host_or_key_order_replaces_the_document_without_an_event)],
        Red = "`PackageSync.StoreAsync` does not compare the hashes: the first was red")]
    [Fact]
    public async Task The_same_bytes_again_write_nothing()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        bench.Upstream.Knobs.HasETag = false;
        bench.Upstream.Knobs.HasLastModified = false;
        await bench.SyncAsync("left-pad");
        Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("left-pad"));
        Assert.Equal(1, (await bench.RowAsync("left-pad"))!.Generation);
    }

    [Fact]
    public async Task Another_host_or_key_order_replaces_the_document_without_an_event()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.PutDocument("a", """{"_rev":"1-a","name":"a","versions":{"1.0.0":{"name":"a","version":"1.0.0","dist":{"tarball":"http://one.example.org/a-1.0.0.tgz","shasum":"00"}}}}"""u8.ToArray());
        await bench.SyncAsync("a");
        var other = """{"name":"a","_rev":"1-a","versions":{"1.0.0":{"version":"1.0.0","dist":{"shasum":"00","tarball":"http://two.example.org/x/a-1.0.0.tgz"},"name":"a"}}}"""u8.ToArray();
        bench.Upstream.PutDocument("a", other);
        var stored = Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("a"));
        Assert.Empty(stored.Events);
        Assert.Equal(other, await bench.DocumentAsync("a"));
        Assert.Single(await bench.EventsAsync());
    }

    [Claim("Events hold the data that undoes them; bulky old values are slices of the archived document",
        With = [nameof(Bulky_old_values_are_slices_of_the_archived_document)],
        Red = "`DocumentEvents.Old` no longer sets `ArchivesPrevious`")]
    [Fact]
    public async Task Tells_changes_with_the_data_that_undoes_them()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0").Version("1.1.0"));
        await bench.SyncAsync("left-pad");
        bench.Upstream.PublishVersion("left-pad", "1.2.0");
        bench.Upstream.Deprecate("left-pad", "1.0.0", "use 1.2");
        bench.Upstream.UnpublishVersion("left-pad", "1.1.0");
        bench.Upstream.SetMaintainers("left-pad", "mallory");
        await bench.SyncAsync("left-pad");

        var events = (await bench.EventsAsync()).Skip(1).ToList();
        Assert.Equal("1.2.0", events.OfType<VersionPublished>().Single().Version);
        var deprecated = events.OfType<VersionChanged>().Single().Versions.Single();
        Assert.Equal("1.0.0", deprecated.Version);
        Assert.True(deprecated.Members.Single(member => member.Name == "deprecated").Old.IsAbsent);
        var removed = events.OfType<VersionRemoved>().Single();
        Assert.Equal("1.1.0", JsonNode.Parse(removed.Manifest.Json!)!["version"]!.GetValue<string>());
        Assert.Equal(("1.1.0", "1.2.0"), events.OfType<DistTagMoved>().Select(moved => (moved.From, moved.To)).Single());
        Assert.Contains("alice", events.OfType<MaintainersChanged>().Single().From.Json, StringComparison.Ordinal);
        Assert.Contains("mallory", events.OfType<MaintainersChanged>().Single().To.Json, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bulky_old_values_are_slices_of_the_archived_document()
    {
        await using var bench = await MirrorBench.StartAsync();
        var readme = new string('a', 100_000);
        var before = Encoding.UTF8.GetBytes($$$"""{"_rev":"1-a","name":"a","readme":"{{{readme}}}","versions":{}}""");
        bench.Upstream.PutDocument("a", before);
        await bench.SyncAsync("a");
        bench.Upstream.PutDocument("a", """{"_rev":"2-a","name":"a","readme":"short","versions":{}}"""u8.ToArray());
        await bench.SyncAsync("a");

        var old = (await bench.EventsAsync()).OfType<MetadataChanged>().Single().Members.Single(member => member.Name == "readme").Old;
        Assert.Null(old.Json);
        var archived = await bench.Store.Packages.ReadArchivedAsync(PackageName.Parse("a"), Digest.FromHex(old.Document!), TestContext.Current.CancellationToken);
        Assert.Equal(Digest.OfSha256(before), archived!.Sha256);
        Assert.Equal($"\"{readme}\"", Encoding.UTF8.GetString(before, old.Offset, old.Length));
    }

    [Theory]
    [InlineData(0, 1_000)]
    [InlineData(1, 1_000)]
    [InlineData(999, 1_000)]
    [InlineData(1_000, 1_000)]
    [InlineData(1_001, 1_001)]
    [InlineData(-59_999, 1_000)]
    [InlineData(-60_000, -60_000)]
    [InlineData(-90_000, -90_000)]
    public async Task Each_document_has_a_second_of_its_own_unless_the_clock_was_wrong(int passedMs, int laterMs)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        var first = (await bench.RowAsync("left-pad"))!.Facts.StoredAt;
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        bench.Clock.SetWallAhead(TimeSpan.FromMilliseconds(passedMs));
        await bench.SyncAsync("left-pad");
        Assert.Equal(TimeSpan.FromMilliseconds(laterMs), (await bench.RowAsync("left-pad"))!.Facts.StoredAt - first);
    }

    [Theory]
    [InlineData(0, QueuePriority.Change, false)]
    [InlineData(0, QueuePriority.Bulk, false)]
    [InlineData(0, QueuePriority.ReadThrough, false)]
    [InlineData(1, QueuePriority.Change, true)]
    [InlineData(2, QueuePriority.Bulk, true)]
    [InlineData(0, QueuePriority.Demand, true)]
    public async Task A_second_attempt_and_an_administrator_bypass_caches(int attempts, QueuePriority priority, bool isPast)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad", bench.Item("left-pad") with { Attempts = attempts, Priority = priority });
        Assert.Equal(isPast, bench.Upstream.Requests.Last("/left-pad")!.Target.Contains("cache=0", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_damaged_document_is_written_anew_once_then_asked_for_as_before()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        bench.Sync.NoteDamaged(PackageName.Parse("left-pad"));
        Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad"));
        Assert.Equal(200, bench.Upstream.Requests.Last("/left-pad")!.Status);
        Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("left-pad"));
        Assert.Equal(304, bench.Upstream.Requests.Last("/left-pad")!.Status);
        Assert.Equal(2, (await bench.RowAsync("left-pad"))!.Generation);
        Assert.Single(await bench.EventsAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_package_answered_last_shows_whether_the_upstream_works(bool isUnchanged)
    {
        await using var bench = await MirrorBench.StartAsync();
        foreach (var name in (string[])["z", "m", "n"])
        {
            bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
            await bench.SyncAsync(name);
        }

        if (!isUnchanged)
        {
            bench.Upstream.PublishVersion("z", "2.0.0");
        }

        await bench.SyncAsync("z");
        bench.Upstream.Delete("m");
        bench.Upstream.Requests.Clear();
        var missingSince = bench.Clock.GetUtcNow() - TimeSpan.FromHours(1);
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("m", bench.Item("m") with { MissingSince = missingSince }));
        Assert.Equal(["/m", "/z"], bench.Upstream.Requests.All.Select(request => request.Path));
    }

    [Fact]
    public async Task A_buried_package_keeps_no_validators_and_says_when_and_why()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        var held = (await bench.RowAsync("left-pad"))!;
        Assert.NotNull(held.Facts.ETag);
        bench.Clock.Advance(TimeSpan.FromMinutes(5));
        bench.Upstream.Delete("left-pad");
        await bench.SyncAsync("left-pad", bench.Item("left-pad") with { IsDeletedRow = true });
        var row = (await bench.RowAsync("left-pad"))!;
        var now = bench.Clock.GetUtcNow();
        Assert.Equal((RemovalKind.Gone, null, null, now, now), (row.Facts.Removal, row.Facts.ETag, row.Facts.LastModified, row.Facts.ModifiedAt, row.Facts.StoredAt));
        Assert.Equal((held.Facts.FirstSeenAt, held.DocumentSha256, held.Facts.Upstream), (row.Facts.FirstSeenAt, row.DocumentSha256, row.Facts.Upstream));
        var removed = (await bench.EventsAsync()).OfType<PackageRemoved>().Single();
        Assert.Equal((held.DocumentSha256.Hex, now, null), (removed.Archived, removed.SeenAt, removed.At));
    }

    [Fact]
    public async Task An_unrequested_304_is_no_answer()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/never-seen", Status = 304 });
        var refused = await Assert.ThrowsAsync<MirrorException>(() => bench.SyncAsync("never-seen"));
        Assert.Equal(MirrorFault.UpstreamMalformed, refused.Fault);
        Assert.Contains("304", refused.Message, StringComparison.Ordinal);
    }

    [Claim("A document of another package is refused",
        Red = "`PackumentReader.Read` skips the comparison of names")]
    [Fact]
    public async Task Refuses_a_document_of_another_package()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        bench.Upstream.Publish(new FakePackage("evil").Version("9.9.9"));
        bench.Upstream.Knobs.ServedInstead["left-pad"] = "evil";
        var refused = await Assert.ThrowsAsync<MirrorException>(() => bench.SyncAsync("left-pad"));
        Assert.Equal(MirrorFault.UpstreamMalformed, refused.Fault);
        Assert.Equal(1, (await bench.RowAsync("left-pad"))!.Generation);
    }

    [Claim("A proxy's message in the place of a packument is refused, and the unexplained loss of all versions is believed only after a day",
        With = [nameof(The_unexplained_loss_of_all_versions_is_believed_after_a_day)],
        Red = "what has neither a name nor versions is taken: the first was red; vanished versions are believed at once, or never: the second")]
    [Theory]
    [InlineData("""{"error":"too many requests"}""")]
    [InlineData("{}")]
    [InlineData("""{"name":null,"versions":{}}""")]
    [InlineData("""{"name":17,"versions":"none"}""")]
    public async Task A_message_in_the_place_of_a_packument_is_refused_with_any_status(string body)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        var before = await bench.DocumentAsync("left-pad");
        foreach (var name in (string[])["left-pad", "never-seen"])
        {
            bench.Upstream.Knobs.Add(new FakeRule { Path = $"/{name}", Status = 200, ContentType = "application/json", Body = body });
            Assert.Equal(MirrorFault.UpstreamMalformed, (await Assert.ThrowsAsync<MirrorException>(() => bench.SyncAsync(name))).Fault);
        }

        Assert.Equal(before, await bench.DocumentAsync("left-pad"));
        Assert.Null(await bench.RowAsync("never-seen"));
    }

    [Theory]
    [InlineData("""{"name":"left-pad"}""")]
    [InlineData("""{"_id":"left-pad","_rev":"9-a","name":"left-pad","versions":{},"dist-tags":{}}""")]
    public async Task The_unexplained_loss_of_all_versions_is_believed_after_a_day(string body)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/left-pad", Status = 200, ContentType = "application/json", Body = body });
        var item = bench.Item("left-pad", "9-a");
        Assert.Contains("without any version", (await bench.SyncAsync("left-pad")).RetryBecause, StringComparison.Ordinal);
        Assert.Contains("without any version", (await bench.SyncAsync("left-pad", item)).RetryBecause, StringComparison.Ordinal);
        Assert.Single(await bench.EventsAsync());
        bench.Clock.Advance(TimeSpan.FromHours(24));
        Assert.Contains(Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad", item with { Attempts = RemovalCheck.DoubtTriesMin })).Events, told => told is VersionRemoved);
    }

    [Claim("If the upstream has no revs, a document with an earlier `modified` waits a day; one without `modified`, or with the same, is believed at once",
        With =
        [
            nameof(Without_revs_a_lost_version_is_believed_unless_the_document_is_older),
            $"{nameof(AspNetCore.OperationsTests)}.{nameof(AspNetCore.OperationsTests.A_stale_edge_without_revisions_takes_no_version_away)}",
        ],
        Red = "`RevisionCheck.FindRegression` compares revs only")]
    [Fact]
    public async Task Without_revs_an_older_document_does_not_replace_a_newer_one_for_a_day()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Knobs.HasRevision = false;
        bench.Upstream.PutDocument("a", Dated("2020-02-01", "1.0.0", "1.1.0"));
        await bench.SyncAsync("a");
        var held = await bench.DocumentAsync("a");
        var item = bench.Item("a");
        for (var flips = 0; flips < 2; flips++)
        {
            bench.Upstream.PutDocument("a", Dated("2020-01-01", "1.0.0"));
            Assert.Contains("older than the stored", (await bench.SyncAsync("a", item)).RetryBecause, StringComparison.Ordinal);
            Assert.Contains("older than the stored", (await bench.SyncAsync("a")).RetryBecause, StringComparison.Ordinal);
            Assert.Equal(held, await bench.DocumentAsync("a"));
            bench.Upstream.PutDocument("a", Dated("2020-02-01", "1.0.0", "1.1.0"));
            Assert.Null((await bench.SyncAsync("a", item)).RetryBecause);
        }

        Assert.Single(await bench.EventsAsync());

        // A registry that was restored from a backup.
        bench.Upstream.PutDocument("a", Dated("2020-01-01", "1.0.0"));
        bench.Clock.Advance(TimeSpan.FromHours(24));
        Assert.Null((await bench.SyncAsync("a", item with { Attempts = RemovalCheck.DoubtTriesMin })).RetryBecause);
        Assert.NotEqual(held, await bench.DocumentAsync("a"));
    }

    [Theory]
    [InlineData("2020-02-01")]
    [InlineData("2020-02-02")]
    [InlineData(null)]
    [InlineData("soon")]
    public async Task Without_revs_a_lost_version_is_believed_unless_the_document_is_older(string? modified)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Knobs.HasRevision = false;
        bench.Upstream.PutDocument("a", Dated(modified is null or "soon" ? modified : "2020-02-01", "1.0.0", "1.1.0"));
        await bench.SyncAsync("a");
        bench.Upstream.PutDocument("a", Dated(modified, "1.0.0"));
        Assert.Contains(Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("a")).Events, told => told is VersionRemoved);
    }

    /// <summary>A document without a revision, whose versions are of January 2020, one a day.</summary>
    private static byte[] Dated(string? modified, params string[] versions)
    {
        var time = versions.Select((version, at) => $"\"{version}\":\"2020-01-0{at + 1}T00:00:00.000Z\"").Concat(modified is null ? [] : [$"\"modified\":\"{modified}\""]);
        var manifests = versions.Select(version => $"\"{version}\":{{\"name\":\"a\",\"version\":\"{version}\"}}");
        return System.Text.Encoding.UTF8.GetBytes($"{{\"name\":\"a\",\"versions\":{{{string.Join(',', manifests)}}},\"time\":{{{string.Join(',', time)}}}}}");
    }

    [Claim("A lower rev of the same upstream waits a day; revs of another database are not compared",
        With = [nameof(Revs_of_another_database_are_not_compared)],
        Red = "`PackageSync.FindRegression` always finds none")]
    [Fact]
    public async Task A_lower_rev_of_the_same_upstream_replaces_nothing_for_a_day()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.PutDocument("a", """{"_rev":"7-a","name":"a","versions":{}}"""u8.ToArray());
        await bench.SyncAsync("a");
        bench.Upstream.PutDocument("a", """{"_rev":"6-b","name":"a","description":"older","versions":{}}"""u8.ToArray());
        var item = bench.Item("a");
        Assert.NotNull((await bench.SyncAsync("a", item)).RetryBecause);
        Assert.Equal("7-a", (await bench.RowAsync("a"))!.Facts.Rev);

        bench.Clock.Advance(TimeSpan.FromHours(24));
        Assert.Null((await bench.SyncAsync("a", item with { Attempts = RemovalCheck.DoubtTriesMin })).RetryBecause);
        Assert.Equal("6-b", (await bench.RowAsync("a"))!.Facts.Rev);
    }

    [Fact]
    public async Task Revs_of_another_database_are_not_compared()
    {
        await using var bench = await MirrorBench.StartAsync();
        var url = bench.Known.Identity.ToString();
        bench.Known.Note(UpstreamIdentity.Parse(url + "#first"));
        bench.Upstream.PutDocument("a", """{"_rev":"7-a","name":"a","versions":{}}"""u8.ToArray());
        await bench.SyncAsync("a");
        bench.Known.Note(UpstreamIdentity.Parse(url + "#restored"));
        bench.Upstream.PutDocument("a", """{"_rev":"1-b","name":"a","versions":{}}"""u8.ToArray());
        await bench.SyncAsync("a");
        Assert.Equal("1-b", (await bench.RowAsync("a"))!.Facts.Rev);
    }

    [Claim("An unchanged package after a reset to another database is recognised; an unpublished package may be listed for ever",
        With =
        [
            $"{nameof(ReconcilerTests)}.{nameof(ReconcilerTests.Of_listed_unpublished_packages_only_one_that_returned_is_asked_for)}",
        ],
        Red = "`PackageSync.AdoptAsync` leaves the row as it is: the first was red; `ListPair.IsUnpublishedAsync` is always false: the last")]
    [Fact]
    public async Task The_same_bytes_of_another_database_are_known_as_its_own_from_then_on()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        bench.Known.Note(UpstreamIdentity.Parse(bench.Known.Identity + "#first"));
        await bench.SyncAsync("left-pad");
        var before = (await bench.RowAsync("left-pad"))!;
        var events = (await bench.EventsAsync()).Count;
        bench.Known.Note(UpstreamIdentity.Parse(bench.Known.Identity.ToString().Replace("#first", "#second", StringComparison.Ordinal)));
        Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("left-pad"));

        var after = (await bench.RowAsync("left-pad"))!;
        Assert.Equal(before.Facts with { Upstream = bench.Known.Identity.ToString() }, after.Facts);
        Assert.Equal((before.DocumentSha256, events), (after.DocumentSha256, (await bench.EventsAsync()).Count));
    }

    [Claim("A wanted rev: asked again while the document is older, reached without revs after three fetches over a minute, given up after a day",
        With = [nameof(Without_revs_a_change_or_three_fetches_in_a_minute_reach_a_wanted_rev)],
        Red = "`FindLag` takes every answer for reached, never counts three fetches, or never gives up")]
    [Fact]
    public async Task Asks_for_a_day_while_the_document_is_older_than_the_feed_said()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.PutDocument("a", """{"_rev":"3-a","name":"a","versions":{}}"""u8.ToArray());
        var item = bench.Item("a", "4-b");
        Assert.NotNull((await bench.SyncAsync("a", item)).RetryBecause);
        Assert.Equal("3-a", (await bench.RowAsync("a"))!.Facts.Rev);
        bench.Clock.Advance(TimeSpan.FromHours(24));
        Assert.Null((await bench.SyncAsync("a", item with { Attempts = RemovalCheck.DoubtTriesMin })).RetryBecause);
    }

    public static TheoryData<string, Func<QueueItem, QueueItem>> Doubts() => new()
    {
        { "the feed speaks of a newer revision", item => item with { WantedRev = "9-z" } },
        { "the feed flags a deletion", item => item with { WantedRev = null, IsDeletedRow = true } },
        { "the second attempt", item => item with { WantedRev = null, Attempts = 1 } },
        { "an administrator named it", item => item with { WantedRev = null, Priority = QueuePriority.Demand } },
    };

    [Claim("A 304 that cannot be right is not asked for: another revision is wanted, a second try, a repair, an administrator's refresh, `sync NAME`; the answer says unchanged if it was",
        With =
        [
            nameof(No_304_is_asked_for_if_only_the_feed_has_revisions),
            nameof(A_304_is_believed_where_the_feed_speaks_of_the_revision_that_is_held),
            nameof(A_repair_believes_neither_a_304_nor_a_cache),
            $"{nameof(AspNetCore.OperationsTests)}.{nameof(AspNetCore.OperationsTests.A_refresh_believes_no_304_and_says_unchanged_where_it_was)}",
            $"{nameof(OneShotTests)}.{nameof(OneShotTests.A_named_package_is_fetched_anew_despite_validators_and_caches)}",
            $"{nameof(Sqlite.SqliteStoreTests)}.{nameof(Sqlite.SqliteStoreTests.Gives_out_the_most_urgent_then_the_earliest_due)}",
        ],
        Red = "validators are sent whatever the queue wants: the first two were red; they are sent whatever is to be believed: the first, the fourth, the fifth and the sixth")]
    [Theory]
    [MemberData(nameof(Doubts), DisableDiscoveryEnumeration = true)]
    public async Task A_304_that_cannot_be_right_is_not_asked_for(string doubt, Func<QueueItem, QueueItem> item)
    {
        Assert.NotEmpty(doubt);
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Knobs.IsNeverModified = true;
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("left-pad"));
        Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad", item(bench.Item("left-pad"))));
    }

    [Fact]
    public async Task No_304_is_asked_for_if_only_the_feed_has_revisions()
    {
        await using var bench = await MirrorBench.StartAsync();
        (bench.Upstream.Knobs.IsNeverModified, bench.Upstream.Knobs.HasRevision) = (true, false);
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad", bench.Item("left-pad", "2-b")));
    }

    [Fact]
    public async Task A_304_is_believed_where_the_feed_speaks_of_the_revision_that_is_held()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("left-pad", bench.Item("left-pad", bench.Upstream.Revision("left-pad"))));
        Assert.Equal(304, bench.Upstream.Requests.Last("/left-pad")!.Status);
    }

    [Fact]
    public async Task A_repair_believes_neither_a_304_nor_a_cache()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Knobs.IsNeverModified = true;
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        Assert.IsType<SyncResult.Stored>(await bench.Sync.RepairAsync(PackageName.Parse("left-pad"), TestContext.Current.CancellationToken));
        Assert.Contains("cache=0", bench.Upstream.Requests.Last("/left-pad")!.Target, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_revs_a_change_or_three_fetches_in_a_minute_reach_a_wanted_rev()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.PutDocument("a", """{"name":"a","versions":{}}"""u8.ToArray());
        bench.Upstream.Knobs.HasRevision = false;
        Assert.Null((await bench.SyncAsync("a", bench.Item("a", "1-a"))).RetryBecause);

        var item = bench.Item("a", "2-b");
        Assert.NotNull((await bench.SyncAsync("a", item)).RetryBecause);
        Assert.NotNull((await bench.SyncAsync("a", item with { Attempts = 2 })).RetryBecause);
        bench.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.NotNull((await bench.SyncAsync("a", item with { Attempts = 1 })).RetryBecause);
        Assert.Null((await bench.SyncAsync("a", item with { Attempts = 2 })).RetryBecause);
    }

    [Claim("Without revs the later fetch wins",
        With = [nameof(Without_revs_another_processs_earlier_fetch_does_not_win)],
        Red = "a commit that meets another generation is repeated without a new fetch (names not locked either): the last was red")]
    [Fact]
    public async Task Without_revs_the_later_fetch_wins_however_many_run_at_once()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Knobs.HasRevision = false;
        for (var i = 0; i < 40; i++)
        {
            var earlier = Task.WhenAll(bench.SyncAsync("a"), bench.SyncAsync("a"));
            bench.Upstream.PutDocument("a", Encoding.UTF8.GetBytes($$$"""{"name":"a","description":"{{{i}}}","versions":{}}"""));
            await Task.WhenAll(earlier, bench.SyncAsync("a"), bench.SyncAsync("a"));
            Assert.Equal(bench.Upstream.Packument("a"), await bench.DocumentAsync("a"));
        }
    }

    [Fact]
    public async Task Without_revs_another_processs_earlier_fetch_does_not_win()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Knobs.HasRevision = false;
        bench.Upstream.PutDocument("a", Document("now"));
        using var gate = new FakeGate();
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/a", TimesMax = 1, Gate = gate, Status = 200, ContentType = "application/json", Body = Encoding.UTF8.GetString(Document("before")) });
        var otherProcess = new PackageSync(bench.Store, bench.Client, bench.Known, bench.Tarballs, new PackageNews(), bench.Options, bench.Clock, NullLogger<PackageSync>.Instance);
        var late = otherProcess.SyncAsync(PackageName.Parse("a"), null, TestContext.Current.CancellationToken);
        await gate.WaitForAsync(1, TestContext.Current.CancellationToken);
        await bench.SyncAsync("a");
        gate.Open();
        await late;
        Assert.Equal(Document("now"), await bench.DocumentAsync("a"));

        static byte[] Document(string description) => Encoding.UTF8.GetBytes($$$"""{"name":"a","description":"{{{description}}}","versions":{}}""");
    }

    [Fact]
    public async Task A_404_is_asked_again_for_a_first_change_and_final_for_a_listed_name()
    {
        await using var bench = await MirrorBench.StartAsync();
        Assert.NotNull((await bench.SyncAsync("soon", bench.Item("soon", "1-a"))).RetryBecause);
        Assert.Null((await bench.SyncAsync("never", bench.Item("never", "1-a") with { Priority = QueuePriority.Bulk })).RetryBecause);
    }

    [Claim("A package that the feed says is back is asked for until its document comes, for a day; a deletion without a flag is recognised by its revision",
        Red = "a 404 for one in the graveyard is final (as it was): Following.FollowingProofTests was red with seed 726414085")]
    [Fact]
    public async Task A_404_for_a_package_that_the_feed_says_is_back_is_asked_again()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        await bench.SyncAsync("left-pad");
        var held = (await bench.RowAsync("left-pad"))!.Facts.Rev!;
        bench.Upstream.Delete("left-pad");

        // A deletion that is not flagged: its row names a revision that never comes, and is known afterwards by that.
        var unflagged = bench.Item("left-pad", Next(held, 1)) with { MissingSince = bench.Clock.GetUtcNow() - TimeSpan.FromDays(1), Attempts = RemovalCheck.DoubtTriesMin };
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("left-pad", unflagged));
        Assert.Null((await bench.SyncAsync("left-pad", unflagged)).RetryBecause);

        var back = bench.Item("left-pad", Next(held, 2));
        Assert.NotNull((await bench.SyncAsync("left-pad", back)).RetryBecause);
        Assert.Null((await bench.SyncAsync("left-pad", back with { QueuedAt = back.QueuedAt - PackageSync.DoubtMax, Attempts = RemovalCheck.DoubtTriesMin })).RetryBecause);

        static string Next(string rev, int by) => $"{new Revision(rev).Number + by}-a";
    }

    [Claim("No state from before a commit is served after it, in the process that wrote",
        With =
        [
            $"{nameof(AspNetCore.FreshnessTests)}.{nameof(AspNetCore.FreshnessTests.A_commit_of_this_process_is_served_by_the_next_request)}",
            $"{nameof(AspNetCore.FreshnessTests)}.{nameof(AspNetCore.FreshnessTests.Work_begun_before_a_commit_answers_no_request_after_it)}",
        ],
        Red = "`PackageSync.CommitAsync` does not raise `Committed`")]
    [Fact]
    public async Task Drops_the_served_document_before_the_commit_returns()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(Pad);
        var told = new List<string>();
        bench.News.Changed += (name, _) => told.Add(name.Value);
        await bench.SyncAsync("left-pad");
        Assert.Equal(["left-pad"], told);
    }
}
