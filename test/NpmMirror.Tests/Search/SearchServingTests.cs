using System.Net;
using System.Text.Json.Nodes;
using NpmMirror.Options;
using NpmMirror.Searching;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Search;

/// <summary>The endpoint: who answers, and what clients read of an answer.</summary>
public sealed class SearchServingTests : IAsyncLifetime
{
    private const string Document =
        """
        {"name":"@acme/tool","description":"top","maintainers":[{"name":"ann","email":"ann@example.org"},"bob <bob@example.org>"],
        "versions":{"1.2.0":{"name":"@acme/tool","version":"1.2.0","description":"A <b>tool</b> of \u001b[31mred","keywords":["tool","red"],
        "author":{"name":"Ann Lee","email":"ann@example.org"},"_npmUser":{"name":"ann","email":"ann@example.org"},"license":"MIT",
        "repository":{"type":"git","url":"git+https://code.example.org/acme/tool.git"},"homepage":"https://acme.example.org/","bugs":{"url":"javascript:alert(1)"}}},
        "dist-tags":{"latest":"1.2.0"},"time":{"1.2.0":"2026-01-02T03:04:05.000Z"}}
        """;

    private readonly TempFolder _folder = new();
    private readonly MemoryStore _store = new(TimeProvider.System);
    private FakeRegistry _registry = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        _registry.Knobs.Add(new FakeRule
        {
            Path = "/-/v1/search",
            Status = 200,
            Body = """{"objects":[{"package":{"name":"@acme/tool"}},{"package":{"name":"elsewhere","version":"3.0.0"},"score":{"final":1}}],"total":2,"time":"now"}""",
            ContentType = "application/json",
        });
    }

    public async ValueTask DisposeAsync()
    {
        await _registry.DisposeAsync();
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A search is answered by the mirror itself, with the fields that npm, pnpm, yarn, VS Code and Renovate read; the upstream hears nothing of it",
        With = [nameof(An_editors_query_for_names_and_scopes_is_answered), nameof(Only_whole_numbers_are_taken_for_pages)],
        Red = "`SearchMode.Both` is the default: the upstream was asked")]
    [Fact]
    public async Task An_answer_has_the_fields_that_clients_read()
    {
        await using var mirror = await StartAsync();
        var answer = (await JsonAsync(mirror, "text=tool"))!;
        Assert.Equal((1, 1), ((int)answer["total"]!, answer["objects"]!.AsArray().Count));
        Assert.True(DateTimeOffset.TryParse((string?)answer["time"], out _));
        var found = answer["objects"]![0]!;
        var expected = JsonNode.Parse(
            """
            {"name":"@acme/tool","scope":"acme","version":"1.2.0","description":"A <b>tool</b> of \u001b[31mred","keywords":["tool","red"],"date":"2026-01-02T03:04:05Z","license":"MIT",
            "links":{"homepage":"https://acme.example.org/","repository":"https://code.example.org/acme/tool"},
            "author":{"name":"Ann Lee","email":"ann@example.org"},"publisher":{"username":"ann","email":"ann@example.org"},
            "maintainers":[{"username":"ann","email":"ann@example.org"},{"username":"bob","email":"bob@example.org"}]}
            """);
        Assert.True(JsonNode.DeepEquals(expected, found["package"]), found["package"]!.ToJsonString());
        Assert.All(new[] { "quality", "popularity", "maintenance" }, detail => Assert.InRange((double)found["score"]!["detail"]![detail]!, 0, 1));
        Assert.InRange((double)found["score"]!["final"]!, 0, 1);
        Assert.True((double)found["searchScore"]! > 0);
        Assert.Equal(0, (int)found["dependents"]!);
        Assert.DoesNotContain(_registry.Requests.All, request => request.Target.Contains("search", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("size=40&text=to")]
    [InlineData("text=scope%3Aacme%20tool&size=40")]
    [InlineData("text=%40acme%2F&size=40")]
    [InlineData("text=%40acme%2Fto&size=250")]
    [InlineData("text=%40&size=250")]
    public async Task An_editors_query_for_names_and_scopes_is_answered(string query)
    {
        await using var mirror = await StartAsync();
        var objects = (await JsonAsync(mirror, query))!["objects"]!.AsArray();
        Assert.Equal(("@acme/tool", "1.2.0"), ((string?)Assert.Single(objects)!["package"]!["name"], (string?)objects[0]!["package"]!["version"]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("text=")]
    [InlineData("text=%20")]
    [InlineData("text=a&size=-1")]
    [InlineData("text=a&size=many")]
    [InlineData("text=a&from=1.5")]
    public async Task Only_whole_numbers_are_taken_for_pages(string query)
    {
        await using var mirror = await StartAsync();
        using var answer = await mirror.GetAsync($"-/v1/search?{query}");
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task Sizes_and_weights_beyond_all_limits_are_cut()
    {
        await using var mirror = await StartAsync();
        Assert.Equal(1, (int)(await JsonAsync(mirror, "text=tool&size=99999999999&quality=NaN&popularity=-1&maintenance=1e99"))!["total"]!);
        Assert.Empty((await JsonAsync(mirror, "text=tool&from=999999999999"))!["objects"]!.AsArray());
    }

    [Claim("With `search=both` the upstream's packages that are not held here follow; without the upstream, or offline, what is held is the answer",
        Red = "`UpstreamResults.OthersAsync` asks no store: @acme/tool was there twice")]
    [Fact]
    public async Task Both_adds_what_the_upstream_has_beside()
    {
        await using (var mirror = await StartAsync(options => options.Search = SearchMode.Both))
        {
            var answer = (await JsonAsync(mirror, "text=tool"))!;
            Assert.Equal(["@acme/tool", "elsewhere"], answer["objects"]!.AsArray().Select(one => (string?)one!["package"]!["name"]));
            Assert.Equal(2, (int)answer["total"]!);
            Assert.Equal("/-/v1/search?text=tool&size=20&from=0&quality=0.65&popularity=0.98&maintenance=0.5", _registry.Requests.Last("/-/v1/search")!.Target);
            _registry.Knobs.Add(new FakeRule { Path = "/-/v1/search", Status = 500 });
            Assert.Equal(1, (int)(await JsonAsync(mirror, "text=tool"))!["total"]!);
        }
    }

    [Claim("An offline mirror answers searches from its index; with `search=forward` it says that it cannot",
        Red = "`SearchEndpoint` leaves the refusal to the client of the upstream, which names no option")]
    [Fact]
    public async Task Offline_the_index_answers_and_forwarding_says_why_it_cannot()
    {
        foreach (var mode in new[] { SearchMode.Local, SearchMode.Both })
        {
            await using var mirror = await StartAsync(options => (options.Search, options.Offline) = (mode, true));
            Assert.Equal(1, (int)(await JsonAsync(mirror, "text=tool"))!["total"]!);
        }

        await using var forwarding = await StartAsync(options => (options.Search, options.Offline) = (SearchMode.Forward, true));
        using var answer = await forwarding.GetAsync("-/v1/search?text=tool");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Contains("search=local", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        Assert.DoesNotContain(_registry.Requests.All, request => request.Target.Contains("search", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_mirror_without_an_index_says_how_to_have_one()
    {
        await using var mirror = await ServedMirror.StartAsync(_store, _registry.Url, options => options.Search = SearchMode.Local);
        using var answer = await mirror.GetAsync("-/v1/search?text=tool");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Contains("UseSqliteSearch", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_tell_the_state_of_the_index()
    {
        await using var mirror = await StartAsync();
        var metrics = string.Join('\n', (await mirror.TextAsync("/metrics")).Split('\n').Where(line => line.StartsWith("npm_mirror_search", StringComparison.Ordinal))) + "\n";
        Assert.Contains("npm_mirror_search_packages{} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("npm_mirror_search_lag{} 0\n", metrics, StringComparison.Ordinal);
        Assert.Contains("npm_mirror_search_following{} 1\n", metrics, StringComparison.Ordinal);
        Assert.Matches("npm_mirror_search_size_bytes\\{\\} [1-9]", metrics);
    }

    /// <summary>A mirror whose index has the package.</summary>
    private async Task<ServedMirror> StartAsync(Action<MirrorOptions>? configure = null)
    {
        await _store.OpenAsync(Cancelled);
        if (await _store.Packages.FindAsync(PackageName.Parse("@acme/tool"), Cancelled) is null)
        {
            await ServedMirror.PutAsync(_store, "@acme/tool", Document);
        }

        var mirror = await ServedMirror.StartAsync(_store, _registry.Url, configure, searchFolder: _folder.Path);
        await Eventually.Async(() => mirror.Mirror.Search!.State is { Phase: SearchPhase.Following, Packages: 1 });
        return mirror;
    }

    private static async Task<JsonNode?> JsonAsync(ServedMirror mirror, string query) => JsonNode.Parse(await mirror.TextAsync($"-/v1/search?{query}"));
}
