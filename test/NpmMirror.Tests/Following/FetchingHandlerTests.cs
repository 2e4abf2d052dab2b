using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

/// <summary>The monitor without a store: new packages, failures, late events.</summary>
public sealed class FetchingHandlerTests
{
    [Fact]
    public async Task A_package_whose_fetch_fails_is_told_later_without_another_revision()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock, dialect: FakeFeedDialect.NpmPaged);
        scene.Publish("good");
        scene.Publish("bad");
        scene.Publish("better");
        var rule = scene.Registry.Knobs.Fail("/bad", 503);
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(["started", "+ good", "! bad", "+ better", "@ 3 3"], scene.Lines());
        scene.Registry.Knobs.Remove(rule);
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(1), () => scene.Told.Any(told => told is MonitorEvent.Appeared { Package.Value: "bad" }));
        Assert.Single(scene.Told.OfType<MonitorEvent.Revised>());
        Assert.Single(scene.Told.OfType<MonitorEvent.Failed>());
    }

    [Fact]
    public async Task A_packument_older_than_its_row_is_waited_for_a_little_past_caches()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock, dialect: FakeFeedDialect.NpmPaged);
        scene.Publish("a");
        scene.Registry.PublishVersion("a", "2.0.0");
        scene.Registry.Knobs.Lagging["a"] = true;
        scene.Monitor.Start(Sequence.Zero);
        await Eventually.Async(() => scene.Registry.Requests.CountOf("/a") == 1 && clock.Waiting > 0);
        Assert.Empty(scene.Told.OfType<MonitorEvent.Updated>());
        scene.Registry.Knobs.Lagging.TryRemove("a", out _);
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(1), () => scene.Told.Any(told => told is MonitorEvent.Revised));
        Assert.Equal(["started", "> a", "@ 2 1"], scene.Lines());
        Assert.Contains("?t=", scene.Registry.Requests.Last("/a")!.Target, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_packument_that_lags_holds_up_no_other_and_is_told_when_it_comes()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock, dialect: FakeFeedDialect.NpmPaged);
        scene.Publish("a");
        scene.Registry.PublishVersion("a", "2.0.0");
        scene.Registry.Knobs.Lagging["a"] = true;
        scene.Monitor.Start(Sequence.Zero);
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(1), () => scene.Told.Any(told => told is MonitorEvent.Revised));
        Assert.Equal(["started", "! a", "@ 2 1"], scene.Lines());
        scene.Registry.Knobs.Lagging.TryRemove("a", out _);
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(10), () => scene.Told.Any(told => told is MonitorEvent.Updated));
    }

    [Fact]
    public async Task A_package_neither_there_nor_listed_is_gone_after_ten_minutes()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock, dialect: FakeFeedDialect.NpmPaged);
        scene.Publish("alive");
        scene.Publish("a");
        scene.Registry.Knobs.Add(new FakeRule { Path = "/a", Status = 404, Body = """{"error":"Not found"}""", ContentType = "application/json" });
        scene.Registry.Knobs.Unlisted["a"] = true;
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        var startedAt = clock.GetUtcNow();
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(30), () => scene.Told.Any(told => told is MonitorEvent.Deleted));
        Assert.True(clock.GetUtcNow() - startedAt >= TimeSpan.FromMinutes(10));
    }

    [Trait("Duration", "long")]
    [Theory]
    [InlineData(404, 500)]
    [InlineData(404, 429)]
    [InlineData(404, 404)]
    [InlineData(410, 503)]
    [InlineData(451, 502)]
    [InlineData(451, 403)]
    public async Task A_package_that_is_missing_while_no_other_can_be_had_is_not_gone(int status, int others)
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock, dialect: FakeFeedDialect.NpmPaged, requestTimeout: TimeSpan.FromHours(100));
        scene.Publish("well");
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        scene.Publish("a");
        // The rule that was added last is asked first.
        var trouble = scene.Registry.Knobs.Fail("/well", others);
        scene.Registry.Knobs.Fail("/a", status);
        scene.Registry.Knobs.Unlisted["a"] = true;
        var startedAt = clock.GetTimestamp();
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(30), () => clock.GetElapsedTime(startedAt) > TimeSpan.FromHours(1) && scene.Registry.Requests.CountOf("/well") > 1);
        Assert.DoesNotContain(scene.Told, told => told is MonitorEvent.Deleted);
        scene.Registry.Knobs.Remove(trouble);
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(30), () => scene.Told.Any(told => told is MonitorEvent.Deleted { Package.Value: "a" }));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(400 * 24)]
    public async Task Ten_minutes_are_as_long_when_the_wall_clock_is_set(int hours)
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock, dialect: FakeFeedDialect.NpmPaged, requestTimeout: TimeSpan.FromHours(1));
        scene.Publish("alive");
        scene.Publish("a");
        scene.Registry.Knobs.Fail("/a", 404);
        scene.Registry.Knobs.Unlisted["a"] = true;
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        var startedAt = clock.GetTimestamp();
        clock.SetWallAhead(TimeSpan.FromHours(hours));
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(15), () => scene.Told.Any(told => told is MonitorEvent.Deleted));
        Assert.InRange(clock.GetElapsedTime(startedAt), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(45));
    }

    [Fact]
    public async Task A_package_that_is_listed_and_not_there_counts_as_gone_after_a_day()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock, dialect: FakeFeedDialect.NpmPaged, requestTimeout: TimeSpan.FromHours(100));
        scene.Publish("a");
        scene.Registry.Knobs.Fail("/a", 404);
        // A list that cannot be read confirms nothing either.
        scene.Registry.Knobs.Fail("/_all_docs", 503, timesMax: 3);
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        var startedAt = clock.GetUtcNow();
        await AdvanceUntilAsync(clock, TimeSpan.FromMinutes(5), () => scene.Told.Any(told => told is MonitorEvent.Deleted));
        Assert.True(clock.GetUtcNow() - startedAt >= TimeSpan.FromHours(24), $"{clock.GetUtcNow() - startedAt}");
    }

    [Fact]
    public async Task A_newer_row_takes_the_place_of_a_try_that_waits()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock, dialect: FakeFeedDialect.NpmPaged, requestTimeout: TimeSpan.FromHours(100));
        scene.Publish("a");
        scene.Registry.Knobs.Fail("/a", 503, timesMax: 1, retryAfter: "3600");
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        scene.Registry.PublishVersion("a", "2.0.0");
        // In small steps: the ten minutes of the try that waits must not be over before a busy machine has polled.
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(1), () => scene.Told.OfType<MonitorEvent.Revised>().Count() == 2);
        Assert.Single(scene.Told, told => told is MonitorEvent.Appeared or MonitorEvent.Updated);
        clock.Advance(TimeSpan.FromHours(2));
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(15), () => scene.Told.OfType<MonitorEvent.Polled>().Count() > 4);
        Assert.Single(scene.Told, told => told is MonitorEvent.Appeared or MonitorEvent.Updated);
    }

    [Fact]
    public async Task New_is_the_first_revision_or_never_modified_or_the_only_version_ever()
    {
        await using var scene = await MonitorScene.StartAsync();
        var packuments = new Dictionary<string, string>
        {
            ["first-rev"] = """{"name":"first-rev","_rev":"1-a","versions":{},"time":{"created":"2020-01-01T00:00:00Z","modified":"2021-01-01T00:00:00Z","1.0.0":"2020-01-01T00:00:00Z","2.0.0":"2020-02-01T00:00:00Z"}}""",
            ["unmodified"] = """{"name":"unmodified","_rev":"7-a","versions":{},"time":{"created":"2020-01-01T00:00:00Z","modified":"2020-01-01T00:00:00Z","1.0.0":"2020-01-01T00:00:00Z","2.0.0":"2020-01-01T00:00:00Z"}}""",
            ["one-version"] = """{"name":"one-version","_rev":"7-a","versions":{},"time":{"created":"2020-01-01T00:00:00Z","modified":"2021-01-01T00:00:00Z","1.0.0":"2020-01-01T00:00:00Z"}}""",
            ["old"] = """{"name":"old","_rev":"7-a","versions":{},"time":{"created":"2020-01-01T00:00:00Z","modified":"2021-01-01T00:00:00Z","1.0.0":"2020-01-01T00:00:00Z","1.0.1":"2020-01-02T00:00:00Z"}}""",
            ["bare"] = """{"name":"bare"}""",
        };
        foreach (var (name, json) in packuments)
        {
            scene.Registry.PutDocument(name, System.Text.Encoding.UTF8.GetBytes(json));
        }

        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(["first-rev", "unmodified", "one-version"], scene.Told.OfType<MonitorEvent.Appeared>().Select(told => told.Package.Value).Where(name => name != "bare"));
        Assert.Contains(scene.Told, told => told is MonitorEvent.Updated { Package.Value: "old" });
    }

    [Fact]
    public async Task A_package_seen_in_this_run_is_not_new_again()
    {
        await using var scene = await MonitorScene.StartAsync();
        scene.Publish("a");
        await scene.StartAsync(Sequence.Zero);
        scene.Registry.Tag("a", "next", "1.0.0");
        await scene.WaitForAsync(told => told is MonitorEvent.Updated);
        Assert.Equal(["+ a", "> a"], scene.Lines().Where(line => line[0] is '+' or '>'));
    }

    [Fact]
    public async Task An_unpublished_package_is_deleted_though_its_packument_is_still_there()
    {
        await using var scene = await MonitorScene.StartAsync();
        scene.Publish("a");
        scene.Registry.Unpublish("a");
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Contains("- a", scene.Lines());
    }

    [Fact]
    public async Task Odd_ids_cost_no_request()
    {
        await using var scene = await MonitorScene.StartAsync();
        scene.Registry.Knobs.Add(new FakeRule { Path = "/_changes", Status = 200, ContentType = "application/json", TimesMax = 1, Body = """{"results":[{"seq":1,"id":"_design/app"},{"seq":2,"id":"../etc"},{"seq":3,"id":"a b"}],"last_seq":3}""" });
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(["started", "@ 3 3"], scene.Lines());
        Assert.DoesNotContain(scene.Registry.Requests.All, request => request.Path is not ("/" or "/_changes"));
    }

    [Fact]
    public async Task Never_more_packuments_at_once_than_allowed()
    {
        await using var scene = await MonitorScene.StartAsync();
        for (var i = 0; i < 12; i++)
        {
            scene.Publish($"p{i}");
        }

        var gate = scene.Registry.Knobs.Hold("/p*");
        scene.Monitor.Start(Sequence.Zero);
        await Eventually.Async(() => scene.Registry.Requests.CountOf("/p*") == 3);
        gate.Open();
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(Enumerable.Range(0, 12).Select(i => $"p{i}"), scene.Told.OfType<MonitorEvent.Appeared>().Select(told => told.Package.Value));
    }

    [Claim("A monitor's concurrency counts, not that of its client",
        Red = "`FetchingHandler` fetches ten at once whatever it was told")]
    [Theory]
    [InlineData(3)]
    [InlineData(25)]
    public async Task A_monitors_own_concurrency_beats_that_of_its_client(int concurrency)
    {
        await using var scene = await MonitorScene.StartAsync();
        for (var i = 0; i < 60; i++)
        {
            scene.Publish($"p{i}");
        }

        var gate = scene.Registry.Knobs.Hold("/p*");
        await using var monitor = RegistryMonitor.Bare(new LiveChangeFeed(scene.Client, scene.Registry.Url, new FeedOptions()), scene.Client, new MonitorOptions(), concurrency, TimeProvider.System, NullLogger.Instance);
        var revised = false;
        monitor.Revised += _ => Volatile.Write(ref revised, true);
        monitor.Start(Sequence.Zero);
        await Eventually.Async(() => scene.Registry.Requests.CountOf("/p*") == concurrency);
        gate.Open();
        await Eventually.Async(() => Volatile.Read(ref revised));
    }

    private static Task AdvanceUntilAsync(FakeClock clock, TimeSpan step, Func<bool> isDone) => Eventually.Async(() =>
    {
        if (isDone())
        {
            return true;
        }

        clock.Advance(step);
        return false;
    });
}
