using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Options;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

public sealed class RegistryMonitorTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Claim("A1 started only by Start, stopped means stopped, start and stop again, twice is an error event",
        With =
        [
            nameof(Stopped_means_no_further_request_and_no_event_but_the_last),
            nameof(Starts_again_after_a_stop_and_runs_one_loop),
            nameof(Starting_twice_is_told_as_a_failure),
        ],
        Red = "TellAsync does not look whether the run is over")]
    [Fact]
    public async Task Tells_nothing_before_it_is_started()
    {
        await using var scene = await MonitorScene.StartAsync();
        scene.Publish("a");
        await scene.Monitor.TellAsync(new MonitorEvent.Deleted(PackageName.Parse("a")), Cancellation);
        Assert.Empty(scene.Told);
        Assert.False(scene.Monitor.IsConnected);
        Assert.Equal(0, scene.Registry.Requests.TotalCount);
    }

    [Claim("A2 events, their order, new xor update, retries told later without another rev",
        With =
        [
            $"{nameof(FetchingHandlerTests)}.{nameof(FetchingHandlerTests.New_is_the_first_revision_or_never_modified_or_the_only_version_ever)}",
            $"{nameof(FetchingHandlerTests)}.{nameof(FetchingHandlerTests.A_package_seen_in_this_run_is_not_new_again)}",
            $"{nameof(FetchingHandlerTests)}.{nameof(FetchingHandlerTests.A_package_whose_fetch_fails_is_told_later_without_another_revision)}",
            $"{nameof(MonitorReadersTests)}.{nameof(MonitorReadersTests.Several_readers_hear_everything_and_the_end)}",
        ],
        Red = "a page's revision is told first: the first was red; the versions of now are counted instead of all that ever were: the second; what was seen may be new again: the third; what failed is not parked: the fourth; only the first reader is told: the last")]
    [Claim("Compatibility A2: the events, their order, new xor update",
        With =
        [
            $"{nameof(FetchingHandlerTests)}.{nameof(FetchingHandlerTests.New_is_the_first_revision_or_never_modified_or_the_only_version_ever)}",
            $"{nameof(FetchingHandlerTests)}.{nameof(FetchingHandlerTests.A_package_seen_in_this_run_is_not_new_again)}",
            $"{nameof(FetchingHandlerTests)}.{nameof(FetchingHandlerTests.A_package_whose_fetch_fails_is_told_later_without_another_revision)}",
            $"{nameof(Following.RegistryMirrorTests)}.{nameof(Following.RegistryMirrorTests.Tells_new_update_and_delete_once_each_with_the_metadata)}",
        ],
        Red = "a page's revision is told first: the first was red; the versions of now are counted instead of all that ever were: the second; what was seen may be new again: the third; what failed is not parked: the fourth")]
    [Theory]
    [InlineData(FakeFeedDialect.CouchDb)]
    [InlineData(FakeFeedDialect.NpmPaged)]
    public async Task Tells_packages_first_then_the_revision_of_the_page(FakeFeedDialect dialect)
    {
        await using var scene = await MonitorScene.StartAsync(dialect: dialect);
        scene.Publish("a");
        scene.Publish("b");
        scene.Registry.PublishVersion("b", "2.0.0");
        scene.Publish("gone");
        scene.Registry.Delete("gone");
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(["started", "+ a", "> b", "- gone", $"@ {scene.Registry.HeadSequence} 3"], scene.Lines());
        Assert.IsType<MonitorEvent.Polled>(scene.Told.First());
        Assert.Equal(new Sequence($"{scene.Registry.HeadSequence}"), scene.Monitor.LastSequence);
        Assert.True(scene.Monitor.IsConnected);
    }

    [Claim("Compatibility A6: where to start",
        With =
        [
            $"{nameof(Following.RegistryMirrorTests)}.{nameof(Following.RegistryMirrorTests.An_explicit_sequence_beats_the_stored_one)}",
            $"{nameof(Following.RegistryMirrorTests)}.{nameof(Following.RegistryMirrorTests.Resumes_after_the_cursor_and_asks_only_for_changed_packages)}",
            $"{nameof(Following.RegistryMirrorTests)}.{nameof(Following.RegistryMirrorTests.Holds_the_whole_list_and_follows_from_the_head_noted_before)}",
            $"{nameof(Following.FeedStartTests)}.{nameof(Following.FeedStartTests.A_package_that_appears_after_the_list_is_told_by_the_feed)}",
        ],
        Red = "the option is not looked at: the second was red; following begins at the head whatever is stored: the third; the head is asked for again after the walk: the last")]
    [Theory]
    [InlineData(FeedMode.Longpoll)]
    [InlineData(FeedMode.Continuous)]
    public async Task Begins_now_and_tells_each_change_once(FeedMode mode)
    {
        await using var scene = await MonitorScene.StartAsync(feed: new FeedOptions { Mode = mode });
        scene.Publish("before");
        await scene.StartAsync(null);
        for (var i = 0; i < 5; i++)
        {
            scene.Publish($"após-{i}");
            await scene.WaitForAsync(told => told is MonitorEvent.Revised { LastSequence: var last } && last.Text == $"{scene.Registry.HeadSequence}");
        }

        scene.Registry.Deprecate("após-0", "1.0.0", "no more");
        await scene.WaitForAsync(told => told is MonitorEvent.Updated);
        Assert.Equal(["+ após-0", "+ após-1", "+ após-2", "+ após-3", "+ após-4", "> após-0"], scene.Lines().Where(line => line[0] is '+' or '>'));
    }

    [Fact]
    public async Task Events_carry_the_packument_as_the_registry_sent_it()
    {
        await using var scene = await MonitorScene.StartAsync();
        scene.Publish("a");
        scene.Monitor.Start(Sequence.Zero);
        var appeared = (MonitorEvent.Appeared)await scene.WaitForAsync(told => told is MonitorEvent.Appeared);
        Assert.Equal(scene.Registry.Packument("a"), appeared.Metadata.ToArray());
    }

    [Claim("A6 where to begin",
        Red = "`RegistryMonitor.Start` does not look at the option")]
    [Theory]
    [InlineData("0", new[] { "a", "b" })]
    [InlineData("1", new[] { "b" })]
    [InlineData("now", new string[0])]
    [InlineData(null, new string[0])]
    public async Task Begins_where_the_option_says(string? lastSeq, string[] told)
    {
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { LastSeq = lastSeq });
        scene.Publish("a");
        scene.Publish("b");
        await scene.StartAsync(null);
        scene.Publish("last");
        await scene.WaitForAsync(one => one is MonitorEvent.Appeared { Package.Value: "last" });
        Assert.Equal([.. told, "last"], scene.Told.OfType<MonitorEvent.Appeared>().Select(one => one.Package.Value));
    }

    [Fact]
    public async Task Stopped_means_no_further_request_and_no_event_but_the_last()
    {
        await using var scene = await MonitorScene.StartAsync();
        await scene.StartAsync(null);
        await scene.Monitor.StopAsync(Cancellation);
        Assert.Equal("ended", scene.Lines().Last());
        Assert.False(scene.Monitor.IsConnected);
        var (told, asked) = (scene.Told.Count, scene.Registry.Requests.TotalCount);
        scene.Publish("a");
        await scene.Monitor.TellAsync(new MonitorEvent.Deleted(PackageName.Parse("a")), Cancellation);
        Assert.Equal((told, asked), (scene.Told.Count, scene.Registry.Requests.TotalCount));
    }

    [Fact]
    public async Task Stops_in_the_middle_of_a_page()
    {
        await using var scene = await MonitorScene.StartAsync();
        for (var i = 0; i < 50; i++)
        {
            scene.Publish($"p{i}");
        }

        scene.Monitor.Appeared += _ => scene.Monitor.Stop();
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Ended);
        Assert.Single(scene.Told.OfType<MonitorEvent.Appeared>());
        Assert.Empty(scene.Told.OfType<MonitorEvent.Revised>());
        Assert.Equal(Sequence.Zero, scene.Monitor.LastSequence);
    }

    [Fact]
    public async Task Starts_again_after_a_stop_and_runs_one_loop()
    {
        await using var scene = await MonitorScene.StartAsync();
        for (var i = 0; i < 5; i++)
        {
            scene.Monitor.Start();
            scene.Monitor.Stop();
        }

        await scene.StartAsync(null);
        scene.Publish("a");
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(5, scene.Told.OfType<MonitorEvent.Ended>().Count());
        Assert.Single(scene.Told.OfType<MonitorEvent.Appeared>());
        Assert.Single(scene.Told.OfType<MonitorEvent.Revised>());
    }

    [Fact]
    public async Task Starting_twice_is_told_as_a_failure()
    {
        await using var scene = await MonitorScene.StartAsync();
        await scene.StartAsync(null);
        scene.Monitor.Start();
        Assert.IsType<InvalidOperationException>(((MonitorEvent.Failed)await scene.WaitForAsync(told => told is MonitorEvent.Failed)).Error);
        scene.Publish("a");
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Single(scene.Told.OfType<MonitorEvent.Appeared>());
    }

    [Claim("A3 an error never stops following",
        With = [nameof(A_connection_that_breaks_is_made_anew_without_loss)],
        Red = "what is no trouble of the upstream ends the loop: the first was red; a failure forgets where it stood: the last")]
    [Theory]
    [InlineData(500)]
    [InlineData(429)]
    [InlineData(404)]
    public async Task An_error_is_told_and_following_goes_on(int status)
    {
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { FirstRetry = TimeSpan.FromMilliseconds(10) });
        scene.Publish("a");
        scene.Registry.Knobs.Fail("/_changes", status, timesMax: 3);
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(3, scene.Told.OfType<MonitorEvent.Failed>().Count());
        Assert.Single(scene.Told.OfType<MonitorEvent.Appeared>());
        Assert.True(scene.Monitor.IsConnected);
    }

    [Fact]
    public async Task The_first_wait_after_an_error_is_a_second_at_least_and_grows()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock);
        scene.Registry.Knobs.Fail("/", 503);
        scene.Monitor.Start();
        var waits = new List<TimeSpan>();
        for (var i = 1; i <= 4; i++)
        {
            await Eventually.Async(() => scene.Told.OfType<MonitorEvent.Failed>().Count() == i && clock.Waiting == 1);
            waits.Add(clock.NextDueAt!.Value - clock.GetUtcNow());
            if (i < 4)
            {
                clock.Advance(waits[^1]);
            }
        }

        Assert.True(waits[0] >= TimeSpan.FromSeconds(1));
        Assert.True(waits[3] >= TimeSpan.FromSeconds(8));
        Assert.Equal(4, scene.Registry.Requests.CountOf("/"));
    }

    [Fact]
    public async Task Waits_as_long_as_the_upstream_asks()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(time: clock);
        scene.Registry.Knobs.Fail("/", 429, retryAfter: "37");
        scene.Monitor.Start();
        await Eventually.Async(() => scene.Told.OfType<MonitorEvent.Failed>().Any() && clock.IsNextIn(TimeSpan.FromSeconds(37)));
    }

    [Fact]
    public async Task A_connection_that_breaks_is_made_anew_without_loss()
    {
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { FirstRetry = TimeSpan.FromMilliseconds(10) }, new FeedOptions { Mode = FeedMode.Continuous });
        var cut = scene.Registry.Knobs.Add(new FakeRule { Path = "/_changes", CutAfterBytes = 300, ResetsAtCut = true, TimesMax = 5 });
        await scene.StartAsync(null);
        for (var i = 0; i < 20; i++)
        {
            scene.Publish($"p{i}");
        }

        await scene.WaitForAsync(told => told is MonitorEvent.Revised { LastSequence.Text: var last } && last == $"{scene.Registry.HeadSequence}");
        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"p{i}"), scene.Told.OfType<MonitorEvent.Appeared>().Select(one => one.Package.Value));
        Assert.True(cut.HitCount >= 3);
    }

    [Fact]
    public async Task The_paged_feed_is_asked_after_its_delay_or_at_once_after_a_full_page()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { Windows = [] }, new FeedOptions { PageRows = 2 }, clock, FakeFeedDialect.NpmPaged);
        for (var i = 0; i < 5; i++)
        {
            scene.Publish($"p{i}");
        }

        scene.Monitor.Start(Sequence.Zero);
        await Eventually.Async(() => scene.Registry.Requests.CountOf("/_changes") == 3 && clock.IsNextIn(TimeSpan.FromSeconds(15)));
        clock.Advance(TimeSpan.FromSeconds(15));
        await Eventually.Async(() => scene.Registry.Requests.CountOf("/_changes") == 4);
        Assert.Equal(3, scene.Told.OfType<MonitorEvent.Revised>().Count());
    }

    [Claim("A4 the delay may be changed while running; IsConnected; monitor and mirror log under names of their own, each with its level",
        With =
        [
            $"{nameof(MonitorStateTests)}.{nameof(MonitorStateTests.Is_connected_from_an_accepted_request_to_the_next_failure)}",
            $"{nameof(Cli.MirrorCommandTests)}.{nameof(Cli.MirrorCommandTests.Monitor_and_mirror_log_under_their_own_names_and_levels)}",
        ],
        Red = "who waits is not woken: the first was red; a failure leaves `IsConnected`: the second")]
    [Fact]
    public async Task The_delay_may_be_changed_while_it_is_waited()
    {
        var clock = new FakeClock();
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { Delay = TimeSpan.FromHours(1) }, time: clock, dialect: FakeFeedDialect.NpmPaged);
        scene.Publish("a");
        scene.Monitor.Start(Sequence.Zero);
        await Eventually.Async(() => scene.Told.OfType<MonitorEvent.Revised>().Any() && clock.IsNextIn(TimeSpan.FromHours(1)));
        scene.Monitor.Delay = TimeSpan.FromSeconds(2);
        await Eventually.Async(() => clock.IsNextIn(TimeSpan.FromSeconds(2)));
        clock.Advance(TimeSpan.FromSeconds(2));
        await Eventually.Async(() => scene.Registry.Requests.CountOf("/_changes") == 2);
    }

    [Fact]
    public async Task A_malformed_row_is_told_and_the_others_are_handled()
    {
        await using var scene = await MonitorScene.StartAsync();
        scene.Publish("a");
        scene.Registry.Knobs.Add(new FakeRule { Path = "/_changes", Status = 200, ContentType = "application/json", TimesMax = 1, Body = """{"results":[{"seq":1},{"seq":1,"id":"a","changes":[]}],"last_seq":1}""" });
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(["started", "! ", "+ a", "@ 1 2"], scene.Lines().Select(line => line.Replace("@ 1 1", "@ 1 2", StringComparison.Ordinal)));
    }

    [Claim("A page that could not be handled is handled again; the cursor is never ahead",
        Red = "FeedFollower.HandleAsync moves the cursor before the handler returned")]
    [Fact]
    public async Task A_page_that_cannot_be_handled_is_handled_again()
    {
        var handler = new FailingHandler(failures: 2);
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { FirstRetry = TimeSpan.FromMilliseconds(1) }, handler: handler);
        scene.Publish("a");
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(["a", "a", "a"], handler.Seen);
        Assert.Equal(2, scene.Told.OfType<MonitorEvent.Failed>().Count());
    }

    [Fact]
    public async Task Events_from_outside_a_page_are_told_while_it_runs()
    {
        await using var scene = await MonitorScene.StartAsync();
        await scene.StartAsync(null);
        await scene.Monitor.TellAsync(new MonitorEvent.Updated(PackageName.Parse("later"), default), Cancellation);
        Assert.Equal("> later", scene.Lines().Last());
    }

    [Claim("A7 all changes count, publishOnly filters",
        Red = "the option is not looked at")]
    [Fact]
    public async Task Publish_only_leaves_other_changes_out()
    {
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { IsPublishOnly = true });
        scene.Publish("a");
        await scene.StartAsync(Sequence.Zero);
        foreach (var change in new Action[] { () => scene.Registry.Deprecate("a", "1.0.0", "old"), () => scene.Registry.Tag("a", "next", "1.0.0"), () => scene.Registry.SetMaintainers("a", "bob"), () => scene.Registry.PublishVersion("a", "1.1.0") })
        {
            change();
            await scene.WaitForAsync(told => told is MonitorEvent.Revised { LastSequence.Text: var last } && last == $"{scene.Registry.HeadSequence}");
        }

        Assert.Equal(["+ a", "> a"], scene.Lines().Where(line => line[0] is '+' or '>'));
    }

    private sealed class FailingHandler(int failures) : IChangeHandler
    {
        public Task<IReadOnlyList<ChangeRow>> HandleAgainAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<string?> ReadTrailAsync(CancellationToken cancellationToken) => ValueTask.FromResult<string?>(null);

        public ValueTask KeepTrailAsync(string trail, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        private int _failures = failures;

        internal List<string> Seen { get; } = [];

        public Task HandleAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
        {
            Seen.AddRange(page.Rows.Select(row => row.Id));
            return _failures-- > 0 ? throw new MirrorException(MirrorFault.StoreReadOnly, "The disk is full.", isTransient: true) : Task.CompletedTask;
        }
    }
}
