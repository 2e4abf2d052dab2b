using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NpmMirror.Hosting;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Hosting;

/// <summary>The one way to open a mirror: with a host and without.</summary>
public sealed class MirrorTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private FakeRegistry _registry = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));
    }

    public async ValueTask DisposeAsync()
    {
        await _registry.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A8 follow and store in one call; it gives the live monitor, the logger, the last sequence and the log",
        Red = "`RegistryMirror` does not keep its monitor")]
    [Fact]
    public async Task One_call_follows_stores_and_gives_monitor_logger_sequence_and_log()
    {
        await using var mirror = await Mirror.StartAsync(Options(), cancellationToken: Cancelled);
        await using var events = mirror.Log.FollowAsync(LogPosition.Zero, Cancelled).GetAsyncEnumerator(Cancelled);
        Assert.True(await events.MoveNextAsync());
        Assert.IsType<PackageAdded>(events.Current);

        await Eventually.Async(() => mirror.Monitor is { IsConnected: true });
        var change = _registry.PublishVersion("ms", "1.1.0");
        Assert.True(await events.MoveNextAsync());
        Assert.Equal("1.1.0", Assert.IsType<VersionPublished>(events.Current).Version);
        await Eventually.Async(async () => (await mirror.Registry.GetLastSequenceAsync(Cancelled)).Text == change.Sequence.ToString(System.Globalization.CultureInfo.InvariantCulture));
        var row = await mirror.Store.Packages.FindAsync(PackageName.Parse("ms"), Cancelled);
        Assert.Equal(2, PackumentIndex.FromBytes(row!.Index.Span).Versions.Count);
        Assert.Same(mirror.Registry.Logger, mirror.Logger);
    }

    [Claim("A mirror needs only an upstream; it stores everything in its folder, and the next start needs not even the upstream's name")]
    [Fact]
    public async Task Needs_only_an_upstream_and_keeps_all_in_its_folder()
    {
        await using (var first = await Mirror.StartAsync(new MirrorOptions { Upstream = _registry.Url.AbsoluteUri, Data = _folder.Path }, cancellationToken: Cancelled))
        {
            Assert.IsType<ReadAnswer.Found>(await first.ReadThrough.FindAsync(PackageName.Parse("ms"), Cancelled));
        }

        _registry.Knobs.Fail("*", 503);
        await using var second = await Mirror.StartAsync(new MirrorOptions { Data = _folder.Path }, cancellationToken: Cancelled);
        Assert.NotNull(await second.Store.Packages.FindAsync(PackageName.Parse("ms"), Cancelled));
        Assert.Equal(_registry.Url, second.Upstream.BaseUrl);
    }

    [Fact]
    public async Task A_store_of_the_callers_stays_open_and_wrong_options_are_told_at_once()
    {
        var store = new MemoryStore(TimeProvider.System);
        await using (await Mirror.StartAsync(Options(), mirror => mirror.UseStore(store), Cancelled))
        {
        }

        Assert.InRange((await store.CountAsync(Cancelled)).Packages, 0, 1);
        var options = Options();
        options.Concurrency = 0;
        Assert.Contains("concurrency", (await Assert.ThrowsAsync<MirrorException>(() => Mirror.StartAsync(options, cancellationToken: Cancelled))).Message, StringComparison.Ordinal);
        Assert.Contains("concurrency", Assert.Throws<MirrorException>(() => new ServiceCollection().AddNpmMirror(options)).Message, StringComparison.Ordinal);
    }

    [Claim("A store that the caller gives is no way around its upstream: it is recalled, and another one is refused",
        Red = "`MirrorBuilder` does not recall the upstream of a given store")]
    [Fact]
    public async Task A_store_of_the_callers_knows_its_upstream_too()
    {
        var store = new MemoryStore(TimeProvider.System);
        await using (await Mirror.StartAsync(Options(), mirror => mirror.UseStore(store), Cancelled))
        {
            await Eventually.Async(async () => await UpstreamChoice.FindNotedAsync(store.Notes, Cancelled) is not null);
        }

        var another = Options();
        another.Upstream = "http://127.0.0.1:9/";
        Assert.Contains("This is a mirror of", (await Assert.ThrowsAsync<MirrorException>(() => new MirrorBuilder(another).UseStore(store).OpenAsync(Cancelled))).Message, StringComparison.Ordinal);
        var none = Options();
        none.Upstream = null;
        await using var recalled = await new MirrorBuilder(none).UseStore(store).OpenAsync(Cancelled);
        Assert.Equal(_registry.Url, recalled.Upstream.BaseUrl);
    }

    [Claim("A mirror changes no options of the caller, and the caller's changes do not reach a mirror that is open",
        Red = "`MirrorBuilder` takes the caller's object: both were red")]
    [Fact]
    public async Task Options_of_the_caller_are_copied()
    {
        var options = new MirrorOptions { Data = _folder.Path, Metadata = MetadataMode.Listed };
        (options.Couch.Host, options.Couch.Port) = (_registry.Url.Host, _registry.Url.Port);
        options.List.Add("ms");
        options.Store.Engine = "memory:";
        await using var mirror = await Mirror.StartAsync(options, cancellationToken: Cancelled);
        Assert.Null(options.Upstream);
        Assert.NotNull(mirror.Options.Upstream);
        options.Offline = true;
        options.List.Clear();
        options.Store.Options["path"] = "elsewhere";
        Assert.False(mirror.Options.Offline);
        Assert.Equal(["ms"], mirror.Options.List);
        Assert.Empty(mirror.Options.Store.Options);
    }

    [Claim("A host has one mirror: a second is refused with a message")]
    [Fact]
    public void A_second_mirror_in_one_host_is_refused_in_words()
    {
        var services = new ServiceCollection();
        var options = new MirrorOptions { Upstream = _registry.Url.AbsoluteUri };
        services.AddNpmMirror(options);
        Assert.Contains("a host of its own", Assert.Throws<InvalidOperationException>(() => services.AddNpmMirror(options)).Message, StringComparison.Ordinal);
    }

    [Claim("An embedded mirror keeps to `requestsPerSecond` and names itself to other mirrors, watches for a full disk, collects on schedule",
        With = [nameof(Tells_that_nothing_can_be_written_and_collects_on_schedule), nameof(Collects_for_the_first_time_after_the_time_between_two_collections)],
        Red = "`UpstreamChoice.WithLimits` leaves `RequestsPerSecond` out; `Mirror` makes no `WritableWatch`")]
    [Fact]
    public async Task Keeps_to_the_rate_of_its_options_and_names_itself_to_other_mirrors()
    {
        var options = Options();
        options.RequestsPerSecond = 7;
        await using var mirror = await Mirror.StartAsync(options, cancellationToken: Cancelled);
        await Eventually.Async(async () => await mirror.Store.Packages.FindAsync(PackageName.Parse("ms"), Cancelled) is not null);

        Assert.Equal(7, mirror.Upstream.Transport.Options.RequestsPerSecond);
        var id = await mirror.Store.Notes.FindNoteAsync("instance", Cancelled);
        Assert.Equal(id, _registry.Requests.All.First(request => request.Path == "/ms").Header("npm-mirror-instance"));
    }

    [Claim("Only one mirror follows into a folder, also of two in one process; others may read beside it",
        With = [nameof(A_folder_that_cannot_be_written_needs_no_lock)])]
    [Fact]
    public async Task Only_one_follows_into_a_folder_and_a_look_needs_no_turn()
    {
        MirrorOptions At() => new() { Upstream = _registry.Url.AbsoluteUri, Feed = "none", Data = _folder.Path };
        await using (await Mirror.StartAsync(At(), cancellationToken: Cancelled))
        {
            var refused = await Assert.ThrowsAsync<MirrorException>(() => Mirror.StartAsync(At(), cancellationToken: Cancelled));
            Assert.StartsWith("Another npm-mirror serves or follows with the folder", refused.Message, StringComparison.Ordinal);
            await using var beside = await new MirrorBuilder(At()).OpenAsync(Cancelled);
            Assert.Equal(1, (await beside.Registry.SyncOnceAsync([PackageName.Parse("ms")], null, Cancelled)).Changed);
        }

        await using var after = await Mirror.StartAsync(At(), cancellationToken: Cancelled);
        Assert.NotNull(await after.Store.Packages.FindAsync(PackageName.Parse("ms"), Cancelled));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_needs_no_lock()
    {
        Directory.CreateDirectory(_folder.File("odd/follow.lock"));
        Assert.Null(FollowLock.Take(_folder.File("odd")));
        File.WriteAllText(_folder.File("file"), "");
        Assert.Null(FollowLock.Take(_folder.File("file")));
        using var held = FollowLock.Take(_folder.File("data"));
        Assert.NotNull(held);
        Assert.Throws<MirrorException>(() => FollowLock.Take(_folder.File("data")));
    }

    [Fact]
    public async Task Tells_that_nothing_can_be_written_and_collects_on_schedule()
    {
        var clock = new FakeClock();
        var log = new CollectedLog();
        var options = Options();
        options.Gc.Every = TimeSpan.FromHours(6);
        var blobs = new HookedBlobs(new MemoryBlobStore(clock)) { WhyNotWritable = "The disk is full." };
        await using var mirror = await Mirror.StartAsync(options, builder => builder.UseTime(clock).UseBlobs(blobs).UseLoggers(log.Factory), Cancelled);
        await Eventually.Async(() => log.Lines.Contains("Nothing can be written: The disk is full."));
        blobs.WhyNotWritable = null;
        await Eventually.Async(() =>
        {
            clock.Advance(TimeSpan.FromMinutes(10));
            return log.Lines.Any(line => line.StartsWith("Collected ", StringComparison.Ordinal)) && log.Lines.Contains("Everything can be written again");
        });
    }

    [Fact]
    public async Task Collects_for_the_first_time_after_the_time_between_two_collections()
    {
        var clock = new FakeClock();
        var options = Options();
        options.Gc.Every = TimeSpan.FromDays(3);
        options.Feed = "none";
        var blobs = new MemoryBlobStore(clock);
        Digest garbage;
        await using (var writer = await blobs.CreateAsync(Cancelled))
        {
            await writer.AppendAsync("nobody's"u8.ToArray(), Cancelled);
            garbage = await writer.CommitAsync(Cancelled);
        }

        await using var mirror = await Mirror.StartAsync(options, builder => builder.UseTime(clock).UseBlobs(blobs), Cancelled);
        await Eventually.Async(() => clock.HasTimerBetween(options.Gc.Every, options.Gc.Every));
        clock.Advance(options.Gc.Every / 2);
        Assert.True(await blobs.ExistsAsync(garbage, Cancelled));
        clock.Advance(options.Gc.Every / 2);
        await Eventually.Async(async () => !await blobs.ExistsAsync(garbage, Cancelled));
    }

    [Claim("A host opens its mirror before it starts anything else, and closes it")]
    [Fact]
    public async Task A_host_opens_it_before_it_starts_anything_and_closes_it()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Services.AddNpmMirror(new MirrorOptions { Upstream = _registry.Url.AbsoluteUri, Feed = "none", Data = _folder.Path });
        builder.Services.AddHostedService<Looker>();
        using (var host = builder.Build())
        {
            Assert.Throws<InvalidOperationException>(() => host.Services.GetRequiredService<Mirror>());
            await host.StartAsync(Cancelled);
            Assert.True(host.Services.GetServices<IHostedService>().OfType<Looker>().Single().HasSeenIt);
            await host.StopAsync(Cancelled);
        }

        await using var after = await Mirror.StartAsync(new MirrorOptions { Data = _folder.Path, Feed = "none" }, cancellationToken: Cancelled);
        Assert.Equal(_registry.Url, after.Upstream.BaseUrl);
    }

    private MirrorOptions Options() => new()
    {
        Upstream = _registry.Url.AbsoluteUri,
        Feed = _registry.FeedUrl.AbsoluteUri,
        Metadata = MetadataMode.All,
        Data = _folder.Path,
        Store = { Engine = "Memory" },
    };

    /// <summary>A service of the application that wants the mirror as soon as it starts.</summary>
    private sealed class Looker(IServiceProvider services) : IHostedService
    {
        public bool HasSeenIt { get; private set; }

        public async Task StartAsync(CancellationToken cancellationToken) =>
            HasSeenIt = (await services.GetRequiredService<Mirror>().Store.CountAsync(cancellationToken)).Packages == 0;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
