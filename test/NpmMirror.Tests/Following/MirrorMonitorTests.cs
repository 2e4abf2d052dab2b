using System.Collections.Concurrent;
using System.Globalization;
using NpmMirror.Following;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Following;

/// <summary>The monitor of a running mirror, as a program holds it.</summary>
public sealed class MirrorMonitorTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("Compatibility A1, A4: a mirror's monitor is one object for its life, there before the start; it survives resets, stops and starts by hand, and tells its options and logger",
        With =
        [
            nameof(A_stopped_monitor_follows_nothing_and_goes_on_at_its_place),
            nameof(It_tells_its_options_and_has_a_logger_and_its_delay_may_be_changed),
            nameof(Without_a_feed_it_tells_packages_that_clients_bring),
            nameof(Trouble_in_finding_the_feed_is_told_and_tried_again),
        ],
        Red = "a monitor that is started again begins at the feed's head: the second was red; `RegistryMonitor.Options` has the first delay for ever: the third; without a feed `RegistryMirror.FollowAsync` returns at once: the fourth; it tells no trouble, or gives up after one: the last")]
    [Fact]
    public async Task One_monitor_is_there_before_the_start_and_survives_resets()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a");
        await using var mirror = bench.Mirror();
        var monitor = mirror.Monitor;
        var told = Listen(monitor);
        var heard = new ConcurrentQueue<MonitorEvent>();
        var read = ReadAsync(monitor, heard.Enqueue);
        await Eventually.Async(() => monitor.ReaderCount == 1);
        Assert.Equal((false, null), (monitor.IsConnected, monitor.LastSequence));

        await mirror.StartAsync(Token);
        await Eventually.Async(() => IsTold(told, "a") && monitor.IsConnected);
        bench.Upstream.ResetFeed("another life of the database");
        bench.Upstream.Publish(new FakePackage("after").Version("1.0.0"));
        await Eventually.Async(() => IsTold(told, "after"));
        Assert.Same(monitor, mirror.Monitor);
        Assert.Empty(told.OfType<MonitorEvent.Ended>());

        // A reader that is stopped gets the end and no event that it had not read.
        await Eventually.Async(() => IsTold(heard, "a") && IsTold(heard, "after"));
        await mirror.StopAsync(Token);
        await read;
        Assert.IsType<MonitorEvent.Ended>(heard.Last());
        Assert.Single(heard.OfType<MonitorEvent.Ended>());
    }

    [Fact]
    public async Task A_stopped_monitor_follows_nothing_and_goes_on_at_its_place()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All, LastSeq = "0" }, "a");
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        await Eventually.Async(async () => (await mirror.GetLastSequenceAsync(Token)).Text == Head(bench));
        await mirror.Monitor.StopAsync(Token);
        bench.Upstream.Requests.Clear();
        bench.Upstream.Publish(new FakePackage("b").Version("1.0.0"));
        Assert.Equal((false, 0), (mirror.Monitor.IsRunning, bench.Upstream.Requests.CountOf("*")));

        var told = Listen(mirror.Monitor);
        mirror.Monitor.Start();
        await Eventually.Async(() => IsTold(told, "b"));
        await Eventually.Async(async () => (await mirror.GetLastSequenceAsync(Token)).Text == Head(bench));
        // Rows handled before the stop are not asked for again, although last_seq said 0 at the first start.
        Assert.Equal(0, bench.Upstream.Requests.CountOf("/a"));
    }

    [Fact]
    public async Task It_tells_its_options_and_has_a_logger_and_its_delay_may_be_changed()
    {
        await using var bench = await StartAsync(new MirrorOptions { Delay = 5_000, LastSeq = "now", PublishOnly = true });
        await using var mirror = bench.Mirror();
        Assert.Equal((TimeSpan.FromSeconds(5), "now", true), (mirror.Monitor.Options.Delay, mirror.Monitor.Options.LastSeq, mirror.Monitor.Options.IsPublishOnly));
        mirror.Monitor.Delay = TimeSpan.FromSeconds(7);
        Assert.Equal(TimeSpan.FromSeconds(7), mirror.Monitor.Options.Delay);
        Assert.NotNull(mirror.Monitor.Logger);
    }

    [Fact]
    public async Task Without_a_feed_it_tells_packages_that_clients_bring()
    {
        await using var bench = await StartAsync(new MirrorOptions(), "a");
        await using var mirror = bench.Mirror(hasFeed: false);
        var told = Listen(mirror.Monitor);
        await mirror.StartAsync(Token);
        await bench.ReadThrough.FindAsync(PackageName.Parse("a"), Token);
        await Eventually.Async(() => IsTold(told, "a"));
        Assert.Empty(told.OfType<MonitorEvent.Ended>());
    }

    [Fact]
    public async Task Trouble_in_finding_the_feed_is_told_and_tried_again()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a");
        bench.Upstream.Knobs.Fail("/registry*", 503, timesMax: 1);
        await using var mirror = bench.Mirror();
        var told = Listen(mirror.Monitor);
        await mirror.StartAsync(Token);
        await Eventually.Async(() => IsTold(told, "a"));
        Assert.NotEmpty(told.OfType<MonitorEvent.Failed>());
    }

    [Claim("A given `last_seq` is stored before anything changes; one beyond the head is refused by `monitor`",
        With = [$"{nameof(Cli.MonitorCommandTests)}.{nameof(Cli.MonitorCommandTests.A_sequence_beyond_the_head_is_refused_with_the_option_that_named_it)}"],
        Red = "`FeedStart.NoteAsync` does not store a given sequence: the first was red")]
    [Theory]
    [InlineData("now", "2")]
    [InlineData("2", "2")]
    public async Task A_given_sequence_is_stored_before_anything_changes(string lastSeq, string stored)
    {
        await using var bench = await StartAsync(new MirrorOptions { LastSeq = lastSeq }, "a", "b");
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        await Eventually.Async(async () => await bench.Store.Notes.FindNoteAsync(MirrorCursors.Handled, Token) == stored);
        Assert.Equal(stored, await bench.Store.Notes.FindNoteAsync(MirrorCursors.Read, Token));
    }

    [Fact]
    public async Task Couch_parts_are_feed_and_upstream_of_a_program_too()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Token);
        registry.Publish(new FakePackage("private").Version("1.0.0"));
        using var folder = new TestFolder();
        var options = new MirrorOptions { Metadata = MetadataMode.All, Data = folder.Path, Store = { Engine = "Memory" }, Couch = { Host = "127.0.0.1", Port = registry.Url.Port, Db = "" } };
        await using var running = await NpmMirror.Hosting.Mirror.StartAsync(options, cancellationToken: Token);
        await Eventually.Async(async () => await running.Store.Packages.FindAsync(PackageName.Parse("private"), Token) is not null);
    }

    private static string Head(MirrorBench bench) => bench.Upstream.HeadSequence.ToString(CultureInfo.InvariantCulture);

    private static bool IsTold(IEnumerable<MonitorEvent> told, string name) => told.OfType<MonitorEvent.Appeared>().Any(one => one.Package.Value == name);

    private static ConcurrentQueue<MonitorEvent> Listen(RegistryMonitor monitor)
    {
        var told = new ConcurrentQueue<MonitorEvent>();
        monitor.Appeared += told.Enqueue;
        monitor.Failed += told.Enqueue;
        monitor.Ended += told.Enqueue;
        return told;
    }

    private static Task ReadAsync(RegistryMonitor monitor, Action<MonitorEvent> hear) => Task.Run(
        async () =>
        {
            await foreach (var told in monitor.ReadAsync(Token))
            {
                hear(told);
            }
        },
        Token);

    private static async Task<MirrorBench> StartAsync(MirrorOptions options, params string[] packages)
    {
        var bench = await MirrorBench.StartAsync(options, isClockReal: true);
        foreach (var name in packages)
        {
            bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
        }

        return bench;
    }
}
