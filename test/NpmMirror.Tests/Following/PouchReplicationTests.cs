using System.Diagnostics;
using System.Text;
using System.Text.Json;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Following;

/// <summary>A real PouchDB, in its own process, replicates from a mirror.</summary>
[Trait("Duration", "long")]
public sealed class PouchReplicationTests : IAsyncDisposable
{
    private readonly TestFolder _folder = new();
    private readonly StringBuilder _told = new();
    private Process? _pouch;

    [Claim("A real PouchDB replicates from a mirror and follows changes and deletions without conflicts, documents too long for memory included; older replicators get theirs by open_revs; checkpoints are not written here",
        With =
        [
            nameof(Follows_an_upstream_that_has_no_revisions),
            nameof(Older_replicators_get_documents_by_open_revs_and_cannot_write),
            nameof(A_wrong_request_is_answered_with_its_fault),
        ],
        Red = "a row's ancestors are not kept: the first two were red")]
    [Fact]
    public async Task Replicates_and_follows_changes_and_deletions_without_conflicts()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        foreach (var name in new[] { "plain", "@scope/näme", "goes" })
        {
            registry.Publish(new FakePackage(name).Version("1.0.0"));
        }

        // Longer than a document that is held in memory.
        registry.Publish(new FakePackage("long") { Readme = new string('x', 9_000_000) }.Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, configure: options => (options.Feed, options.Metadata) = (registry.FeedUrl.AbsoluteUri, MetadataMode.All));
        await Eventually.Async(async () => (await mirror.Store.CountAsync(TestContext.Current.CancellationToken)).Packages == 4);
        Start(new Uri(mirror.Address, "/npm/"));
        await HearAsync("@");
        foreach (var name in new[] { "plain", "@scope/näme", "goes", "long" })
        {
            await HearAsync($"{name} {await RevAsync(mirror, name)} 0 1.0.0");
        }

        for (var version = 1; version <= 3; version++)
        {
            registry.PublishVersion("plain", $"1.{version}.0");
            await HearAsync($"plain {Rev(registry, "plain")} 0 1.0.0,{string.Join(',', Enumerable.Range(1, version).Select(minor => $"1.{minor}.0"))}");
        }

        registry.PublishVersion("goes", "1.1.0");
        await HearAsync($"goes {Rev(registry, "goes")} 0");
        registry.Delete("goes");
        await HearAsync("goes deleted 0");
        registry.Publish(new FakePackage("goes").Version("2.0.0"));
        await HearAsync($"goes {Rev(registry, "goes")} 0 2.0.0");
        registry.Unpublish("plain");
        await HearAsync("plain deleted 0");
        Assert.DoesNotContain("!", _told.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Follows_an_upstream_that_has_no_revisions()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Knobs.HasRevision = false;
        registry.Publish(new FakePackage("a").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        await mirror.TextAsync("a");
        Start(new Uri(mirror.Address, "/npm/"));
        await HearAsync("@");
        for (var version = 1; version <= 3; version++)
        {
            registry.PublishVersion("a", $"1.{version}.0");
            using var refreshed = await mirror.GetAsync("a?refresh=1");
            await HearAsync($"a {await RevAsync(mirror, "a")} 0");
        }
    }

    [Fact]
    public async Task Goes_on_after_the_mirror_was_reset_to_before_its_place()
    {
        using var port = new HeldPort();
        var first = await ServedMirror.StartAsync(port: port);
        foreach (var name in new[] { "a", "b", "c" })
        {
            await first.PutAsync(name, Documents.Of(name));
        }

        Start(new Uri(first.Address, "/npm/"));
        await HearAsync("@");
        await HearAsync("c 3-");
        await first.DisposeAsync();
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await using var second = await ServedMirror.StartAsync(store, port: port);
        await second.PutAsync("late", Documents.Of("late"));

        // It reads rows once it asks for those after a position of this log; from then on new ones are sent.
        await Eventually.Async(() => counts.CountOf("ListChangesAsync") > 0);
        await second.PutAsync("later", Documents.Of("later"));
        await HearAsync("later 3-");
    }

    [Fact]
    public async Task Older_replicators_get_documents_by_open_revs_and_cannot_write()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("a").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        await mirror.TextAsync("a");
        var rev = await RevAsync(mirror, "a");
        using var open = JsonDocument.Parse(await mirror.TextAsync($"a?open_revs=[\"{rev}\"]&revs=true&latest=true"));
        var document = open.RootElement[0].GetProperty("ok");
        Assert.Equal((rev, 1), (document.GetProperty("_rev").GetString(), document.GetProperty("_revisions").GetProperty("ids").GetArrayLength()));
        using var read = await mirror.GetAsync("_local/checkpoint");
        Assert.Equal(404, (int)read.StatusCode);
        using var content = new StringContent("{}", Encoding.UTF8, "application/json");
        using var written = await mirror.Client.PutAsync(new Uri("_local/checkpoint", UriKind.Relative), content, TestContext.Current.CancellationToken);
        Assert.Equal(405, (int)written.StatusCode);
    }

    [Theory]
    [InlineData("{\"docs\":[{\"id\":\"none\"}]}", 200, "\"error\":\"not_found\"")]
    [InlineData("{\"docs\":[{\"rev\":\"1-a\"}]}", 400, "docs")]
    [InlineData("[]", 400, "docs")]
    [InlineData("", 400, "docs")]
    public async Task A_wrong_request_is_answered_with_its_fault(string asked, int status, string reason)
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var content = new StringContent(asked, Encoding.UTF8, "application/json");
        using var answer = await mirror.Client.PostAsync(new Uri("_bulk_get?revs=true", UriKind.Relative), content, TestContext.Current.CancellationToken);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Contains(reason, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        if (_pouch is not null)
        {
            _pouch.Kill(entireProcessTree: true);
            await _pouch.WaitForExitAsync(CancellationToken.None);
            _pouch.Dispose();
        }

        _folder.Dispose();
    }

    private void Start(Uri url)
    {
        Assert.SkipUnless(TestTools.Has("pouchdb"), TestTools.Missing("pouchdb"));
        var (node, main) = (TestTools.Command("pouchdb")[0], TestTools.Command("pouchdb")[1]);
        _pouch = TestProcess.Start(
            [node, Path.Combine(AppContext.BaseDirectory, "Following", "pouch.mjs"), main, url.AbsoluteUri, _folder.File("database")],
            _folder.Path,
            new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH")!, ["HOME"] = _folder.Path });
        _ = TestProcess.GatherAsync(_pouch.StandardOutput, _told, CancellationToken.None);
        _ = TestProcess.GatherAsync(_pouch.StandardError, _told, CancellationToken.None);
    }

    private async Task HearAsync(string line)
    {
        try
        {
            await Eventually.Async(() =>
            {
                lock (_told)
                {
                    return _told.ToString().Contains(line, StringComparison.Ordinal);
                }
            });
        }
        catch (Xunit.Sdk.TrueException)
        {
            Assert.Fail($"PouchDB did not tell “{line}”, but:\n{_told}");
        }
    }

    private static string Rev(FakeRegistry registry, string name)
    {
        using var document = JsonDocument.Parse(registry.Packument(name));
        return document.RootElement.GetProperty("_rev").GetString()!;
    }

    private static async Task<string> RevAsync(ServedMirror mirror, string name) =>
        ServedRevision.Of((await mirror.Store.Packages.FindAsync(PackageName.Parse(name), TestContext.Current.CancellationToken))!);
}
