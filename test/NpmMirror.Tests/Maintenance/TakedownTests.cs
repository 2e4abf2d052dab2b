using System.Text;
using System.Text.Json.Nodes;
using NpmMirror.Log;
using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Maintenance;

public sealed class TakedownTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("Takedowns of every kind are distinguished, and the clients that had fetched them are known (never-again 12)",
        With =
        [
            nameof(Names_the_clients_that_had_fetched_it_before_and_those_that_still_do),
            $"{nameof(Cli.MaintenanceCommandTests)}.{nameof(Cli.MaintenanceCommandTests.Removed_names_takedowns_and_the_clients_that_fetched_them)}",
            nameof(A_version_that_came_back_with_a_package_that_then_went_is_not_back),
            nameof(Clients_beyond_those_that_are_listed_are_counted_once_each),
            nameof(Of_a_whole_package_the_first_and_last_day_of_any_of_its_files_count),
        ],
        Red = "the kind of the event is not read, removed versions are left out, or the start is looked for an hour too late: the first was red; every access counts as one before, or those of other files do too: the second; removed versions are left out: the last too; `IsBack` looks at the version only")]
    [Fact]
    public async Task Lists_each_kind_of_takedown_with_its_tarballs_and_time()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        foreach (var name in (string[])["unpublished", "held", "gone", "blocked", "part"])
        {
            await bench.HoldAsync(name, "1.0.0", "2.0.0");
        }

        bench.Upstream.Unpublish("unpublished");
        bench.Upstream.TakeDown("held");
        bench.Upstream.Delete("gone");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        bench.Upstream.Knobs.Fail("/blocked", 451);
        foreach (var name in (string[])["unpublished", "held", "gone", "blocked", "part"])
        {
            bench.Clock.Advance(TimeSpan.FromHours(1));
            var item = new QueueItem { Name = PackageName.Parse(name), Priority = QueuePriority.Change, DueAt = bench.Clock.GetUtcNow(), QueuedAt = bench.Clock.GetUtcNow(), IsDeletedRow = name is "gone" or "blocked" };
            await bench.SyncAsync(name, item);
        }

        var now = bench.Clock.GetUtcNow();
        Assert.Equal(
            [
                ("unpublished", null, RemovalKind.Unpublished, now.AddHours(-4)),
                ("held", null, RemovalKind.SecurityHolder, now.AddHours(-3)),
                ("gone", null, RemovalKind.Gone, now.AddHours(-2)),
                ("blocked", null, RemovalKind.Blocked, now.AddHours(-1)),
                ("part", "1.0.0", RemovalKind.Unpublished, now),
            ],
            (await ListAsync(bench)).Select(takedown => (takedown.Package.Value, takedown.Version, takedown.Kind, takedown.SeenAt)));
        Assert.All(await ListAsync(bench), takedown => Assert.False(takedown.IsBack));
        Assert.Equal((await bench.Store.Packages.FindAsync(PackageName.Parse("unpublished"), Cancelled))!.Facts.ModifiedAt, (await ListAsync(bench, package: "unpublished")).Single().At);
        Assert.Equal(["blocked", "part"], (await ListAsync(bench, since: now.AddMinutes(-90))).Select(takedown => takedown.Package.Value));
        Assert.Equal("part", Assert.Single(await ListAsync(bench, package: "part")).Package.Value);
        Assert.Empty((await bench.VerifyAsync()).Findings);

        bench.Upstream.PublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        Assert.True(Assert.Single(await ListAsync(bench, package: "part")).IsBack);
        await bench.HoldAsync("gone", "3.0.0");
        Assert.True((await ListAsync(bench, package: "gone"))[0].IsBack);
    }

    [Fact]
    public async Task Names_the_clients_that_had_fetched_it_before_and_those_that_still_do()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        var day = DateOnly.FromDateTime(bench.Clock.GetUtcNow().UtcDateTime);
        TarballAccess Fetched(string file, string client, int days, long count) => new(PackageName.Parse("part"), file, client, day.AddDays(days), count);
        await bench.Store.Tarballs.RecordAccessAsync(
            [Fetched("part-1.0.0.tgz", "10.0.0.1", -9, 2), Fetched("part-1.0.0.tgz", "10.0.0.1", 0, 1), Fetched("part-1.0.0.tgz", "10.0.0.2", 1, 4), Fetched("part-2.0.0.tgz", "10.0.0.3", -1, 1)], Cancelled);
        Assert.Equal(
            [new TakedownClient("10.0.0.1", 3, 0, day.AddDays(-9), day), new TakedownClient("10.0.0.2", 0, 4, day.AddDays(1), day.AddDays(1))],
            Assert.Single(await ListAsync(bench)).Clients);
    }

    [Claim("A takedown seen before a clock was set back by less than an hour is listed",
        Red = "`Takedowns.ClockSetBackMax` is zero")]
    [Theory]
    [InlineData(1)]
    [InlineData(59)]
    [InlineData(60)]
    public async Task A_takedown_seen_before_a_clock_was_set_back_is_listed(int minutesBack)
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("early", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromDays(1));
        bench.Upstream.Unpublish("early");
        await bench.SyncAsync("early");
        var seenAt = bench.Clock.GetUtcNow();
        bench.Clock.SetWallAhead(TimeSpan.FromMinutes(-minutesBack));

        // Most of the log comes after it, with earlier times.
        string[] later = ["a", "b", "c", "d", "e", "f", "g", "h"];
        foreach (var name in later)
        {
            await bench.HoldAsync(name, "1.0.0");
        }

        Assert.Equal("early", Assert.Single(await ListAsync(bench, since: seenAt)).Package.Value);
    }

    [Claim("The document of a removed package outlives its return",
        Red = "`BuryAsync` does not archive it")]
    [Fact]
    public async Task A_removed_package_that_returns_leaves_its_last_document_archived()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("left-pad", "1.0.0");
        var before = (await bench.Store.Packages.FindAsync(PackageName.Parse("left-pad"), Cancelled))!.DocumentSha256;
        bench.Upstream.Unpublish("left-pad");
        await bench.SyncAsync("left-pad");
        await bench.HoldAsync("left-pad", "2.0.0");
        Assert.NotNull(await bench.Store.Packages.ReadArchivedAsync(PackageName.Parse("left-pad"), before, Cancelled));
        Assert.Empty((await bench.VerifyAsync()).Findings);
    }

    [Claim("Purge drops tarballs, documents and payloads, only if an option says so; events, digests and the chain stay",
        With =
        [
            nameof(A_version_is_purged_with_its_tarball_and_manifest_and_the_others_stay),
            nameof(A_purged_package_can_come_back),
            $"{nameof(Sqlite.SqliteStoreTests)}.{nameof(Sqlite.SqliteStoreTests.Purges_payloads_and_documents_and_the_chain_still_verifies)}",
            $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Purges_payloads_and_documents_and_the_chain_still_verifies)}",
            nameof(A_version_is_purged_and_not_the_rest_that_went_another_way),
            nameof(A_version_that_is_only_hidden_stays_where_its_package_once_was_purged),
            nameof(A_version_that_was_unpublished_and_is_back_is_not_purged),
            nameof(A_purge_of_a_replaced_package_spares_its_security_holder),
            nameof(Earlier_removals_are_purged_once_a_mode_is_set_to_purge),
            nameof(A_tarball_that_is_served_while_it_is_purged_goes_all_the_same),
        ],
        Red = "payloads are not looked at: the first two were red; each condition of `PurgePlan` left out, one at a time")]
    [Theory]
    [InlineData(RemovedMode.Hide)]
    [InlineData(RemovedMode.Keep)]
    [InlineData(RemovedMode.Purge)]
    public async Task A_whole_package_is_purged_only_where_the_option_says_so(RemovedMode mode)
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Removed.Unpublished = mode);
        await bench.HoldAsync("left-pad", "1.0.0");
        bench.Upstream.Deprecate("left-pad", "1.0.0", "a secret word");
        await bench.SyncAsync("left-pad");
        bench.Upstream.Deprecate("left-pad", "1.0.0", "no word");
        await bench.SyncAsync("left-pad");
        bench.Upstream.Unpublish("left-pad");
        await bench.SyncAsync("left-pad");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        var (row, head) = ((await bench.RowAsync("left-pad"))!, await bench.Store.Log.ReadHeadAsync(Cancelled));

        var dry = (await bench.CollectAsync(isDryRun: true)).Collected;
        Assert.Equal(dry.FreedBytes, (await bench.CollectAsync()).Collected.FreedBytes);
        var isPurged = mode == RemovedMode.Purge;
        Assert.Equal(isPurged, !await bench.IsStoredAsync(row));
        Assert.Equal(isPurged, await bench.RowAsync("left-pad") is null);
        Assert.Equal(isPurged ? DocumentCodec.Purged : DocumentCodecs.Usual, (await bench.Store.Packages.ReadAsync(row.Package, Cancelled))!.Document.Codec);
        Assert.Equal(!isPurged, await bench.Store.Log.ReadLogAsync(LogPosition.Zero, Cancelled).AnyAsync(past => past.Payload is { } payload && Encoding.UTF8.GetString(payload.Span).Contains("a secret word", StringComparison.Ordinal), Cancelled));

        // Package, time and kind stay, and the chain still leads to the same head.
        Assert.Equal((RemovalKind.Unpublished, false), Assert.Single(await ListAsync(bench)) is var told ? (told.Kind, told.IsPurged) : default);
        var (findings, summary) = await bench.VerifyAsync();
        Assert.Empty(findings);
        Assert.Equal(head, summary.Head);
        Assert.Empty((await bench.CollectAsync()).Items);
    }

    [Fact]
    public async Task A_purged_package_can_come_back()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Removed.Gone = RemovedMode.Purge);
        await bench.HoldAsync("left-pad", "1.0.0");
        bench.Upstream.Delete("left-pad");
        var item = new QueueItem { Name = PackageName.Parse("left-pad"), Priority = QueuePriority.Change, DueAt = bench.Clock.GetUtcNow(), QueuedAt = bench.Clock.GetUtcNow(), IsDeletedRow = true };
        await bench.SyncAsync("left-pad", item);
        bench.Clock.Advance(TimeSpan.FromDays(2));
        await bench.CollectAsync();
        await bench.HoldAsync("left-pad", "1.0.0", "2.0.0");
        Assert.Null((await bench.Store.Packages.FindAsync(PackageName.Parse("left-pad"), Cancelled))!.Facts.Removal);
        Assert.NotNull(await bench.RowAsync("left-pad", "2.0.0"));
        Assert.Empty((await bench.VerifyAsync()).Findings);
        Assert.Empty((await bench.CollectAsync()).Items);
    }

    [Theory]
    [InlineData(RemovedMode.Purge)]
    [InlineData(RemovedMode.Hide)]
    public async Task A_version_is_purged_with_its_tarball_and_manifest_and_the_others_stay(RemovedMode modeWhenItWent)
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Removed.Unpublished = modeWhenItWent);
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        Assert.Equal(modeWhenItWent == RemovedMode.Purge, (await bench.CollectAsync()).Items.Count > 0);

        bench.Options.Removed.Unpublished = RemovedMode.Purge;
        await bench.CollectAsync();
        Assert.Null(await bench.RowAsync("part", "1.0.0"));
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("part", "2.0.0"))!));
        var told = Assert.Single(await ListAsync(bench));

        // Its name stays where the manifest was kept beside the event from the start; where the payload quoted it, both went.
        Assert.Equal(modeWhenItWent == RemovedMode.Purge ? ("1.0.0", false) : (null, true), (told.Version, told.IsPurged));
        Assert.Empty((await bench.VerifyAsync()).Findings);
        Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("part"));
    }

    [Fact]
    public async Task A_version_that_came_back_with_a_package_that_then_went_is_not_back()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Upstream.PublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        await DeleteAsync(bench, "part");
        Assert.Equal([false, false], (await ListAsync(bench)).Select(takedown => takedown.IsBack));
    }

    [Fact]
    public async Task Clients_beyond_those_that_are_listed_are_counted_once_each()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        var (name, day) = (PackageName.Parse("part"), DateOnly.FromDateTime(bench.Clock.GetUtcNow().UtcDateTime));
        await bench.Store.Tarballs.RecordAccessAsync([.. Enumerable.Range(0, 10_002).SelectMany(i => (TarballAccess[])[new(name, "part-1.0.0.tgz", $"c{i:00000}", day, 1), new(name, "part-1.0.0.tgz", $"c{i:00000}", day.AddDays(1), 1)])], Cancelled);
        var takedown = Assert.Single(await ListAsync(bench));
        Assert.Equal((10_000, 10_002L), (takedown.Clients.Count, takedown.ClientCount));
    }

    [Fact]
    public async Task Of_a_whole_package_the_first_and_last_day_of_any_of_its_files_count()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("whole", "1.0.0", "2.0.0");
        bench.Upstream.Unpublish("whole");
        await bench.SyncAsync("whole");
        var (name, day) = (PackageName.Parse("whole"), DateOnly.FromDateTime(bench.Clock.GetUtcNow().UtcDateTime));
        TarballAccess Fetched(string version, string client, int days) => new(name, $"whole-{version}.tgz", client, day.AddDays(days), 1);
        await bench.Store.Tarballs.RecordAccessAsync([Fetched("1.0.0", "a", -2), Fetched("2.0.0", "a", -5), Fetched("1.0.0", "b", -5), Fetched("2.0.0", "b", -2)], Cancelled);
        Assert.Equal(
            [new TakedownClient("a", 2, 0, day.AddDays(-5), day.AddDays(-2)), new TakedownClient("b", 2, 0, day.AddDays(-5), day.AddDays(-2))],
            Assert.Single(await ListAsync(bench)).Clients);
    }

    [Fact]
    public async Task A_version_is_purged_and_not_the_rest_that_went_another_way()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Removed.Unpublished = RemovedMode.Purge);
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        await DeleteAsync(bench, "part");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        await bench.CollectAsync();
        Assert.Null(await bench.RowAsync("part", "1.0.0"));
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("part", "2.0.0"))!));
        Assert.Equal(DocumentCodecs.Usual, (await bench.Store.Packages.ReadAsync(PackageName.Parse("part"), Cancelled))!.Document.Codec);
        Assert.Empty((await bench.VerifyAsync()).Findings);
    }

    [Fact]
    public async Task A_version_that_is_only_hidden_stays_where_its_package_once_was_purged()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Removed.Gone = RemovedMode.Purge);
        await bench.HoldAsync("part", "1.0.0");
        await DeleteAsync(bench, "part");
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        await bench.CollectAsync();
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("part", "1.0.0"))!));
    }

    [Fact]
    public async Task A_version_that_was_unpublished_and_is_back_is_not_purged()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Removed.Unpublished = RemovedMode.Purge);
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Upstream.PublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        await bench.CollectAsync();
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("part", "1.0.0"))!));
    }

    [Claim("A purge leaves a document that is also the one held now, and goes on where one of the past is damaged",
        With = [nameof(A_damaged_document_of_the_past_is_purged_too)],
        Red = "`PurgePlan` does not leave out the row's document: the first was red; a damaged one throws: the last")]
    [Fact]
    public async Task A_document_of_the_past_that_is_held_again_is_not_purged()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        var name = PackageName.Parse("part");
        bench.Upstream.Knobs.HasRevision = false;
        await HoldLargeAsync(bench, "2.0.0", "3.0.0");

        // Without a revision and a time the same bytes can come again.
        var first = (await bench.Store.Packages.ReadAsync(name, Cancelled))!.Document;
        using var budget = new ByteBudget(1_000_000);
        using var document = await DocumentCodecs.DecodeAsync(name, first, budget, Cancelled);
        var json = JsonNode.Parse(document.Bytes)!.AsObject();
        json["time"]!.AsObject().Remove("modified");
        var bytes = Encoding.UTF8.GetBytes(json.ToJsonString());
        bench.Upstream.PutDocument("part", bytes);
        await bench.SyncAsync("part");
        var again = (await bench.Store.Packages.ReadAsync(name, Cancelled))!;
        bench.Upstream.UnpublishVersion("part", "3.0.0");
        await bench.SyncAsync("part");
        bench.Upstream.PublishVersion("part", "1.0.0", version => version.Extra["long"] = new string('x', 10_000));
        await bench.SyncAsync("part");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Upstream.PutDocument("part", bytes);
        Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("part"));
        Assert.Equal(again.Row.DocumentSha256, (await bench.Store.Packages.FindAsync(name, Cancelled))!.DocumentSha256);
        bench.Clock.Advance(TimeSpan.FromDays(2));

        bench.Options.Removed.Unpublished = RemovedMode.Purge;
        Assert.NotEmpty((await bench.CollectAsync()).Items);
        Assert.Null(await bench.RowAsync("part", "1.0.0"));
        Assert.True((await bench.Store.Packages.ReadAsync(name, Cancelled))!.Document.Bytes.Span.SequenceEqual(again.Document.Bytes.Span));
        Assert.Empty((await bench.VerifyAsync()).Findings);
    }

    [Theory]
    [InlineData("77")]
    [InlineData("'zip'")]
    public async Task A_damaged_document_of_the_past_is_purged_too(string codec)
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await HoldLargeAsync(bench, "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Tamper($"UPDATE archive SET codec = {codec}");
        Assert.Equal([VerifyFault.ArchiveDamaged, VerifyFault.ArchiveDamaged], (await bench.VerifyAsync()).Findings.Select(finding => finding.Fault));
        bench.Clock.Advance(TimeSpan.FromDays(2));

        bench.Options.Removed.Unpublished = RemovedMode.Purge;
        Assert.Contains((await bench.CollectAsync()).Items, item => item.Subject == "part" && item.SizeBytes > 0);
        Assert.Null(await bench.RowAsync("part", "1.0.0"));
        Assert.Empty((await bench.VerifyAsync()).Findings);
    }

    [Fact]
    public async Task A_purge_of_a_replaced_package_spares_its_security_holder()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Removed.SecurityHolder = RemovedMode.Purge);
        await bench.HoldAsync("bad", "1.0.0");
        bench.Upstream.TakeDown("bad");
        await bench.SyncAsync("bad");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        await bench.CollectAsync();
        Assert.Null(await bench.RowAsync("bad", "1.0.0"));
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("bad", "0.0.1-security"))!));
        Assert.Equal(DocumentCodecs.Usual, (await bench.Store.Packages.ReadAsync(PackageName.Parse("bad"), Cancelled))!.Document.Codec);
        Assert.Empty((await bench.VerifyAsync()).Findings);
    }

    [Fact]
    public async Task Earlier_removals_are_purged_once_a_mode_is_set_to_purge()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Removed.Gone = RemovedMode.Purge);
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        Assert.Empty((await bench.CollectAsync()).Items);
        bench.Options.Removed.Unpublished = RemovedMode.Purge;
        await bench.CollectAsync();
        Assert.Null(await bench.RowAsync("part", "1.0.0"));
    }

    [Fact]
    public async Task A_tarball_that_is_served_while_it_is_purged_goes_all_the_same()
    {
        MaintenanceBench? bench = null;
        var served = 0;
        await using var owned = bench = await MaintenanceBench.StartAsync(options => options.Removed.Unpublished = RemovedMode.Purge, store => HookedStore.Over(store, async (method, before) =>
        {
            if (method == nameof(ITarballTable.ForgetTarballAsync) && before && served < 2)
            {
                bench!.Clock.Advance(TimeSpan.FromSeconds(1));
                await bench.Store.Tarballs.StampServedAsync([new TarballServed(PackageName.Parse("part"), "part-1.0.0.tgz", bench.Clock.GetUtcNow())], Cancelled);
                served++;
            }
        }));
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        Assert.Single((await bench.CollectAsync()).Items, item => item.Subject == "part/part-1.0.0.tgz");
        Assert.Equal(2, served);
        Assert.Null(await bench.RowAsync("part", "1.0.0"));
    }

    /// <summary>Manifests so large that events point into the document of before, which is archived.</summary>
    private static Task<SyncResult> HoldLargeAsync(MaintenanceBench bench, params string[] versions)
    {
        bench.Upstream.Publish(versions.Aggregate(new FakePackage("part"), (package, version) => package.Version(version, it => it.Extra["long"] = new string('x', 10_000))));
        return bench.SyncAsync("part");
    }

    private static async Task DeleteAsync(MaintenanceBench bench, string name)
    {
        bench.Upstream.Delete(name);
        var now = bench.Clock.GetUtcNow();
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync(name, new QueueItem { Name = PackageName.Parse(name), Priority = QueuePriority.Change, DueAt = now, QueuedAt = now, IsDeletedRow = true }));
    }

    private static async Task<List<Takedown>> ListAsync(MaintenanceBench bench, DateTimeOffset? since = null, string? package = null) =>
        await new Takedowns(bench.Store.Packages, bench.Store.Log, bench.Store.Tarballs).ListAsync(since, package is null ? null : PackageName.Parse(package), Cancelled).ToListAsync(Cancelled);
}
