using System.Text.Json;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Options;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

public sealed class FeedResetTests
{
    private readonly FakeClock _clock = new();

    [Fact]
    public async Task A_feed_that_was_reset_is_told_and_followed_from_its_new_head()
    {
        await using var scene = await MonitorScene.StartAsync();
        scene.Publish("a");
        scene.Monitor.Start(new Sequence("1000"));
        await scene.WaitForAsync(told => told is MonitorEvent.Failed);
        await scene.WaitForAsync(told => told is MonitorEvent.Started);
        scene.Publish("b");
        await scene.WaitForAsync(told => told is MonitorEvent.Appeared { Package.Value: "b" });
        Assert.Equal(["+ a", "+ b"], scene.Lines().Where(line => line[0] == '+'));
    }

    [Fact]
    public async Task Another_database_at_the_same_address_is_a_reset_too()
    {
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { EndsAtReset = true, FirstRetry = TimeSpan.FromMilliseconds(1) });
        await scene.StartAsync(null);
        scene.Registry.Knobs.DatabaseId = "restored";
        scene.Registry.Knobs.Fail("/_changes", 500, timesMax: 1);
        scene.Publish("a");
        await scene.WaitForAsync(told => told is MonitorEvent.Ended);
        Assert.True(scene.Monitor.IsFeedReset);
    }

    [Claim("A reset feed is noticed, and ends a mirror's monitor",
        With = [nameof(Another_database_at_the_same_address_is_a_reset_too)],
        Red = "FeedInfo.IsBefore is false")]
    [Fact]
    public async Task A_mirrors_monitor_ends_at_a_reset()
    {
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { EndsAtReset = true });
        scene.Publish("a");
        scene.Monitor.Start(new Sequence("1000"));
        await scene.WaitForAsync(told => told is MonitorEvent.Ended);
        Assert.True(scene.Monitor.IsFeedReset);
        Assert.Empty(scene.Told.OfType<MonitorEvent.Revised>());
    }

    [Claim("A reset is noticed while a longpoll, a continuous connection or a poll is open, by numbers, texts and arrays, and by another database; a failure of the look does not affect the read",
        With =
        [
            nameof(Another_database_is_noticed_during_a_read_even_if_its_numbers_go_on),
            nameof(Trouble_of_the_look_is_none_of_the_open_read),
            $"{nameof(Feeds.ChangeFeedTests)}.{nameof(Feeds.ChangeFeedTests.A_head_before_the_cursor_by_its_leading_number_is_a_reset)}",
        ],
        Red = "nothing is looked at beside an open read: the first three were red (the first not where it polls); `Sequence.IsBefore` compares whole numbers only: texts and arrays of the first and the last were red")]
    [Theory]
    [InlineData(FeedMode.Longpoll, FakeSequenceStyle.Number)]
    [InlineData(FeedMode.Longpoll, FakeSequenceStyle.Text)]
    [InlineData(FeedMode.Continuous, FakeSequenceStyle.Number)]
    [InlineData(FeedMode.Continuous, FakeSequenceStyle.Array)]
    [InlineData(FeedMode.Poll, FakeSequenceStyle.Text)]
    public async Task A_reset_is_noticed_during_a_read_with_any_form_of_sequences(FeedMode mode, FakeSequenceStyle style)
    {
        await using var scene = await SceneAsync(mode, style, new MonitorOptions { EndsAtReset = true });
        scene.Registry.ResetFeed(scene.Registry.Knobs.DatabaseId);
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Ended>().Any());
        Assert.True(scene.Monitor.IsFeedReset);
        Assert.Single(scene.Told.OfType<MonitorEvent.Failed>());
    }

    [Fact]
    public async Task Another_database_is_noticed_during_a_read_even_if_its_numbers_go_on()
    {
        await using var scene = await SceneAsync(FeedMode.Continuous, FakeSequenceStyle.Number, new MonitorOptions { EndsAtReset = true });
        scene.Registry.Knobs.DatabaseId = "restored";
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Ended>().Any());
        Assert.True(scene.Monitor.IsFeedReset);
    }

    [Claim("A reset under the same name is noticed although the new numbers have passed the cursor before any look, by the rows that were read last, in any mode and after a restart; rows that move on, numbers that leap ahead and one odd answer are no reset",
        With =
        [
            $"{nameof(Following.MirrorResetTests)}.{nameof(Following.MirrorResetTests.Becomes_equal_when_it_grew_past_the_cursor_without_a_follower)}",
            nameof(Another_change_at_a_packages_place_is_a_reset_except_of_a_mirror),
            nameof(Rows_that_move_on_and_numbers_that_leap_ahead_are_no_reset),
            nameof(One_odd_answer_about_known_rows_is_no_reset),
            nameof(A_row_at_the_place_of_another_need_not_stand_there_again),
        ],
        Red = "other packages at known places say nothing, or rows of the new database are known at once: the first was red; the rows are not kept for the next start: the second; revisions are not compared, or those of a mirror are: the third; an empty place counts: the fourth; the first look is believed: the fifth; a row at the place of another is remembered: the last")]
    [Theory]
    [InlineData(FeedMode.Longpoll)]
    [InlineData(FeedMode.Continuous)]
    [InlineData(FeedMode.Poll)]
    public async Task A_reset_is_noticed_although_new_numbers_have_passed_the_cursor(FeedMode mode)
    {
        await using var scene = await SceneAsync(mode, FakeSequenceStyle.Number, new MonitorOptions { EndsAtReset = true });
        scene.Registry.ResetFeed(scene.Registry.Knobs.DatabaseId);
        for (var i = 0; i < 40; i++)
        {
            scene.Publish($"n{i}");
        }

        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Ended>().Any());
        Assert.True(scene.Monitor.IsFeedReset);
        Assert.Contains("other changes have taken the places of those read", Assert.Single(scene.Told.OfType<MonitorEvent.Failed>()).Error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("couchdb", true)]
    [InlineData("npm-mirror", false)]
    public async Task Another_change_at_a_packages_place_is_a_reset_except_of_a_mirror(string engine, bool isReset)
    {
        await using var scene = await SceneAsync(FeedMode.Continuous, FakeSequenceStyle.Number, new MonitorOptions { EndsAtReset = true });
        var info = JsonSerializer.Serialize(new { update_seq = 500, uuid = scene.Registry.Knobs.DatabaseId, engine });
        scene.Registry.Knobs.Add(new FakeRule { Path = "/", Status = 200, ContentType = "application/json", Body = info });
        scene.Registry.Knobs.Mishaps.LostRows = 1;
        scene.Publish("p2");
        scene.Registry.Knobs.Mishaps.LostRows = 0;
        scene.Registry.ResetFeed(scene.Registry.Knobs.DatabaseId, firstSequence: 10);
        scene.Publish("after");
        var asked = scene.Registry.Requests.CountOf("/");
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Ended>().Any() || scene.Registry.Requests.CountOf("/") > asked + 8);
        Assert.Equal(isReset, scene.Monitor.IsFeedReset);
    }

    [Claim("A mirror that was restored, and whose log has grown past its follower's cursor, is recognised by the hash of its log; one that does not tell its hash is followed on",
        With = [$"{nameof(AspNetCore.FeedTests)}.{nameof(AspNetCore.FeedTests.The_log_tells_its_hash_at_each_position)}"],
        Red = "the hashes are not compared, or none counts as another one: red")]
    [Theory]
    [InlineData("500", "/-/log/12", "aa", false)]
    [InlineData("500", "/-/log/12", "bb", true)]
    [InlineData("12", "/-/log/12", "aa", true)]
    [InlineData("500", "/-/log/other", "bb", false)]
    public async Task A_mirror_with_another_past_was_reset_and_one_that_is_silent_was_not(string head, string path, string hash, bool isReset)
    {
        await using var scene = await SceneAsync(FeedMode.Continuous, FakeSequenceStyle.Number, new MonitorOptions { EndsAtReset = true });
        var before = Say("/", new { update_seq = 12, uuid = scene.Registry.Knobs.DatabaseId, engine = "npm-mirror", log_head = "aa" });
        var asked = scene.Registry.Requests.CountOf("/");
        await PassUntilAsync(() => scene.Registry.Requests.CountOf("/") > asked);
        scene.Registry.Knobs.Remove(before);
        Say("/", new { update_seq = int.Parse(head, System.Globalization.CultureInfo.InvariantCulture), uuid = scene.Registry.Knobs.DatabaseId, engine = "npm-mirror", log_head = "cc" });
        Say(path, new { position = 12, hash });
        asked = scene.Registry.Requests.CountOf("/");
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Ended>().Any() || scene.Registry.Requests.CountOf("/") > asked + 8);
        Assert.Equal(isReset, scene.Monitor.IsFeedReset);

        FakeRule Say(string at, object body) =>
            scene.Registry.Knobs.Add(new FakeRule { Path = at, Status = 200, ContentType = "application/json", Body = JsonSerializer.Serialize(body) });
    }

    [Fact]
    public async Task Rows_that_move_on_and_numbers_that_leap_ahead_are_no_reset()
    {
        await using var scene = await SceneAsync(FeedMode.Poll, FakeSequenceStyle.Number, new MonitorOptions { EndsAtReset = true });
        for (var minute = 0; minute < 10; minute++)
        {
            scene.Publish($"p{minute % 3}");
            scene.Registry.JumpFeed(minute * 10);
            var asked = scene.Registry.Requests.CountOf("/");
            await PassUntilAsync(() => scene.Registry.Requests.CountOf("/") > asked);
        }

        Assert.False(scene.Monitor.IsFeedReset);
        Assert.Empty(scene.Told.OfType<MonitorEvent.Failed>());
    }

    [Fact]
    public async Task A_row_at_the_place_of_another_need_not_stand_there_again()
    {
        await using var scene = await SceneAsync(FeedMode.Poll, FakeSequenceStyle.Number, new MonitorOptions { EndsAtReset = true });
        scene.Registry.Knobs.Mishaps.OddRows = 1;
        foreach (var name in (string[])["n1", "n2", "n3", "n4"])
        {
            scene.Publish(name);
            await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Appeared>().Any(appeared => appeared.Package.Value == name));
        }

        scene.Registry.Knobs.Mishaps.OddRows = 0;
        var asked = scene.Registry.Requests.CountOf("/");
        await PassUntilAsync(() => scene.Registry.Requests.CountOf("/") > asked + 10);
        Assert.False(scene.Monitor.IsFeedReset);
    }

    [Fact]
    public async Task One_odd_answer_about_known_rows_is_no_reset()
    {
        await using var scene = await SceneAsync(FeedMode.Continuous, FakeSequenceStyle.Number, new MonitorOptions { EndsAtReset = true });
        var page = JsonSerializer.Serialize(new { results = new[] { new { seq = 12, id = "other", changes = new[] { new { rev = "1-a" } } } }, last_seq = 12 });
        var odd = new FakeRule { Path = "/_changes", Status = 200, ContentType = "application/json", Body = page, TimesMax = 3 };
        scene.Registry.Knobs.Add(odd);
        var asked = scene.Registry.Requests.CountOf("/");
        await PassUntilAsync(() => scene.Registry.Requests.CountOf("/") > asked + 8);
        Assert.Equal(3, odd.HitCount);
        Assert.False(scene.Monitor.IsFeedReset);
    }

    [Claim("A feed that refuses the mirror's own cursor again and again was reset; a refused cursor of an operator is the operator's error",
        With = [nameof(A_refused_cursor_of_an_operator_is_no_reset)],
        Red = "refusals are not counted, or one is enough: the first was red; who wrote the cursor is not asked: the last")]
    [Fact]
    public async Task A_cursor_of_its_own_that_the_feed_refuses_again_and_again_is_a_reset()
    {
        await using var scene = await SceneAsync(FeedMode.Poll, FakeSequenceStyle.Text, new MonitorOptions { EndsAtReset = true });
        var once = scene.Registry.Knobs.Fail("/_changes", 400, timesMax: 2);
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Failed>().Count() == 2);
        scene.Publish("between");
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Appeared>().Any(appeared => appeared.Package.Value == "between"));
        Assert.False(scene.Monitor.IsFeedReset);
        scene.Registry.Knobs.Fail("/_changes", 400);
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Ended>().Any());
        Assert.True(scene.Monitor.IsFeedReset);
        Assert.Contains("refuses the sequence", scene.Told.OfType<MonitorEvent.Failed>().Last().Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refused_cursor_of_an_operator_is_no_reset()
    {
        var options = new MonitorOptions { EndsAtReset = true, LastSeq = "0" };
        await using var scene = await MonitorScene.StartAsync(options, new FeedOptions { Mode = FeedMode.Poll }, _clock, requestTimeout: TimeSpan.FromHours(100));
        scene.Publish("p");
        scene.Registry.Knobs.Fail("/_changes", 400);
        scene.Monitor.Start();
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Failed>().Count() >= 6);
        Assert.False(scene.Monitor.IsFeedReset);
    }

    [Fact]
    public async Task Trouble_of_the_look_is_none_of_the_open_read()
    {
        await using var scene = await SceneAsync(FeedMode.Continuous, FakeSequenceStyle.Number);
        var asked = scene.Registry.Requests.CountOf("/");
        var trouble = scene.Registry.Knobs.Fail("/", 503);
        await PassUntilAsync(() => scene.Registry.Requests.CountOf("/") >= asked + 3);
        scene.Publish("after");
        await scene.WaitForAsync(told => told is MonitorEvent.Appeared { Package.Value: "after" });
        Assert.Empty(scene.Told.OfType<MonitorEvent.Failed>());
        Assert.Single(scene.Told.OfType<MonitorEvent.Started>());
        Assert.Single(scene.Registry.Requests.All, request => request.Target.Contains("feed=continuous", StringComparison.Ordinal));
        Assert.True(scene.Monitor.IsConnected);
        scene.Registry.Knobs.Remove(trouble);
    }

    [Claim("A cluster's node that lags is no reset: its head is asked for again, its page read after a look",
        With = [nameof(A_page_of_a_clusters_node_that_lags_is_read_after_a_look)],
        Red = "the first look is believed: the first was red; a page that ends before the cursor is never believed: the second")]
    [Fact]
    public async Task A_clusters_node_that_lags_is_no_reset()
    {
        await using var scene = await SceneAsync(FeedMode.Longpoll, FakeSequenceStyle.Text, new MonitorOptions { EndsAtReset = true });
        var asked = scene.Registry.Requests.CountOf("/");
        var earlier = JsonSerializer.Serialize(new { update_seq = "1-g1AAAA", uuid = scene.Registry.Knobs.DatabaseId });
        scene.Registry.Knobs.Add(new FakeRule { Path = "/", Status = 200, ContentType = "application/json", Body = earlier, TimesMax = 3 });
        await PassUntilAsync(() => scene.Registry.Requests.CountOf("/") >= asked + 5);
        scene.Publish("after");
        await scene.WaitForAsync(told => told is MonitorEvent.Appeared { Package.Value: "after" });
        Assert.False(scene.Monitor.IsFeedReset);
        Assert.Empty(scene.Told.OfType<MonitorEvent.Failed>());
    }

    [Fact]
    public async Task A_page_of_a_clusters_node_that_lags_is_read_after_a_look()
    {
        await using var scene = await SceneAsync(FeedMode.Poll, FakeSequenceStyle.Text);
        var early = scene.Told.OfType<MonitorEvent.Revised>().First().LastSequence;
        scene.Publish("more");
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Appeared>().Any(appeared => appeared.Package.Value == "more"));
        var page = JsonSerializer.Serialize(new { results = Array.Empty<object>(), last_seq = early.Text });
        scene.Registry.Knobs.Add(new FakeRule { Path = "/_changes", Status = 200, ContentType = "application/json", Body = page, TimesMax = 2 });
        // Told once as odd, then believed: the cursor stands where the page says, and the rows after it are read again.
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Polled>().Count(polled => polled.Since == early) >= 2);
        Assert.Single(scene.Told.OfType<MonitorEvent.Failed>());
    }

    [Claim("A monitor without a store says that the feed was reset, and tells the news among its newest rows",
        With = [nameof(A_feed_that_was_reset_is_told_and_followed_from_its_new_head)],
        Red = "the newest rows are not looked at: the first was red; no receipts are kept: the first was red")]
    [Theory]
    [InlineData(FeedMode.Continuous, FakeSequenceStyle.Array)]
    [InlineData(FeedMode.Poll, FakeSequenceStyle.Number)]
    public async Task A_monitor_without_a_store_tells_a_reset_and_the_newest_rows(FeedMode mode, FakeSequenceStyle style)
    {
        await using var scene = await SceneAsync(mode, style);
        // One life of the database ends, another begins with less, and all of it is before the cursor.
        scene.Registry.ResetFeed(scene.Registry.Knobs.DatabaseId);
        scene.Publish("meanwhile");
        scene.Registry.Delete("p1");
        var before = scene.Told.Count;
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Deleted>().Any());
        Assert.Contains("was reset", scene.Told.OfType<MonitorEvent.Failed>().Single().Error.Message, StringComparison.Ordinal);
        Assert.Equal(["! ", "+ meanwhile", "- p1"], scene.Lines().Skip(scene.Lines().Count() - 3));
        scene.Publish("after");
        await PassUntilAsync(() => scene.Told.OfType<MonitorEvent.Appeared>().Any(appeared => appeared.Package.Value == "after"));
        Assert.True(before < scene.Told.Count);
    }

    /// <summary>A monitor that has told of a few packages with many changes, and waits at the feed's head.</summary>
    private async Task<MonitorScene> SceneAsync(FeedMode mode, FakeSequenceStyle style, MonitorOptions? options = null)
    {
        var hours = TimeSpan.FromHours(100);
        var scene = await MonitorScene.StartAsync(options, new FeedOptions { Mode = mode, Timeout = hours, Heartbeat = hours }, _clock, requestTimeout: hours);
        scene.Registry.Knobs.Sequences = style;
        for (var i = 0; i < 12; i++)
        {
            scene.Publish($"p{i % 3}");
        }

        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised { LastSequence.Order: 12 });
        if (mode != FeedMode.Poll)
        {
            await scene.Registry.Requests.WaitForAsync(request => request.Target.Contains("feed=", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        }

        return scene;
    }

    private async Task PassUntilAsync(Func<bool> condition) => await Eventually.Async(() =>
    {
        _clock.Advance(TimeSpan.FromSeconds(5));
        return condition();
    });
}
