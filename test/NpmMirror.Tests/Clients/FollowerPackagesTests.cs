using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Clients;

/// <summary>The packages with which people follow, list and replicate a CouchDB do the same with a mirror: each real one, in its own process.</summary>
public sealed class FollowerPackagesTests : IAsyncDisposable
{
    private readonly TestFolder _folder = new();
    private readonly StringBuilder _told = new();
    private Process? _process;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("PouchDB 7 and 9, nano, follow, cloudant-follow, changes-stream and concurrent-couch-follower, the real packages, read, follow and replicate from a mirror; requests of CouchDB's replicator are answered",
        With =
        [
            nameof(Changes_stream_reads_the_feed_and_hears_of_changes),
            nameof(Concurrent_couch_follower_reads_the_feed_and_hears_of_changes),
            nameof(Nano_reads_lists_fetches_and_follows),
            nameof(PouchDB_lists_selects_and_replicates_named_packages),
            nameof(The_requests_of_CouchDBs_replicator_are_answered),
        ])]
    [Theory]
    [InlineData("follow")]
    [InlineData("cloudant-follow")]
    public async Task Follow_reads_the_feed_and_hears_of_changes(string package)
    {
        await using var mirror = await FilledAsync();
        Start("follow.mjs", package, mirror);
        foreach (var feed in new[] { "continuous", "longpoll" })
        {
            await HearAsync($"{feed}\nplain 2\n", $"{feed}\n@scope/näme 2\n", $"{feed}\nlines 2\n", $"{feed}\ngone deleted\n");
        }

        await mirror.PutAsync("late", Documents.Of("late"));
        await HearAsync("continuous\nlate 2\n", "longpoll\nlate 2\n");
    }

    [Fact]
    public async Task Changes_stream_reads_the_feed_and_hears_of_changes()
    {
        await using var mirror = await FilledAsync();
        Start("changesStream.mjs", "changes-stream", mirror);
        await HearAsync("plain 2\n", "@scope/näme 2\n", "lines 2\n", "gone deleted\n", "filtered plain\n");
        await mirror.PutAsync("late", Documents.Of("late"));
        await HearAsync("late 2\n");
        Assert.DoesNotContain("filtered late", Told(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Concurrent_couch_follower_reads_the_feed_and_hears_of_changes()
    {
        await using var mirror = await FilledAsync();
        Start("concurrentFollower.mjs", "concurrent-couch-follower", mirror);
        await HearAsync("plain 2\n", "@scope/näme 2\n", "lines 2\n", "gone deleted\n");
        await mirror.PutAsync("late", Documents.Of("late"));
        await HearAsync("late 2\n");
    }

    [Fact]
    public async Task Nano_reads_lists_fetches_and_follows()
    {
        await using var mirror = await FilledAsync();
        Start("nano.mjs", "nano", mirror);
        await HearAsync("@\n");
        await HearAsync(
            "info 3\n", "get \"@scope/näme\"\n", "list [\"lines\",\"plain\"]\n", "fetch [\"plain\",\"none!\"]\n", "revs [\"plain\"]\n", "missing [404,true]\n",
            "selected \"plain\"\nselected \"@scope/näme\"\nselected \"lines\"\n", "plain 2\n@scope/näme 2\nlines 2\ngone deleted\n");
        await FollowedAsync(mirror, "late 2\n");
    }

    [Theory]
    [InlineData("pouchdb")]
    [InlineData("pouchdb-7")]
    public async Task PouchDB_lists_selects_and_replicates_named_packages(string package)
    {
        await using var mirror = await FilledAsync();
        Start("pouchReads.mjs", package, mirror);
        await HearAsync("@\n");
        await HearAsync("info 3\n", "keys [\"plain\",\"not_found\"]\n", "range [\"plain\"]\n", "selector [\"plain\"]\n", "doc_ids [\"lines\"]\n", "replicated 2\n", "stubs false\n");
        await FollowedAsync(mirror, "late 2\n");
        Assert.DoesNotContain("other", Told(), StringComparison.Ordinal);
    }

    /// <summary>The requests of CouchDB's replicator (3.3 and later, without checkpoints on the source) to a source, in its order.</summary>
    [Fact]
    public async Task The_requests_of_CouchDBs_replicator_are_answered()
    {
        await using var mirror = await FilledAsync();
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(mirror, HttpMethod.Head, "")).Status);
        var info = (await SendAsync(mirror, HttpMethod.Get, "")).Body;
        Assert.Equal(JsonValueKind.String, info.GetProperty("instance_start_time").ValueKind);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(mirror, HttpMethod.Get, "_local/0123456789abcdef0123456789abcdef")).Status);
        var rows = (await SendAsync(mirror, HttpMethod.Get, "_changes?feed=normal&style=all_docs&since=0&timeout=10000")).Body.GetProperty("results").EnumerateArray().ToList();
        Assert.Equal(["plain", "@scope/näme", "lines", "gone"], rows.Select(row => row.GetProperty("id").GetString()));
        var asked = string.Join(',', rows.Select(row => $"{{\"id\":{row.GetProperty("id").GetRawText()},\"rev\":{row.GetProperty("changes")[0].GetProperty("rev").GetRawText()}}}"));
        var got = (await SendAsync(mirror, HttpMethod.Post, "_bulk_get?latest=true&revs=true&attachments=true", $"{{\"docs\":[{asked}]}}")).Body.GetProperty("results").EnumerateArray();
        foreach (var (row, result) in rows.Zip(got))
        {
            var document = result.GetProperty("docs")[0].GetProperty("ok");
            Assert.Equal(row.GetProperty("id").GetString(), document.GetProperty("_id").GetString());
            Assert.Equal(row.GetProperty("changes")[0].GetProperty("rev").GetString(), document.GetProperty("_rev").GetString());
            Assert.True(document.TryGetProperty("_revisions", out _));
            Assert.False(document.TryGetProperty("_attachments", out _));
        }

        foreach (var (filter, body) in new[] { ("_doc_ids", """{"doc_ids":["lines"]}"""), ("_selector", """{"selector":{"_id":{"$eq":"lines"}}}""") })
        {
            var chosen = (await SendAsync(mirror, HttpMethod.Post, $"_changes?filter={filter}&feed=normal&style=all_docs&since=0&timeout=10000", body)).Body;
            Assert.Equal("lines", Assert.Single(chosen.GetProperty("results").EnumerateArray()).GetProperty("id").GetString());
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(CancellationToken.None);
            _process.Dispose();
        }

        _folder.Dispose();
    }

    private static async Task<ServedMirror> FilledAsync()
    {
        var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("plain", Documents.Of("plain"));
        await mirror.PutAsync("@scope/näme", Documents.Of("@scope/näme"));
        var stub = """{"_attachments":{"lines-1.0.0.tgz":{"stub":true,"revpos":1,"length":1,"digest":"md5-AAAA"}},""";
        await mirror.PutAsync("lines", (stub + Documents.Of("lines")[1..]).Replace(",", ",\r\n", StringComparison.Ordinal));
        await mirror.PutAsync("gone", Documents.Of("gone"));
        await mirror.RemoveAsync("gone");
        await mirror.SettleAsync();
        return mirror;
    }

    private static async Task<(HttpStatusCode Status, JsonElement Body)> SendAsync(ServedMirror mirror, HttpMethod method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.TryAddWithoutValidation("Accept", "application/json");
        request.Headers.TryAddWithoutValidation("User-Agent", "CouchDB-Replicator/3.3.3");
        request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await mirror.Client.SendAsync(request, Cancelled);
        var text = await answer.Content.ReadAsStringAsync(Cancelled);
        return (answer.StatusCode, text.Length == 0 ? default : JsonSerializer.Deserialize<JsonElement>(text));
    }

    private void Start(string script, string package, ServedMirror mirror)
    {
        Assert.SkipUnless(TestTools.Has(package), TestTools.Missing(package));
        var node = TestTools.Command("node")[0];
        _process = TestProcess.Start(
            [node, "--no-deprecation", Path.Combine(AppContext.BaseDirectory, "Clients", script), Path.Combine(TestTools.Root, ".test-tools"), new Uri(mirror.Address, "/npm").AbsoluteUri, _folder.Path, package],
            _folder.Path,
            new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH")!, ["HOME"] = _folder.Path });
        _ = TestProcess.GatherAsync(_process.StandardOutput, _told, CancellationToken.None);
        _ = TestProcess.GatherAsync(_process.StandardError, _told, CancellationToken.None);
    }

    /// <summary>A live follower is told of one of many packages that change, from any place.</summary>
    private async Task FollowedAsync(ServedMirror mirror, string line)
    {
        for (var tries = 0; tries < 150 && !Told().Contains(line, StringComparison.Ordinal); tries++)
        {
            await mirror.PutAsync("other", Documents.Of("other"));
            await mirror.PutAsync("late", Documents.Of("late", rev: null));
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, Cancelled);
        }

        Assert.Contains(line, Told(), StringComparison.Ordinal);
    }

    private string Told()
    {
        lock (_told)
        {
            return _told.ToString();
        }
    }

    private async Task HearAsync(params string[] lines)
    {
        foreach (var line in lines)
        {
            try
            {
                await Eventually.Async(() => ("\n" + Told()).Contains("\n" + line, StringComparison.Ordinal));
            }
            catch (Xunit.Sdk.TrueException)
            {
                Assert.Fail($"The package did not tell “{line}”, but:\n{Told()}");
            }
        }
    }
}
