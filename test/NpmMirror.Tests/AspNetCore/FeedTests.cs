using System.Globalization;
using System.Text.Json;
using NpmMirror.Storage;

namespace NpmMirror.Tests.AspNetCore;

public sealed class FeedTests
{
    [Fact]
    public async Task Changes_are_one_row_a_package_at_its_newest_position()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        await mirror.PutAsync("b", Documents.Of("b", rev: null));
        await mirror.PutAsync("a", Documents.Of("a", "second", "4-11111111111111111111111111111111"));
        using var page = await JsonAsync(mirror, "_changes");
        Assert.Equal(["b@2", "a@3"], RowsOf(page).Select(row => $"{row.GetProperty("id").GetString()}@{row.GetProperty("seq").GetInt64()}"));
        Assert.Equal(3, page.RootElement.GetProperty("last_seq").GetInt64());
        Assert.Matches("^1-[0-9a-f]{32}$", RevOf(RowsOf(page)[0]));
        Assert.Equal("4-11111111111111111111111111111111", RevOf(RowsOf(page)[1]));
    }

    [Fact]
    public async Task Removed_packages_stay_in_the_feed_as_deleted()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        await mirror.RemoveAsync("a");
        using var page = await JsonAsync(mirror, "_changes?include_docs=true");
        var row = Assert.Single(RowsOf(page));
        Assert.True(row.GetProperty("deleted").GetBoolean());
        Assert.True(row.GetProperty("doc").GetProperty("_deleted").GetBoolean());
    }

    [Theory]
    [InlineData("since=2", "c", 3)]
    [InlineData("since=now", "", 3)]
    [InlineData("limit=2", "a,b", 2)]
    [InlineData("limit=0", "a", 1)]
    [InlineData("descending=true&limit=1", "c", 3)]
    [InlineData("since=3", "", 3)]
    public async Task Changes_can_be_cut(string query, string ids, long lastSeq)
    {
        await using var mirror = await ServedMirror.StartAsync();
        foreach (var name in new[] { "a", "b", "c" })
        {
            await mirror.PutAsync(name, Documents.Of(name));
        }

        using var page = await JsonAsync(mirror, "_changes?" + query);
        Assert.Equal(ids, string.Join(',', RowsOf(page).Select(row => row.GetProperty("id").GetString())));
        Assert.Equal(lastSeq, page.RootElement.GetProperty("last_seq").GetInt64());
    }

    [Claim("A follower that stands after the log's end is told the end at once, in every mode, and a real PouchDB goes on from there",
        With =
        [
            $"{nameof(ShortcutFeedTests)}.{nameof(ShortcutFeedTests.Says_the_same_as_the_server)}",
            $"{nameof(Following.PouchReplicationTests)}.{nameof(Following.PouchReplicationTests.Goes_on_after_the_mirror_was_reset_to_before_its_place)}",
        ],
        Red = "`ChangesEndpoint` does not compare with the head")]
    [Theory]
    [InlineData("since=9")]
    [InlineData("since=9&limit=1&include_docs=true")]
    [InlineData("feed=longpoll&since=9")]
    [InlineData("feed=longpoll&since=9&heartbeat=1000")]
    [InlineData("feed=continuous&since=9&heartbeat=1000")]
    public async Task After_the_end_no_follower_waits_and_the_end_is_told(string query)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        await mirror.PutAsync("b", Documents.Of("b"));
        using var page = await JsonAsync(mirror, "_changes?" + query);
        Assert.Equal(2, page.RootElement.GetProperty("last_seq").GetInt64());
        Assert.False(page.RootElement.TryGetProperty("results", out var rows) && rows.GetArrayLength() > 0);
    }

    [Theory]
    [InlineData("since=12-g1AAAA")]
    [InlineData("since=-1")]
    [InlineData("limit=many")]
    [InlineData("feed=eventsource")]
    [InlineData("filter=x")]
    [InlineData("filter=_doc_ids")]
    [InlineData("filter=_selector")]
    [InlineData("doc_ids=[1]")]
    [InlineData("view=a/b")]
    public async Task An_unknown_option_of_a_feed_is_refused_and_not_ignored(string query)
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var answer = await mirror.GetAsync("_changes?" + query);
        Assert.Equal(400, (int)answer.StatusCode);
    }

    [Fact]
    public async Task Documents_come_as_a_reader_would_get_them()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        using var page = await JsonAsync(mirror, "_changes?include_docs=true");
        Assert.Equal((await mirror.TextAsync("a")).ReplaceLineEndings(""), RowsOf(page)[0].GetProperty("doc").GetRawText());
    }

    [Claim("A waiting follower is told of a change as soon as it is stored, and ten thousand wait in 177 MB (measured, not held by a test: one alone is told 34 ms after the upstream told the mirror, p99 46–173 ms; bench/waiters.sh, bench/RESULTS.md)",
        With = [$"{nameof(ShortcutFeedTests)}.{nameof(ShortcutFeedTests.Hundreds_of_waiting_followers_cost_one_reader_and_no_server_request)}"],
        Red = "`LogSignal.Advance` wakes nobody: the first was red")]
    [Fact]
    public async Task A_longpoll_is_answered_by_the_next_change()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        using var waiting = await mirror.Client.GetAsync(new Uri("_changes?feed=longpoll&since=1&heartbeat=100", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        var body = waiting.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.False(body.IsCompleted);
        await mirror.PutAsync("b", Documents.Of("b"));
        using var page = JsonDocument.Parse(await body.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        Assert.Equal("b", Assert.Single(RowsOf(page)).GetProperty("id").GetString());
        Assert.Equal(2, page.RootElement.GetProperty("last_seq").GetInt64());
    }

    [Fact]
    public async Task A_longpoll_without_a_change_ends_with_its_timeout()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var page = await JsonAsync(mirror, "_changes?feed=longpoll&timeout=200");
        Assert.Empty(RowsOf(page));
        Assert.Equal(0, page.RootElement.GetProperty("last_seq").GetInt64());
    }

    [Fact]
    public async Task A_continuous_feed_gives_a_line_a_change_and_empty_lines_between()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        await using var stream = await mirror.Client.GetStreamAsync(new Uri("_changes?feed=continuous&heartbeat=100&limit=2", UriKind.Relative), TestContext.Current.CancellationToken);
        using var lines = new StreamReader(stream);
        Assert.Equal("a", IdOf(await lines.ReadLineAsync(TestContext.Current.CancellationToken)));
        Assert.Equal("", await lines.ReadLineAsync(TestContext.Current.CancellationToken));
        await mirror.PutAsync("b", Documents.Of("b"));
        string? line;
        do
        {
            line = await lines.ReadLineAsync(TestContext.Current.CancellationToken);
        }
        while (line?.Length == 0);
        Assert.Equal("b", IdOf(line));
        Assert.Equal("{\"last_seq\":2}", await lines.ReadLineAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("", "-,@s/x,B,a,ab,z")]
    [InlineData("startkey=\"a\"", "a,ab,z")]
    [InlineData("startkey=a", "a,ab,z")]
    [InlineData("startkey=\"aa\"", "ab,z")]
    [InlineData("startkey=\"@s/\"", "@s/x,B,a,ab,z")]
    [InlineData("startkey=\"@s\"", "@s/x,B,a,ab,z")]
    [InlineData("startkey=\"a b\"", "ab,z")]
    [InlineData("startkey=\"a\"&endkey=\"ab\"", "a,ab")]
    [InlineData("startkey=\"a\"&endkey=\"ab\"&inclusive_end=false", "a")]
    [InlineData("limit=2", "-,@s/x")]
    [InlineData("limit=2&skip=1", "@s/x,B")]
    [InlineData("descending=true&limit=2", "z,ab")]
    [InlineData("descending=true&startkey=\"ab\"&limit=2", "ab,a")]
    [InlineData("descending=true&startkey=\"ab\"&endkey=\"B\"", "ab,a,B")]
    [InlineData("key=\"B\"", "B")]
    public async Task All_docs_lists_held_packages_in_byte_order(string query, string ids)
    {
        await using var mirror = await ServedMirror.StartAsync();
        foreach (var name in new[] { "z", "ab", "a", "B", "@s/x", "-", "gone" })
        {
            await mirror.PutAsync(name, Documents.Of(name));
        }

        await mirror.RemoveAsync("gone");
        using var page = await JsonAsync(mirror, "_all_docs?" + query);
        Assert.Equal(ids, string.Join(',', page.RootElement.GetProperty("rows").EnumerateArray().Select(row => row.GetProperty("id").GetString())));
        Assert.Equal(6, page.RootElement.GetProperty("total_rows").GetInt64());
    }

    [Claim("A list that breaks off never ends like a whole answer, however little of it was written",
        Red = "only what was flushed counts as begun: red")]
    [Fact]
    public async Task A_list_that_breaks_off_in_its_first_rows_never_ends_as_an_answer()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await using var mirror = await ServedMirror.StartAsync(store);
        await mirror.PutAsync("a", Documents.Of("a"));
        await mirror.PutAsync("b", Documents.Of("b"));
        counts.ListTrouble = new MirrorException(MirrorFault.StoreUnavailable, "The page is damaged.");
        await Assert.ThrowsAsync<HttpRequestException>(() => mirror.GetAsync("_all_docs"));
    }

    [Fact]
    public async Task All_docs_finds_named_keys_and_says_which_are_missing()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        using var page = await JsonAsync(mirror, "_all_docs?keys=[\"x\",\"a\"]&include_docs=true");
        var rows = page.RootElement.GetProperty("rows").EnumerateArray().ToList();
        Assert.Equal("not_found", rows[0].GetProperty("error").GetString());
        Assert.Equal("a", rows[1].GetProperty("doc").GetProperty("name").GetString());
    }

    [Fact]
    public async Task The_info_document_tells_the_head_that_can_be_noted()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        await mirror.PutAsync("b", Documents.Of("b"));
        await mirror.RemoveAsync("b");
        using var info = await JsonAsync(mirror, "");
        using var head = await JsonAsync(mirror, "-/log/head");
        Assert.Equal((1, 1, 3), (info.RootElement.GetProperty("doc_count").GetInt64(), info.RootElement.GetProperty("doc_del_count").GetInt64(), info.RootElement.GetProperty("update_seq").GetInt64()));
        Assert.Equal("npm-mirror", info.RootElement.GetProperty("engine").GetString());
        Assert.Equal(await mirror.InstanceAsync(), info.RootElement.GetProperty("uuid").GetString());
        Assert.Equal(info.RootElement.GetProperty("log_head").GetString(), head.RootElement.GetProperty("hash").GetString());
        Assert.Matches("^[0-9a-f]{64}$", head.RootElement.GetProperty("hash").GetString()!);
    }

    [Fact]
    public async Task A_wait_that_is_shorter_than_its_heartbeat_has_none()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        for (var milliseconds = 0; milliseconds < 20; milliseconds++)
        {
            Assert.DoesNotContain("\n\n\n", await mirror.TextAsync($"_changes?feed=longpoll&since=now&heartbeat=60000&timeout={milliseconds}"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_log_tells_its_hash_at_each_position()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        await mirror.PutAsync("b", Documents.Of("b"));
        using var noted = await JsonAsync(mirror, "-/log/head");
        await mirror.PutAsync("c", Documents.Of("c"));
        using var first = await JsonAsync(mirror, "-/log/1");
        using var second = await JsonAsync(mirror, $"-/log/{noted.RootElement.GetProperty("position").GetInt64()}");
        Assert.Equal(noted.RootElement.GetRawText(), second.RootElement.GetRawText());
        Assert.NotEqual(first.RootElement.GetProperty("hash").GetString(), second.RootElement.GetProperty("hash").GetString());
        using var afterEnd = await mirror.GetAsync("-/log/99");
        Assert.Equal(404, (int)afterEnd.StatusCode);
    }

    [Fact]
    public async Task The_classic_list_of_everything_is_one_object_by_name()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        await mirror.PutAsync("@s/b", Documents.Of("@s/b"));
        using var all = await JsonAsync(mirror, "-/all");
        Assert.True(all.RootElement.GetProperty("_updated").GetInt64() > 0);
        var listed = all.RootElement.GetProperty("@s/b");
        Assert.Equal("1.1.0", listed.GetProperty("dist-tags").GetProperty("latest").GetString());
        Assert.Equal(new DateTime(2021, 2, 3, 4, 5, 6), DateTime.Parse(listed.GetProperty("time").GetProperty("modified").GetString()!, CultureInfo.InvariantCulture).ToUniversalTime());
    }

    [Claim("`{m}/-/all` has the searchable members of the older list",
        Red = "`AllEndpoint` does not look at the latest version")]
    [Fact]
    public async Task The_classic_list_takes_search_members_from_top_or_latest_version()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", """
            {"_id":"a","_rev":"1-a","name":"a","description":"of the top","users":{"me":true},"readme":"long","readmeFilename":"README.md","author":{"name":"Me"},
             "dist-tags":{"latest":"2.0.0"},"time":{"modified":"2021-02-03T04:05:06.000Z"},
             "versions":{"1.0.0":{"name":"a","version":"1.0.0","homepage":"https://old.example.org"},
                         "2.0.0":{"name":"a","version":"2.0.0","description":"of the version","keywords":["x","y"],"license":"MIT","homepage":"https://example.org",
                                  "repository":{"type":"git","url":"git+https://example.org/a.git"},"bugs":{"url":"https://example.org/bugs"},"maintainers":[{"name":"me"}],"scripts":{}}}}
            """);
        using var all = await JsonAsync(mirror, "-/all");
        var listed = all.RootElement.GetProperty("a");
        Assert.Equal(
            ["name", "dist-tags", "description", "maintainers", "author", "repository", "readmeFilename", "homepage", "keywords", "bugs", "license", "users", "time", "versions"],
            listed.EnumerateObject().Select(member => member.Name));
        Assert.Equal(("of the top", "https://example.org", "MIT"), (listed.GetProperty("description").GetString(), listed.GetProperty("homepage").GetString(), listed.GetProperty("license").GetString()));
        Assert.Equal("""{"2.0.0":"latest"}""", listed.GetProperty("versions").GetRawText());
    }

    private static async Task<JsonDocument> JsonAsync(ServedMirror mirror, string path) => JsonDocument.Parse(await mirror.TextAsync(path));

    private static List<JsonElement> RowsOf(JsonDocument page) => [.. page.RootElement.GetProperty("results").EnumerateArray()];

    private static string RevOf(JsonElement row) => row.GetProperty("changes")[0].GetProperty("rev").GetString()!;

    private static string? IdOf(string? line)
    {
        using var row = JsonDocument.Parse(line!);
        return row.RootElement.GetProperty("id").GetString();
    }
}
