using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Searching;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Every answer agrees whether a package may be seen, for each kind of removal and each setting.</summary>
public sealed class VisibilityTests : IAsyncLifetime
{
    private const string Host = "localhost:4873";
    private const string Found = """{"objects":[{"package":{"name":"left-pad","version":"1.0.0"}},{"package":{"name":"alive","version":"1.0.0"}}],"total":2,"time":"now"}""";

    private readonly string _folder = Directory.CreateTempSubdirectory("npm-mirror-").FullName;
    private readonly MemoryStore _store = new(TimeProvider.System);
    private FileBlobStore _blobs = null!;
    private FakeRegistry _registry = null!;
    private ServedMirror? _mirror;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _blobs = new FileBlobStore(_folder, NullLogger<FileBlobStore>.Instance);
        _registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        _registry.Publish(new FakePackage("left-pad").Version("1.0.0"));
        _registry.Publish(new FakePackage("alive").Version("1.0.0"));
        _registry.Attestations["left-pad@1.0.0"] = new JsonObject { ["attestations"] = new JsonArray() };
        _registry.Knobs.Add(new FakeRule { Path = "/-/v1/search", Status = 200, Body = Found, ContentType = "application/json" });
    }

    public async ValueTask DisposeAsync()
    {
        await (_mirror?.DisposeAsync() ?? ValueTask.CompletedTask);
        await _registry.DisposeAsync();
        await _store.DisposeAsync();
        _blobs.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Claim("Packument, manifest, tags, tarball, attestations, `_changes`, `_all_docs`, `/-/all`, replication, search, events, the page and the shortcut say the same of whether a removed package may be seen, for each kind of removal and each `removed.*`",
        With =
        [
            nameof(A_kept_package_has_its_documents_revision_in_every_feed),
            nameof(A_search_loses_just_the_hidden_packages),
            $"{nameof(MirrorOfMirrorTests)}.{nameof(MirrorOfMirrorTests.A_removed_package_that_a_mirror_still_shows_stays_with_its_mirrors)}",
        ],
        Red = "`EventsEndpoint` quotes all payloads: the two cases of blocked packages; `_changes` without `VisibilityRules.AsShown`: the three cases of `keep`")]
    [Theory]
    [InlineData(RemovalKind.Unpublished, RemovedMode.Hide)]
    [InlineData(RemovalKind.Unpublished, RemovedMode.Keep)]
    [InlineData(RemovalKind.Unpublished, RemovedMode.Purge)]
    [InlineData(RemovalKind.Gone, RemovedMode.Hide)]
    [InlineData(RemovalKind.Gone, RemovedMode.Keep)]
    [InlineData(RemovalKind.Gone, RemovedMode.Purge)]
    [InlineData(RemovalKind.Blocked, RemovedMode.Hide)]
    [InlineData(RemovalKind.Blocked, RemovedMode.Keep)]
    [InlineData(RemovalKind.Blocked, RemovedMode.Purge)]
    [InlineData(RemovalKind.SecurityHolder, RemovedMode.Hide)]
    [InlineData(RemovalKind.SecurityHolder, RemovedMode.Keep)]
    [InlineData(RemovalKind.SecurityHolder, RemovedMode.Purge)]
    public async Task Every_answer_says_the_same_of_a_removed_package(RemovalKind kind, RemovedMode mode)
    {
        await StartAsync(kind, mode);
        var living = await LookAsync();
        Assert.All(Expected(isShown: true, 200, past: 200), pair => Assert.Equal(pair, KeyValuePair.Create(pair.Key, living[pair.Key])));

        var isHolder = kind == RemovalKind.SecurityHolder;
        await (isHolder ? TakeDownAsync() : RemoveAsync(kind));
        var isKept = mode == RemovedMode.Keep;
        var refused = kind == RemovalKind.Blocked ? 451 : 404;
        var expected = Expected(isKept || isHolder, isKept || isHolder ? 200 : refused, past: isKept || kind is RemovalKind.Unpublished or RemovalKind.Gone ? 200 : 451);
        if (isHolder)
        {
            // The holder's packument has no 1.0.0 any more.
            expected["manifest"] = isKept ? "404" : "451";
            expected["page of the version"] = "404";
            expected["events"] = expected["events of the page"] = "quoted";
        }

        var seen = await LookAsync();
        Assert.Equal(Lines(expected), Lines(seen));
    }

    [Fact]
    public async Task A_kept_package_has_its_documents_revision_in_every_feed()
    {
        await StartAsync(RemovalKind.Gone, RemovedMode.Keep);
        var rev = (await JsonAsync("left-pad")).GetProperty("_rev").GetString();
        await RemoveAsync(RemovalKind.Gone);
        Assert.Equal(rev, ChangeOf(await JsonAsync("_changes")).GetProperty("changes")[0].GetProperty("rev").GetString());
        Assert.Equal(rev, (await JsonAsync("_all_docs?keys=[\"left-pad\"]")).GetProperty("rows")[0].GetProperty("value").GetProperty("rev").GetString());
        Assert.Equal(rev, RowOf(await JsonAsync("_all_docs")).GetProperty("value").GetProperty("rev").GetString());
        Assert.Equal(rev, (await JsonAsync("left-pad")).GetProperty("_rev").GetString());
    }

    [Theory]
    [InlineData("""{"objects":[],"total":0}""")]
    [InlineData("""{"objects":[{"package":{"name":"left-pad"}}],"total":1}""")]
    [InlineData("""{"total":3,"objects":[{"package":{"name":"alive"}},{"package":{"name":"left-pad"}},{"package":{"name":"Ä"}},{"package":7},{},[],"left-pad"],"time":"x"}""")]
    [InlineData("""{"objects":[{"package":{"name":"left-pad"}}],"objects":[ {"package":{"name":"left\u002dpad"}} , {"package":{"name":"alive"}} ]}""")]
    public async Task A_search_loses_just_the_hidden_packages(string answer)
    {
        _registry.Knobs.Add(new FakeRule { Path = "/-/v1/search", Status = 200, Body = answer, ContentType = "application/json" });
        await StartAsync(RemovalKind.Gone, RemovedMode.Hide);
        Assert.Equal(answer, await _mirror!.TextAsync("-/v1/search?text=x"));
        await RemoveAsync(RemovalKind.Gone);
        var expected = JsonNode.Parse(answer.Replace("""{"objects":[{"package":{"name":"left-pad"}}],"objects":""", """{"objects":""", StringComparison.Ordinal))!;
        expected["objects"] = new JsonArray([.. expected["objects"]!.AsArray().Where(one => one is not JsonObject found || found["package"] is not JsonObject package || package["name"]!.GetValue<string>() != "left-pad").Select(one => one!.DeepClone())]);
        using var left = JsonDocument.Parse(await _mirror!.TextAsync("-/v1/search?text=x"));
        Assert.Equal(expected["objects"]!.ToJsonString(), JsonNode.Parse(left.RootElement.EnumerateObject().Last(member => member.NameEquals("objects")).Value.GetRawText())!.ToJsonString());
    }

    /// <summary>Every answer about left-pad, in a few words each.</summary>
    private async Task<Dictionary<string, string>> LookAsync()
    {
        var change = ChangeOf(await JsonAsync("_changes?include_docs=true"));
        var deleted = await PostAsync("_changes?filter=_selector", """{"selector":{"_deleted":true}}""");
        var listed = await JsonAsync("_all_docs?include_docs=true");
        var removed = await JsonAsync("_all_docs?removed=true");
        var keyed = (await JsonAsync("_all_docs?keys=[\"left-pad\"]")).GetProperty("rows")[0];
        var bulk = (await PostAsync("_bulk_get", """{"docs":[{"id":"left-pad"}]}""")).GetProperty("results")[0].GetProperty("docs")[0].GetProperty("ok");
        var named = (await JsonAsync("left-pad?open_revs=all"))[0].GetProperty("ok");
        var found = await JsonAsync("-/v1/search?text=pad");
        var search = _mirror!.Mirror.Search!;
        var head = (await _store.Log.ReadHeadAsync(Cancelled)).Position;
        await Eventually.Async(() => search.State is { Phase: SearchPhase.Following } state && state.Position == head);
        return new Dictionary<string, string>
        {
            ["packument"] = await StatusAsync("left-pad"),
            ["manifest"] = await StatusAsync("left-pad/1.0.0"),
            ["tag"] = await StatusAsync("left-pad/latest"),
            ["tags"] = await StatusAsync("-/package/left-pad/dist-tags"),
            ["tarball"] = await StatusAsync("left-pad/-/left-pad-1.0.0.tgz"),
            ["attestations"] = await StatusAsync("-/npm/v1/attestations/left-pad@1.0.0"),
            ["packument on the connection"] = await RawStatusAsync("/npm/left-pad"),
            ["tarball on the connection"] = await RawStatusAsync("/npm/left-pad/-/left-pad-1.0.0.tgz"),
            ["_changes"] = Shown(!change.TryGetProperty("deleted", out _)),
            ["_changes, document"] = Shown(!change.GetProperty("doc").TryGetProperty("_deleted", out _)),
            ["_changes, selector"] = Shown(!deleted.GetProperty("results").EnumerateArray().Any()),
            ["_all_docs"] = Shown(listed.GetProperty("rows").EnumerateArray().Any(IsPad)),
            ["_all_docs, total"] = Shown(listed.GetProperty("total_rows").GetInt32() == 2),
            ["_all_docs, key"] = Shown(!keyed.TryGetProperty("error", out _)),
            ["_all_docs, removed"] = Shown(!removed.GetProperty("rows").EnumerateArray().Any(IsPad)),
            ["_all_docs, removed, total"] = Shown(removed.GetProperty("total_rows").GetInt32() == 0),
            ["all"] = Shown((await JsonAsync("-/all")).TryGetProperty("left-pad", out _)),
            ["_bulk_get"] = Shown(!bulk.TryGetProperty("_deleted", out _)),
            ["open_revs"] = Shown(!named.TryGetProperty("_deleted", out _)),
            ["search"] = Shown(found.GetProperty("objects").EnumerateArray().Any(one => one.GetProperty("package").GetProperty("name").ValueEquals("left-pad"))),
            ["search in the index"] = Shown((await search.FindAsync(new SearchQuery { Text = "left-pad" }, Cancelled)).Total == 1),
            ["search in the index, names"] = Shown((await search.BrowseAsync("left", null, 20, Cancelled)).Total == 1),
            ["search in the index, all"] = Shown((await search.FindAsync(new SearchQuery { Text = "boost-exact:false" }, Cancelled)).Total == 2),
            ["events"] = await EventsAsync("-/events"),
            ["events of the page"] = await EventsAsync("/api/events"),
            ["page of the package"] = await PageAsync("/package/left-pad"),
            ["page of the version"] = await PageAsync("/package/left-pad/v/1.0.0"),
            ["page of all packages"] = Shown((await HtmlAsync("/packages")).Contains(">left-pad</a>", StringComparison.Ordinal)),
        };
    }

    private static Dictionary<string, string> Expected(bool isShown, int status, int past)
    {
        string[] documents = ["packument", "manifest", "tag", "tags", "attestations", "packument on the connection", "page of the package", "page of the version"];
        string[] lists = ["_changes", "_changes, document", "_changes, selector", "_all_docs", "_all_docs, total", "_all_docs, key", "_all_docs, removed", "_all_docs, removed, total", "all", "_bulk_get", "open_revs", "search", "search in the index", "search in the index, names", "search in the index, all", "page of all packages"];
        var expected = documents.ToDictionary(name => name, _ => $"{status}");
        foreach (var name in lists)
        {
            expected[name] = Shown(isShown);
        }

        expected["tarball"] = expected["tarball on the connection"] = $"{past}";
        expected["events"] = expected["events of the page"] = past == 200 ? "quoted" : "hidden";
        return expected;
    }

    private static string Lines(Dictionary<string, string> seen) => string.Join("\n", seen.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}: {pair.Value}"));

    private static string Shown(bool isShown) => isShown ? "shown" : "hidden";

    private static bool IsPad(JsonElement row) => row.GetProperty("id").ValueEquals("left-pad");

    private static JsonElement ChangeOf(JsonElement changes) => changes.GetProperty("results").EnumerateArray().Single(IsPad);

    private static JsonElement RowOf(JsonElement list) => list.GetProperty("rows").EnumerateArray().Single(IsPad);

    private async Task StartAsync(RemovalKind kind, RemovedMode mode)
    {
        _mirror = await ServedMirror.StartAsync(_store, _registry.Url, options =>
        {
            Set(options.Removed, kind, mode);
            options.Search = SearchMode.Forward;
        }, blobs: _blobs, searchFolder: _folder, hasPage: true);
        Assert.Equal("200", await StatusAsync("alive"));
        Assert.Equal("200", await StatusAsync("left-pad"));
        Assert.Equal("200", await StatusAsync("left-pad/-/left-pad-1.0.0.tgz"));
        await Eventually.Async(async () => await _store.Tarballs.FindTarballAsync(PackageName.Parse("left-pad"), "left-pad-1.0.0.tgz", Cancelled) is { State: TarballState.Held });
    }

    private static void Set(RemovedOptions removed, RemovalKind kind, RemovedMode mode)
    {
        switch (kind)
        {
            case RemovalKind.Unpublished:
                removed.Unpublished = mode;
                break;
            case RemovalKind.Gone:
                removed.Gone = mode;
                break;
            case RemovalKind.Blocked:
                removed.Blocked = mode;
                break;
            default:
                removed.SecurityHolder = mode;
                break;
        }
    }

    private async Task TakeDownAsync()
    {
        _registry.Publish(FakePackage.SecurityHolder("left-pad"));
        Assert.Equal("200", await StatusAsync("left-pad?refresh=1"));
    }

    /// <summary>As PackageSync does: the deletion has a revision of its own, after the document's.</summary>
    private async Task RemoveAsync(RemovalKind kind)
    {
        var row = (await _store.Packages.FindAsync(PackageName.Parse("left-pad"), Cancelled))!;
        var rev = ServedRevision.OfDeletion(ServedRevision.Of(row));
        var removed = new PendingEvent { Ordinal = 0, Type = EventTypes.PackageRemoved, SeenAt = DateTimeOffset.UnixEpoch, Payload = "{\"kind\":\"gone\",\"archived\":\"\"}"u8.ToArray() };
        var facts = row.Facts with { Removal = kind, RemovalReason = "court order", Rev = rev, Ancestors = ServedRevision.AncestorsAfter(row, rev) };
        Assert.True((await _store.Packages.CommitAsync(new PackageCommit { Name = row.Name, ExpectedGeneration = row.Generation, Facts = facts, Events = [removed] }, Cancelled)).IsCommitted);
        await _mirror!.SettleAsync();
    }

    private async Task<string> StatusAsync(string path)
    {
        using var answer = await _mirror!.GetAsync(path);
        return $"{(int)answer.StatusCode}";
    }

    /// <summary>The status of the second of two requests on one connection: the first may be remembered.</summary>
    private async Task<string> RawStatusAsync(string target)
    {
        var request = $"GET {target} HTTP/1.1\r\nHost: {Host}\r\n\r\n";
        var answers = await RawTalk.TalkAsync(_mirror!, $"{request}{request}GET /npm/-/ping HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n");
        Assert.Equal(answers[0].Split(' ')[1], answers[1].Split(' ')[1]);
        return answers[1].Split(' ')[1];
    }

    private async Task<JsonElement> JsonAsync(string path)
    {
        using var answer = await _mirror!.GetAsync(path);
        return (await answer.Content.ReadFromJsonAsync<JsonElement>(Cancelled))!;
    }

    private async Task<JsonElement> PostAsync(string path, string body)
    {
        using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        using var answer = await _mirror!.Client.PostAsync(new Uri(path, UriKind.Relative), content, Cancelled);
        return await answer.Content.ReadFromJsonAsync<JsonElement>(Cancelled);
    }

    private async Task<string> PageAsync(string path)
    {
        using var answer = await _mirror!.GetAsync(path, ("Accept", "text/html"));
        return $"{(int)answer.StatusCode}";
    }

    private async Task<string> HtmlAsync(string path)
    {
        using var answer = await _mirror!.GetAsync(path, ("Accept", "text/html"));
        return await answer.Content.ReadAsStringAsync(Cancelled);
    }

    /// <summary>Whether the log quotes more of the package than its removal.</summary>
    private async Task<string> EventsAsync(string path)
    {
        var quoted = new List<bool>();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path + "?since=0&heartbeat=100", UriKind.Relative));
        using var answer = await _mirror!.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancelled);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(Cancelled));
        while (await reader.ReadLineAsync(Cancelled) is { } line && !line.StartsWith(':'))
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                using var data = JsonDocument.Parse(line["data: ".Length..]);
                var isRemoval = data.RootElement.GetProperty("type").ValueEquals(EventTypes.PackageRemoved);
                var isQuoted = data.RootElement.GetProperty("payload").ValueKind == JsonValueKind.Object;
                Assert.True(isQuoted || data.RootElement.GetProperty("error").ValueEquals("hidden"));
                Assert.True(isQuoted || !isRemoval);
                if (data.RootElement.GetProperty("package").ValueEquals("left-pad") && !isRemoval)
                {
                    quoted.Add(isQuoted);
                }
                else
                {
                    Assert.True(isQuoted);
                }
            }
        }

        return Assert.Single(quoted.Distinct()) ? "quoted" : "hidden";
    }
}
