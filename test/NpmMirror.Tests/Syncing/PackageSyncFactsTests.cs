using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Syncing;

/// <summary>What a package's row says after it was written, how the upstream is asked the next time, and what is measured.</summary>
public sealed class PackageSyncFactsTests
{
    private static readonly PackageName Name = PackageName.Parse("left-pad");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_change_keeps_the_first_sight_and_the_revision_before_it()
    {
        await using var bench = await HeldAsync();
        var first = (await bench.RowAsync("left-pad"))!.Facts;
        Assert.Equal((bench.Clock.GetUtcNow(), null, null), (first.FirstSeenAt, first.RemovalReason, first.Ancestors));
        bench.Clock.Advance(TimeSpan.FromHours(1));
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        await bench.SyncAsync("left-pad");
        var second = (await bench.RowAsync("left-pad"))!.Facts;
        Assert.Equal((first.FirstSeenAt, bench.Clock.GetUtcNow(), first.Rev, null), (second.FirstSeenAt, second.StoredAt, second.Ancestors, second.RemovalReason));
        bench.Upstream.TakeDown("left-pad");
        await bench.SyncAsync("left-pad");
        Assert.Equal("replaced by a security holding package", (await bench.RowAsync("left-pad"))!.Facts.RemovalReason);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task The_next_request_has_the_validators_of_the_last_answer(bool hasETag, bool hasLastModified)
    {
        await using var bench = await MirrorBench.StartAsync();
        (bench.Upstream.Knobs.HasETag, bench.Upstream.Knobs.HasLastModified) = (hasETag, hasLastModified);
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        await bench.SyncAsync("left-pad");
        var asked = bench.Upstream.Requests.Last("/left-pad")!;
        Assert.Equal((hasETag, hasLastModified), (asked.Header("if-none-match") is not null, asked.Header("if-modified-since") is not null));
    }

    [Theory]
    [InlineData(QueuePriority.Change, "1-z", 0, true)]
    [InlineData(QueuePriority.Change, null, 0, true)]
    [InlineData(QueuePriority.Demand, null, 0, false)]
    [InlineData(QueuePriority.Change, "99-z", 0, false)]
    [InlineData(QueuePriority.Change, null, 1, false)]
    public async Task Validators_are_sent_only_where_a_304_could_be_right(QueuePriority priority, string? wanted, int attempts, bool areSent)
    {
        await using var bench = await HeldAsync();
        await bench.SyncAsync("left-pad", bench.Item("left-pad", wanted) with { Priority = priority, Attempts = attempts });
        Assert.Equal(areSent, bench.Upstream.Requests.Last("/left-pad")!.Header("if-none-match") is not null);
    }

    [Fact]
    public async Task With_all_tarballs_held_an_eager_mirror_asks_for_changes_only()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Tarballs = TarballMode.Eager });
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        await bench.SyncAsync("left-pad");
        Assert.Equal(304, bench.Upstream.Requests.Last("/left-pad")!.Status);
    }

    [Theory]
    [InlineData(86_399, true)]
    [InlineData(86_400, false)]
    public async Task A_missing_tarball_of_a_new_document_is_asked_for_a_day(int seconds, bool isRetried)
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Tarballs = TarballMode.Eager });
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        bench.Upstream.Knobs.Fail("/left-pad/-/*", 404);
        var item = bench.Item("left-pad") with { QueuedAt = bench.Clock.GetUtcNow() - TimeSpan.FromSeconds(seconds), Attempts = NpmMirror.Removals.RemovalCheck.DoubtTriesMin };
        Assert.Equal(isRetried, Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad", item)).RetryBecause is not null);
    }

    [Claim("A package of the graveyard that an earlier version left with validators is fetched whole, and comes back",
        Red = "`IsNotModifiedBelieved` does not look at the removal")]
    [Fact]
    public async Task A_package_of_the_graveyard_is_always_fetched_whole()
    {
        await using var bench = await HeldAsync();
        var row = (await bench.RowAsync("left-pad"))!;
        Assert.NotNull(row.Facts.ETag);
        Assert.True((await bench.Store.Packages.CommitAsync(new PackageCommit { Name = Name, ExpectedGeneration = row.Generation, Facts = row.Facts with { Removal = RemovalKind.Gone }, Events = [] }, Token)).IsCommitted);
        Assert.True(Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad")).IsNew);
        Assert.Null((await bench.RowAsync("left-pad"))!.Facts.Removal);
    }

    [Claim("A damaged document is written anew also after an answer that could not be taken",
        Red = "`PackageSync` forgets the damage after any answer")]
    [Fact]
    public async Task A_damaged_document_is_not_forgotten_by_an_answer_that_is_too_old()
    {
        await using var bench = await HeldAsync();
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        await bench.SyncAsync("left-pad");
        bench.Sync.NoteDamaged(Name);
        bench.Upstream.Knobs.Lagging["left-pad"] = true;
        Assert.NotNull(Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("left-pad")).RetryBecause);
        bench.Upstream.Knobs.Lagging.Clear();
        Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad"));
    }

    [Fact]
    public async Task A_repair_by_the_same_bytes_tells_no_event_though_the_index_is_damaged()
    {
        await using var bench = await HeldAsync();
        var held = (await bench.Store.Packages.ReadAsync(Name, Token))!;
        var index = held.Row.Index.ToArray();
        index[^10] ^= 1;
        Assert.True((await bench.Store.Packages.CommitAsync(new PackageCommit { Name = Name, ExpectedGeneration = held.Row.Generation, Facts = held.Row.Facts, Document = held.Document, Index = index, Events = [] }, Token)).IsCommitted);
        Assert.Empty(Assert.IsType<SyncResult.Stored>(await bench.Sync.RepairAsync(Name, Token)).Events);
        Assert.Single(await bench.EventsAsync());
        Assert.Equal(held.Row.Index.ToArray(), (await bench.RowAsync("left-pad"))!.Index.ToArray());
    }

    [Fact]
    public async Task A_document_that_only_looks_different_archives_nothing()
    {
        await using var bench = await HeldAsync();
        var before = (await bench.RowAsync("left-pad"))!.DocumentSha256;
        bench.Upstream.PutDocument("left-pad", [.. bench.Upstream.Packument("left-pad")!, (byte)' ']);
        Assert.Empty(Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad")).Events);
        Assert.Null(await bench.Store.Packages.ReadArchivedAsync(Name, before, Token));
    }

    [Fact]
    public async Task A_document_that_has_versions_needs_no_name()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.PutDocument("left-pad", """{"_rev":"1-a","versions":{"1.0.0":{"name":"left-pad","version":"1.0.0"}}}"""u8.ToArray());
        Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad"));
    }

    [Theory]
    [InlineData(RemovedMode.Hide)]
    [InlineData(RemovedMode.Purge)]
    public async Task A_change_without_a_removal_has_its_old_values_inside_the_event(RemovedMode mode)
    {
        var options = new MirrorOptions();
        options.Removed.Unpublished = mode;
        await using var bench = await MirrorBench.StartAsync(options);
        foreach (var text in (string[])["before", "after"])
        {
            bench.Upstream.PutDocument("left-pad", Encoding.UTF8.GetBytes($$"""{"_rev":"{{text.Length}}-a","name":"left-pad","description":"{{text}}","versions":{"1.0.0":{"name":"left-pad","version":"1.0.0"} } }"""));
            bench.Upstream.Knobs.HasRevision = false;
            bench.Clock.Advance(TimeSpan.FromDays(2));
            await bench.SyncAsync("left-pad", bench.Item("left-pad") with { QueuedAt = bench.Clock.GetUtcNow() - TimeSpan.FromDays(2), Attempts = 100 });
        }

        var old = Assert.Single(Assert.IsType<MetadataChanged>((await bench.EventsAsync())[^1]).Members, member => member.Name == "description").Old;
        Assert.Equal("\"before\"", old.Json);
    }

    [Fact]
    public async Task Commits_and_the_number_of_damaged_packages_are_measured()
    {
        using var meter = new Meter("sync");
        var names = new HashSet<string>();
        using var listener = new MeterListener { InstrumentPublished = (instrument, it) =>
        {
            if (instrument.Meter == meter)
            {
                it.EnableMeasurementEvents(instrument);
            }
        } };
        listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) => names.Add($"{instrument.Name} {string.Join(' ', tags.ToArray().Select(tag => tag.Value))}"));
        listener.SetMeasurementEventCallback<int>((instrument, count, tags, _) => names.Add($"{instrument.Name} {string.Join(' ', tags.ToArray().Select(tag => tag.Value))} {count}"));
        listener.Start();
        await using var bench = await HeldAsync();
        using var sync = new PackageSync(bench.Store, bench.Client, bench.Known, bench.Tarballs, new PackageNews(), bench.Options, bench.Clock, NullLogger<PackageSync>.Instance, meter);
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        await sync.SyncAsync(Name, null, Token);
        sync.NoteDamaged(Name);
        listener.RecordObservableInstruments();
        Assert.Contains(names, name => name.Contains("commit", StringComparison.Ordinal));
        Assert.Contains("npm_mirror.cache.entries damaged packages 1", names);
    }

    private static async Task<MirrorBench> HeldAsync()
    {
        var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        return bench;
    }
}
