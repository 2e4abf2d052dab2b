using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using NpmMirror.AspNetCore.Feeds;
using NpmMirror.Storage;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Requests of CouchDB's clients with a body: done as they mean them, or refused with a message, never ignored.</summary>
public sealed class FollowerRequestTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("`_changes` of named or selected packages, `_all_docs` with keys in a body, `skip`, `update_seq` and `conflicts` work as in CouchDB, and unknown parameters are refused with a message; bodies and selectors are limited",
        With =
        [
            nameof(An_unknown_parameter_is_refused_with_a_message),
            nameof(A_body_is_bounded_in_length_depth_and_number),
            nameof(A_selector_is_bounded_in_depth_and_terms),
            nameof(All_docs_takes_keys_from_a_body),
            nameof(The_list_tells_the_end_of_the_log_where_it_is_asked_for),
            nameof(The_info_document_is_one_that_followers_take_for_a_database),
        ],
        Red = "`ChangesFilter` lets every row through: the first was red; it takes an unknown filter for none: the second; `AskedBody` has no limit on the body's length, or on the number of ids: the third; `RowSelector` has none on its depth and terms: the fourth; `AllDocsQuery` does not look at `skip`: the fifth; nor at `update_seq`: the sixth; the info document has no `instance_start_time`: the last")]
    [Theory]
    [InlineData("", "{}", "a,b,@s/c,gone")]
    [InlineData("", "", "a,b,@s/c,gone")]
    [InlineData("filter=_doc_ids", """{"doc_ids":["b","gone","none","@s/c"]}""", "b,@s/c,gone")]
    [InlineData("", """{"doc_ids":[]}""", "")]
    [InlineData("", """{"keys":["b","a"]}""", "a,b")]
    [InlineData("filter=_doc_ids", """["b","Ä"]""", "b")]
    [InlineData("since=1&limit=1", """{"doc_ids":["a","b","@s/c"]}""", "b")]
    [InlineData("descending=true", """{"doc_ids":["a","b"]}""", "b,a")]
    [InlineData("filter=_doc_ids&doc_ids=[\"b\"]", "", "b")]
    [InlineData("filter=_selector", """{"selector":{"name":"a"}}""", "a")]
    [InlineData("", """{"selector":{"_id":{"$gt":"a"}}}""", "b,gone")]
    [InlineData("", """{"selector":{"_id":{"$gte":"a","$lt":"b"}}}""", "a")]
    [InlineData("", """{"selector":{"_id":{"$lte":"a"}}}""", "a,@s/c")]
    [InlineData("", """{"selector":{"_id":{"$gt":null}}}""", "a,b,@s/c,gone")]
    [InlineData("", """{"selector":{"_id":{"$lt":5}}}""", "")]
    [InlineData("", """{"selector":{"_id":{"$in":["a","gone",1]}}}""", "a,gone")]
    [InlineData("", """{"selector":{"_id":{"$nin":["a","gone"]}}}""", "b,@s/c")]
    [InlineData("", """{"selector":{"_id":{"$beginsWith":"@s/"}}}""", "@s/c")]
    [InlineData("", """{"selector":{"_deleted":true}}""", "gone")]
    [InlineData("", """{"selector":{"_deleted":{"$exists":false}}}""", "a,b,@s/c")]
    [InlineData("", """{"selector":{"_deleted":{"$ne":true}}}""", "")]
    [InlineData("", """{"selector":{"name":{"$ne":"a"}}}""", "b,@s/c")]
    [InlineData("", """{"selector":{"$not":{"name":"a"}}}""", "b,@s/c")]
    [InlineData("", """{"selector":{"name":{"$not":{"$eq":"a"}}}}""", "b,@s/c")]
    [InlineData("", """{"selector":{"$or":[{"name":"a"},{"_deleted":true}]}}""", "a,gone")]
    [InlineData("", """{"selector":{"$and":[{"_id":{"$gt":"a"}},{"name":{"$exists":true}}]}}""", "b")]
    [InlineData("", """{"selector":{"$nor":[{"_id":"a"},{"_id":"b"}]}}""", "@s/c,gone")]
    [InlineData("", """{"selector":{"$not":{"$or":[{"_id":"a"},{"_id":"b"}]}}}""", "@s/c,gone")]
    [InlineData("", """{"selector":{"_rev":{"$beginsWith":"3-"},"_id":"a"}}""", "a")]
    public async Task Changes_come_of_named_or_selected_packages(string query, string body, string ids)
    {
        await using var mirror = await FilledAsync();
        using var page = await PostAsync(mirror, $"_changes?{query}", body);
        Assert.Equal(ids, string.Join(',', page.RootElement.GetProperty("results").EnumerateArray().Select(row => row.GetProperty("id").GetString())));
    }

    [Theory]
    [InlineData("_changes", """{"selector":{"versions.1":"x"}}""", "“versions.1”")]
    [InlineData("_changes", """{"selector":{"name":{"$regex":"a"}}}""", "“$regex”")]
    [InlineData("_changes", """{"selector":{"$where":"1"}}""", "“$where”")]
    [InlineData("_changes", """{"selector":{"name":{"first":"a"}}}""", "“first”")]
    [InlineData("_changes", """{"selector":{"name":{}}}""", "object")]
    [InlineData("_changes", """{"selector":{"$or":{}}}""", "$or must have")]
    [InlineData("_changes", """{"selector":{"_deleted":{"$exists":1}}}""", "$exists must")]
    [InlineData("_changes", """{"selector":[]}""", "selector must be")]
    [InlineData("_changes", """{"selector":{"name":"\ud800"}}""", "Unicode")]
    [InlineData("_changes", """{"doc_ids":["a"],"selector":{}}""", "not both")]
    [InlineData("_changes", """{"doc_ids":"a"}""", "array")]
    [InlineData("_changes", """{"doc_ids":[1]}""", "strings")]
    [InlineData("_changes", """{"since":3}""", "“since”")]
    [InlineData("_changes", "7", "JSON object")]
    [InlineData("_changes", "{", "not JSON")]
    [InlineData("_changes?filter=_selector", """{"doc_ids":["a"]}""", "needs a selector")]
    [InlineData("_changes?filter=_doc_ids", """{"selector":{}}""", "needs doc_ids")]
    [InlineData("_changes?filter=app/mine", "{}", "“app/mine”")]
    [InlineData("_changes?doc_ids=[\"a\"]", """{"doc_ids":["a"]}""", "once")]
    [InlineData("_all_docs", """{"keys":"a"}""", "array")]
    [InlineData("_all_docs", """{"limit":1}""", "“limit”")]
    [InlineData("_all_docs", "[]", "keys")]
    [InlineData("_all_docs?keys=[\"a\"]", """{"keys":["a"]}""", "“keys”")]
    [InlineData("_all_docs?startkey=\"a\"", """{"keys":["a"]}""", "Give keys, key, or")]
    [InlineData("_all_docs?conflicts=maybe", "", "conflicts must be")]
    [InlineData("_all_docs?update_seq=1", "", "update_seq must be")]
    public async Task An_unknown_parameter_is_refused_with_a_message(string path, string body, string words)
    {
        await using var mirror = await FilledAsync();
        using var answer = await SendAsync(mirror, path, body);
        using var told = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancelled));
        Assert.Equal(400, (int)answer.StatusCode);
        Assert.Contains(words, told.RootElement.GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("_changes")]
    [InlineData("_all_docs")]
    [InlineData("_bulk_get")]
    public async Task A_body_is_bounded_in_length_depth_and_number(string path)
    {
        await using var mirror = await FilledAsync();
        var many = string.Join(',', Enumerable.Repeat(path == "_bulk_get" ? "{\"id\":\"a\"}" : "\"a\"", 10_001));
        var member = path switch { "_changes" => "doc_ids", "_all_docs" => "keys", _ => "docs" };
        foreach (var (body, status) in new[] { (new string(' ', 5_000_000) + "{}", 413), (new string('[', 200), 400), ($"{{\"{member}\":[{many}]}}", 400) })
        {
            using var answer = await SendAsync(mirror, path, body);
            Assert.Equal(status, (int)answer.StatusCode);
        }

        using var content = new StringContent("{}", Encoding.UTF8, "application/json");
        content.Headers.ContentEncoding.Add("gzip");
        using var packed = await mirror.Client.PostAsync(new Uri(path, UriKind.Relative), content, Cancelled);
        Assert.Equal(415, (int)packed.StatusCode);
    }

    [Fact]
    public async Task A_selector_is_bounded_in_depth_and_terms()
    {
        await using var mirror = await FilledAsync();
        var deep = string.Concat(Enumerable.Repeat("{\"$not\":", 20)) + "{}" + new string('}', 20);
        var wide = "{\"$or\":[" + string.Join(',', Enumerable.Repeat("{\"_id\":\"a\"}", 1_000)) + "]}";
        foreach (var selector in new[] { deep, wide })
        {
            using var answer = await SendAsync(mirror, "_changes", $"{{\"selector\":{selector}}}");
            Assert.Equal(400, (int)answer.StatusCode);
        }
    }

    [Claim("A follower of some packages costs no walk over all changes, waits past the changes of others, and ends its wait in time",
        With =
        [
            nameof(A_longpoll_waits_past_the_changes_of_others),
            nameof(A_filtered_follower_hears_signs_of_life_while_others_change),
            nameof(A_filtered_wait_ends_with_its_timeout_where_it_has_come_to),
            nameof(A_filtered_wait_ends_with_its_timeout_while_others_change),
        ],
        Red = "`ChangesEndpoint` walks over all changes for a few named documents: the first was red; a longpoll ends with the first change of another: the second; there is no sign of life between waits: the third; each wait has the whole time again: the last")]
    [Fact]
    public async Task A_few_named_documents_cost_no_walk_over_all_changes()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await using var mirror = await ServedMirror.StartAsync(store);
        foreach (var name in new[] { "a", "b", "c", "d", "b" })
        {
            await mirror.PutAsync(name, Documents.Of(name, rev: null));
        }

        using var page = await PostAsync(mirror, "_changes", """{"doc_ids":["b","a","none"]}""");
        Assert.Equal(["a@1", "b@5"], page.RootElement.GetProperty("results").EnumerateArray().Select(row => $"{row.GetProperty("id")}@{row.GetProperty("seq")}"));
        Assert.Equal((5, 0), (page.RootElement.GetProperty("last_seq").GetInt64(), counts.CountOf("ListChangesAsync")));
    }

    [Theory]
    [InlineData("{}", "timeout=60000", 10)]
    [InlineData("{}", "", 10)]
    [InlineData("{}", "timeout=500", 0.5)]
    [InlineData("{}", "timeout=60000&heartbeat=true", 60)]
    [InlineData("""{"doc_ids":["ms"]}""", "timeout=60000", 60)]
    [InlineData(null, "timeout=60000", 60)]
    public void A_reader_that_posts_nothing_hears_of_the_end_within_ten_seconds(string? body, string query, double seconds)
    {
        using var json = body is null ? null : JsonDocument.Parse(body);
        Assert.Equal(TimeSpan.FromSeconds(seconds), ChangesQuery.Parse(new QueryCollection(QueryHelpers.ParseQuery($"?feed=longpoll&limit=7&{query}")), null, json?.RootElement, out _)!.Timeout);
    }

    [Fact]
    public async Task A_longpoll_waits_past_the_changes_of_others()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await using var mirror = await FilledAsync(store);
        var waiting = SendAsync(mirror, "_changes?feed=longpoll&since=5&timeout=60000", """{"selector":{"name":"wanted"}}""");
        for (var others = 0; others < 5; others++)
        {
            // It has read the present rows before the next one comes.
            await Eventually.Async(() => counts.CountOf("ListChangesAsync") > others);
            await mirror.PutAsync($"other-{others}", Documents.Of($"other-{others}"));
            await mirror.SettleAsync();
        }

        await mirror.PutAsync("wanted", Documents.Of("wanted"));
        using var answer = await waiting.WaitAsync(TimeSpan.FromSeconds(30), Cancelled);
        using var page = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancelled));
        Assert.Equal("wanted", Assert.Single(page.RootElement.GetProperty("results").EnumerateArray()).GetProperty("id").GetString());
    }

    [Fact]
    public async Task A_filtered_follower_hears_signs_of_life_while_others_change()
    {
        await using var mirror = await FilledAsync();
        await using var stream = await mirror.Client.GetStreamAsync(new Uri("_changes?feed=continuous&since=now&heartbeat=1000&filter=_doc_ids&doc_ids=[\"none\"]", UriKind.Relative), Cancelled);
        using var lines = new StreamReader(stream);
        var sign = lines.ReadLineAsync(Cancelled).AsTask();
        await Eventually.Async(async () =>
        {
            await mirror.PutAsync("other", Documents.Of("other"));
            return sign.IsCompleted;
        });
        Assert.Equal("", await sign);
    }

    [Fact]
    public async Task A_filtered_wait_ends_with_its_timeout_where_it_has_come_to()
    {
        await using var mirror = await FilledAsync();
        using var page = await PostAsync(mirror, "_changes?feed=longpoll&timeout=200", """{"doc_ids":["none"]}""");
        Assert.Empty(page.RootElement.GetProperty("results").EnumerateArray());
        Assert.Equal(5, page.RootElement.GetProperty("last_seq").GetInt64());
    }

    [Fact]
    public async Task A_filtered_wait_ends_with_its_timeout_while_others_change()
    {
        await using var mirror = await FilledAsync();
        var waiting = PostAsync(mirror, "_changes?feed=longpoll&since=now&timeout=500", """{"doc_ids":["none"]}""");
        await Eventually.Async(async () =>
        {
            await mirror.PutAsync("other", Documents.Of("other"));
            return waiting.IsCompleted;
        });
        using var page = await waiting;
        Assert.Empty(page.RootElement.GetProperty("results").EnumerateArray());
        Assert.True(page.RootElement.GetProperty("last_seq").GetInt64() > 5);
    }

    [Theory]
    [InlineData("", """{"keys":["none","b","a"]}""", "none!,b,a")]
    [InlineData("skip=1&limit=1", """{"keys":["none","b","a"]}""", "b")]
    [InlineData("descending=true&limit=2", """{"keys":["none","b","a"]}""", "a,b")]
    [InlineData("limit=0", """{"keys":["a"]}""", "")]
    [InlineData("", "{}", "@s/c,a,b")]
    [InlineData("skip=1&limit=1&conflicts=true", "", "a")]
    [InlineData("key=\"b\"", "", "b")]
    [InlineData("key=\"none\"", "", "")]
    public async Task All_docs_takes_keys_from_a_body(string query, string body, string ids)
    {
        await using var mirror = await FilledAsync();
        using var page = await PostAsync(mirror, $"_all_docs?{query}", body);
        Assert.Equal(ids, string.Join(',', page.RootElement.GetProperty("rows").EnumerateArray().Select(row => row.TryGetProperty("id", out var id) ? id.GetString() : $"{row.GetProperty("key")}!")));
    }

    [Fact]
    public async Task The_list_tells_the_end_of_the_log_where_it_is_asked_for()
    {
        await using var mirror = await FilledAsync();
        using var asked = JsonDocument.Parse(await mirror.TextAsync("_all_docs?update_seq=true&limit=1"));
        using var plain = JsonDocument.Parse(await mirror.TextAsync("_all_docs?limit=1"));
        Assert.Equal(5, asked.RootElement.GetProperty("update_seq").GetInt64());
        Assert.False(plain.RootElement.TryGetProperty("update_seq", out _));
    }

    [Fact]
    public async Task The_info_document_is_one_that_followers_take_for_a_database()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var info = JsonDocument.Parse(await mirror.TextAsync(""));
        Assert.Equal("0", info.RootElement.GetProperty("instance_start_time").GetString());
    }

    [Claim("A row is one line with any document, and replicators get documents without `_attachments`",
        With = [nameof(Replicators_get_documents_without_attachments)],
        Red = "`FeedBody.Document` leaves line ends in: the first was red; `ReplicatedMembers` does not know `_attachments`: the second")]
    [Theory]
    [InlineData(10)]
    [InlineData(9_000_000)]
    public async Task A_row_is_one_line_with_any_document(int length)
    {
        await using var mirror = await ServedMirror.StartAsync();
        var document = Documents.Of("a", new string('x', length)).Replace(",", ",\r\n", StringComparison.Ordinal).Replace("}", "\n}\r", StringComparison.Ordinal) + "\n\n";
        await mirror.PutAsync("a", document);
        var lines = (await mirror.TextAsync("_changes?feed=continuous&include_docs=true&limit=1")).Split('\n');
        var listed = (await mirror.TextAsync("_all_docs?include_docs=true")).Split('\n');
        Assert.Equal((3, 4), (lines.Length, listed.Length));
        foreach (var row in new[] { lines[0], listed[1] })
        {
            using var json = JsonDocument.Parse(row);
            Assert.Equal(length, json.RootElement.GetProperty("doc").GetProperty("description").GetString()!.Length);
        }
    }

    [Theory]
    [InlineData("""{"_attachments":{"a-1.0.0.tgz":{"stub":true,"digest":"md5-x"}},"name":"a","versions":{}}""")]
    [InlineData("""{"name":"a" , "_attachments" : {"x":{"_attachments":1}} , "versions":{"1.0.0":{"_attachments":{}}}}""")]
    [InlineData("""{"name":"a","versions":{},"_attachments":{} }""")]
    [InlineData("""{"name":"a","versions":{}, "_attachments":{},"\u005fattachments":[1,2] }""")]
    [InlineData("""{"_id":"a","_rev":"1-a","_revisions":{"start":1,"ids":["a"]},"_attachments":{}}""")]
    public async Task Replicators_get_documents_without_attachments(string document)
    {
        foreach (var padding in new[] { "", new string(' ', 9_000_000) })
        {
            await using var mirror = await ServedMirror.StartAsync();
            await mirror.PutAsync("a", document[..^1] + padding + "}");
            using var got = await PostAsync(mirror, "_bulk_get?revs=true&attachments=true", """{"docs":[{"id":"a"}]}""");
            using var open = JsonDocument.Parse(await mirror.TextAsync("a?open_revs=all&attachments=true"));
            using var whole = JsonDocument.Parse(document);
            var kept = whole.RootElement.EnumerateObject().Where(member => member.Name != "_attachments").Select(member => member.Name).ToHashSet();
            foreach (var replicated in new[] { got.RootElement.GetProperty("results")[0].GetProperty("docs")[0].GetProperty("ok"), open.RootElement[0].GetProperty("ok") })
            {
                Assert.False(replicated.TryGetProperty("_attachments", out _));
                Assert.Equal(kept.Union(["_id", "_rev", "_revisions"]).Order(), replicated.EnumerateObject().Select(member => member.Name).Order());
            }
        }
    }

    private static async Task<ServedMirror> FilledAsync(IMetadataStore? store = null)
    {
        var mirror = await ServedMirror.StartAsync(store);
        foreach (var name in new[] { "a", "b", "@s/c", "gone" })
        {
            await mirror.PutAsync(name, Documents.Of(name));
        }

        await mirror.RemoveAsync("gone");
        await mirror.SettleAsync();
        return mirror;
    }

    private static StringContent Json(string body) => new(body, new UTF8Encoding(false), new MediaTypeHeaderValue("application/json"));

    private static async Task<HttpResponseMessage> SendAsync(ServedMirror mirror, string path, string body)
    {
        using var content = Json(body);
        return await mirror.Client.PostAsync(new Uri(path, UriKind.Relative), content, Cancelled);
    }

    private static async Task<JsonDocument> PostAsync(ServedMirror mirror, string path, string body)
    {
        using var answer = await SendAsync(mirror, path, body);
        var text = await answer.Content.ReadAsStringAsync(Cancelled);
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text);
    }
}
