using System.Text.Json;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Faults of older tools, each where its user would see it.</summary>
public sealed class OlderFaultsTests : IAsyncLifetime
{
    private FakeRegistry _registry = null!;

    public async ValueTask InitializeAsync() => _registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => _registry.DisposeAsync();

    [Claim("Compatibility E, the first poll: the changes of a page of any length are queued, and no more packuments are requested at once than `concurrency` says",
        With = [$"{nameof(Upstream.RegistryClientTests)}.{nameof(Upstream.RegistryClientTests.Fetches_no_more_packuments_at_once_than_allowed)}"],
        Red = "neither `RegistryClient` nor `PackageSync` has a limit: the first was red; `RegistryClient` has none: the last")]
    [Fact]
    public async Task A_first_page_of_many_changes_is_worked_off_a_few_requests_at_a_time()
    {
        for (var i = 0; i < 30; i++)
        {
            _registry.Publish(new FakePackage($"p{i}").Version("1.0.0"));
        }

        // On a clock that stands: a request that is slow would give its place to the next.
        var clock = new FakeClock();
        var gate = _registry.Knobs.Hold("/p*");
        await using var mirror = await FollowAsync(new MemoryStore(clock), options => (options.LastSeq, options.Concurrency) = ("0", 3), clock);
        await gate.WaitForAsync(3, TestContext.Current.CancellationToken);

        // All are known and queued by now, and a client is served before them.
        await Eventually.Async(async () => (await mirror.Store.CountAsync(TestContext.Current.CancellationToken)).Queued == 30);
        Assert.Equal(3, gate.WaitingCount);
        gate.Open();
        await Eventually.Async(async () => (await mirror.Store.CountAsync(TestContext.Current.CancellationToken)).Packages == 30);
        Assert.All(Enumerable.Range(0, 30), i => Assert.Equal(1, _registry.Requests.CountOf($"/p{i}")));
    }

    [Claim("Compatibility E, sequences that are no numbers are stored as they came, and gone on with",
        Red = "the `read` cursor keeps the number that a sequence begins with, or sequences are not escaped in the address")]
    [Theory]
    [InlineData(FakeSequenceStyle.Text)]
    [InlineData(FakeSequenceStyle.Array)]
    public async Task Sequences_that_are_no_numbers_are_kept_as_they_came_and_gone_on_with(FakeSequenceStyle style)
    {
        _registry.Knobs.Sequences = style;
        _registry.Publish(new FakePackage("a").Version("1.0.0"));
        var store = new MemoryStore(TimeProvider.System);
        string head;
        await using (await FollowAsync(store))
        {
            _registry.Publish(new FakePackage("b").Version("1.0.0"));
            head = await HeadAsync();
            await Eventually.Async(async () => await store.Notes.FindNoteAsync(MirrorCursors.Handled, TestContext.Current.CancellationToken) == head
                && await store.CountAsync(TestContext.Current.CancellationToken) is { Packages: 2, Queued: 0 });
        }

        _registry.Publish(new FakePackage("c").Version("1.0.0"));
        _registry.Requests.Clear();
        await using var again = await FollowAsync(store);
        await Eventually.Async(async () => await store.Packages.FindAsync(PackageName.Parse("c"), TestContext.Current.CancellationToken) is not null);
        Assert.Contains(_registry.Requests.All, request => request.Target.Contains($"since={Uri.EscapeDataString(head)}&", StringComparison.Ordinal));
        Assert.Equal(0, _registry.Requests.CountOf("/a"));
    }

    [Claim("Compatibility E, names: packages named like files of a mirror (`.meta`, `index.json` …) are packages; a file name that is too short or malformed is a 404",
        With = [nameof(A_file_name_that_is_too_short_is_just_not_there)],
        Red = "`PackageName` refuses what begins with a dot: the first was red; `TarballUrls` does not look at the length: the last")]
    [Fact]
    public async Task Packages_named_like_files_of_a_mirror_are_packages()
    {
        string[] names = [".meta", "a.meta", "a", "a.json", "a.tgz", "index.json", "tmp", "npm-mirror.sqlite"];
        foreach (var name in names)
        {
            _registry.Publish(new FakePackage(name).Version("1.0.0"));
        }

        await using var mirror = await ServedMirror.StartAsync(upstream: _registry.Url);
        foreach (var name in names)
        {
            using var packument = JsonDocument.Parse(await mirror.TextAsync(name));
            Assert.Equal(name, packument.RootElement.GetProperty("name").GetString());
            Assert.Equal(_registry.Tarballs[$"/{name}/-/{name}-1.0.0.tgz"], await mirror.Client.GetByteArrayAsync(new Uri($"{name}/-/{name}-1.0.0.tgz", UriKind.Relative), TestContext.Current.CancellationToken));
        }
    }

    [Theory]
    [InlineData("a")]
    [InlineData("-")]
    [InlineData("a-")]
    [InlineData(".tgz")]
    [InlineData("a-.tgz")]
    [InlineData("a.tgz")]
    [InlineData("-1.0.0.tgz")]
    public async Task A_file_name_that_is_too_short_is_just_not_there(string file)
    {
        _registry.Publish(new FakePackage("a").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: _registry.Url);
        using var answer = await mirror.GetAsync($"a/-/{file}");
        Assert.Equal(404, (int)answer.StatusCode);
    }

    [Claim("Compatibility E, tarballs of any host are served from here, also of one with a port, a dash or a path",
        Red = "an address with a port stays as it is")]
    [Theory]
    [InlineData("http://registry.example.org:8443")]
    [InlineData("https://my-registry.example.org")]
    [InlineData("https://my-registry.example.org:8443/api/npm-all")]
    [InlineData("http://[::1]:4873")]
    public async Task Tarballs_of_any_host_are_served_from_here(string host)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a").Replace("http://registry.example.org", host, StringComparison.Ordinal));
        foreach (var accept in new[] { "application/json", "application/vnd.npm.install-v1+json" })
        {
            using var answer = await mirror.GetAsync("a", ("Accept", accept));
            using var packument = JsonDocument.Parse(await answer.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
            Assert.All(
                packument.RootElement.GetProperty("versions").EnumerateObject(),
                version => Assert.Equal($"{mirror.Address}npm/a/-/a-{version.Name}.tgz", version.Value.GetProperty("dist").GetProperty("tarball").GetString()));
        }
    }

    [Claim("Compatibility E, answers are compressed only for clients that ask for it",
        Red = "who says nothing of codings gets gzip")]
    [Fact]
    public async Task Answers_are_not_compressed_without_a_request_for_it()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        await mirror.SettleAsync();
        foreach (var accept in new[] { "application/json", "application/vnd.npm.install-v1+json" })
        {
            foreach (var path in new[] { "a", "a/1.0.0", "none", "_changes?include_docs=true", "_all_docs", "-/all", "" })
            {
                // Earlier requests must make no difference.
                using var coded = await mirror.GetAsync(path, ("Accept", accept), ("Accept-Encoding", "gzip, br, zstd"));
                using var plain = await mirror.GetAsync(path, ("Accept", accept));
                Assert.Empty(plain.Content.Headers.ContentEncoding);
                using var json = JsonDocument.Parse(await plain.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
            }
        }
    }

    private Task<ServedMirror> FollowAsync(IMetadataStore store, Action<MirrorOptions>? configure = null, TimeProvider? time = null) => ServedMirror.StartAsync(
        store,
        _registry.Url,
        options =>
        {
            (options.Feed, options.Metadata) = (_registry.FeedUrl.AbsoluteUri, MetadataMode.All);
            configure?.Invoke(options);
        },
        time);

    /// <summary>Where the feed says that it stands: text as it is, anything else as its JSON.</summary>
    private async Task<string> HeadAsync()
    {
        using var client = new HttpClient();
        using var info = JsonDocument.Parse(await client.GetStringAsync(_registry.FeedUrl, TestContext.Current.CancellationToken));
        var head = info.RootElement.GetProperty("update_seq");
        return head.ValueKind == JsonValueKind.String ? head.GetString()! : head.GetRawText();
    }
}
