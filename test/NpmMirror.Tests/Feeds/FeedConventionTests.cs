using System.Net;
using System.Net.Sockets;
using NpmMirror.Feeds;
using NpmMirror.Testing;
using NpmMirror.Tests.Upstream;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Feeds;

/// <summary>A feed on the host that the public registry's convention names. The names lead to 127.0.0.1 here, each to a registry of its own.</summary>
public sealed class FeedConventionTests : IAsyncLifetime
{
    private const string Paged = """{"db_name":"registry","engine":"npm-replicate","doc_count":1,"update_seq":1}""";
    private const string Page = """{"results":[{"seq":1,"id":"a","changes":[{"rev":"1-a"}]}],"last_seq":1}""";

    private readonly CollectedLog _log = new();
    private FakeRegistry _registry = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(cancellationToken: Token);
        _registry.Publish(new FakePackage("a").Version("1.0.0"));
    }

    public async ValueTask DisposeAsync() => await _registry.DisposeAsync();

    [Claim("auto finds a feed by the convention of `registry.<domain>` and `replicate.<domain>/registry/` and follows it; the domain has one owner, no address, no other dialect, a failure there is retried a few times",
        With =
        [
            nameof(The_feed_beside_the_registry_is_followed_with_one_log_line),
            nameof(A_feed_of_the_registrys_own_is_taken_without_a_look_elsewhere),
            nameof(A_server_of_another_dialect_is_no_feed),
            nameof(A_name_that_does_not_exist_is_no_feed_at_once),
            nameof(Trouble_there_is_waited_for_a_few_times_and_then_taken_for_none),
            $"{nameof(Following.FollowByConventionTests)}.{nameof(Following.FollowByConventionTests.Follows_out_of_the_box_and_looks_for_the_feed_until_it_answers_again)}",
        ],
        Red = "`FeedConvention` does not ask whether the domain is one that somebody registered: the first was red; `FeedProbe` looks at the convention first, or does not ask what engine answers there, or waits for a name that nobody has, or waits without end or not at all: the third to the sixth")]
    [Theory]
    [InlineData("https://registry.example.org/", "https://replicate.example.org/registry/")]
    [InlineData("https://registry.example.org", "https://replicate.example.org/registry/")]
    [InlineData("http://Registry.Npm.Example.ORG.:8080/", "http://replicate.npm.example.org:8080/registry/")]
    [InlineData("https://registry.example.co.uk/", "https://replicate.example.co.uk/registry/")]
    [InlineData("https://registry.corporation.de/", "https://replicate.corporation.de/registry/")]
    [InlineData("https://registry.co.uk/", null)]
    [InlineData("https://registry.gouv.fr/", null)]
    [InlineData("https://registry.com/", null)]
    [InlineData("https://registry/", null)]
    [InlineData("http://registry.localhost/", null)]
    [InlineData("http://registry.npm.localhost/", null)]
    [InlineData("http://127.0.0.1:4873/", null)]
    [InlineData("http://[::1]:4873/", null)]
    [InlineData("http://10.0.0.1/", null)]
    [InlineData("https://npm.example.org/", null)]
    [InlineData("https://my-registry.example.org/", null)]
    [InlineData("https://registry.example.org/npm/", null)]
    public void Names_a_host_of_the_same_owner_or_none(string upstream, string? feed) =>
        Assert.Equal(feed, FeedConvention.FeedOf(new Uri(upstream))?.AbsoluteUri);

    [Claim("A host that the convention names gets no credentials of the registry's, leads to no neighbour and redirects nowhere else",
        With = [nameof(A_redirect_to_another_place_is_not_followed), nameof(A_name_that_leads_to_a_neighbour_is_not_connected_to)],
        Red = "a derived address counts as a chosen one: the last was red; redirects of it are followed anywhere: the second")]
    [Fact]
    public async Task The_feed_beside_the_registry_is_followed_with_one_log_line()
    {
        await using var registry = new LoopbackPeer(request => Answer(request, 200, Paged));
        using var client = New(registry.Url);
        var feed = Assert.IsType<PagedChangeFeed>(await ProbeAsync(client));
        Assert.Equal($"http://replicate.example.org:{registry.Port}/registry", feed.Location);
        Assert.Equal("1", (await feed.GetInfoAsync(Token)).Head.Text);
        Assert.Equal("a", Assert.Single(await feed.ReadRowsAsync(Sequence.Zero, 10, Token)).Id);
        Assert.Contains(feed.Location, Assert.Single(_log.Lines), StringComparison.Ordinal);
        Assert.All(registry.Requests, request => Assert.Equal(IsReplicate(request) ? null : "Bearer t0ken", request["Authorization"]));
    }

    [Fact]
    public async Task A_feed_of_the_registrys_own_is_taken_without_a_look_elsewhere()
    {
        using var client = New(_registry.Url);
        Assert.Equal($"http://registry.example.org:{_registry.Url.Port}", (await ProbeAsync(client))?.Location);
        Assert.DoesNotContain(_registry.Requests.All, request => request.Header("Host")!.StartsWith("replicate", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(200, """{"db_name":"registry","doc_count":1,"update_seq":1}""")]
    [InlineData(200, """{"db_name":"registry","engine":"npm-mirror","doc_count":1,"update_seq":1}""")]
    [InlineData(200, """{"engine":"npm-replicate"}""")]
    [InlineData(200, "<html>")]
    [InlineData(401, "{}")]
    [InlineData(404, "{}")]
    public async Task A_server_of_another_dialect_is_no_feed(int status, string info)
    {
        await using var registry = new LoopbackPeer(request => Answer(request, status, info));
        using var client = New(registry.Url);
        Assert.Null(await ProbeAsync(client));
        Assert.Contains("there is none at its conventional address", Assert.Single(_log.Lines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_redirect_to_another_place_is_not_followed()
    {
        await using var elsewhere = new LoopbackPeer(_ => LoopbackPeer.Answer(200, Paged));
        await using var registry = new LoopbackPeer(request =>
            IsReplicate(request) ? LoopbackPeer.Answer(302, "", $"Location: http://registry.example.org:{elsewhere.Port}/\r\n") : LoopbackPeer.Answer(404, "{}"));
        using var client = New(registry.Url);
        Assert.Null(await ProbeAsync(client));
        Assert.Empty(elsewhere.Requests);
    }

    [Fact]
    public async Task A_name_that_leads_to_a_neighbour_is_not_connected_to()
    {
        await using var registry = new LoopbackPeer(request => Answer(request, 200, Paged));

        // The upstream has a public address whenever it is asked for after the first connection to it.
        var lookUps = 0;
        using var client = New(registry.Url, host => host == "registry.example.org" && Interlocked.Increment(ref lookUps) > 1 ? "203.0.114.7" : "127.0.0.1");
        Assert.Null(await ProbeAsync(client));
        Assert.DoesNotContain(registry.Requests, IsReplicate);
    }

    [Fact]
    public async Task A_name_that_does_not_exist_is_no_feed_at_once()
    {
        await using var registry = new LoopbackPeer(_ => LoopbackPeer.Answer(404, "{}"));
        using var client = New(registry.Url, host => host == "registry.example.org" ? "127.0.0.1" : throw new SocketException((int)SocketError.HostNotFound));
        Assert.Null(await ProbeAsync(client));
    }

    [Fact]
    public async Task Trouble_there_is_waited_for_a_few_times_and_then_taken_for_none()
    {
        await using var registry = new LoopbackPeer(request => Answer(request, 503, "{}"));
        using var client = New(registry.Url);
        var probe = new FeedProbe(client, new FeedOptions(), _log.For<FeedProbe>());
        for (var tries = 1; tries < 3; tries++)
        {
            Assert.True((await Assert.ThrowsAsync<MirrorException>(() => probe.FindAsync("auto", Token))).IsTransient);
        }

        Assert.Null(await probe.FindAsync("auto", Token));
    }

    private static string Answer(PeerRequest request, int status, string info) =>
        !IsReplicate(request) ? LoopbackPeer.Answer(404, "{}")
        : request.Target == "/registry/" ? LoopbackPeer.Answer(status, info)
        : LoopbackPeer.Answer(200, Page);

    private static bool IsReplicate(PeerRequest request) => request["Host"]!.StartsWith("replicate.example.org:", StringComparison.Ordinal);

    private static RegistryClient New(Uri peer, Func<string, string>? resolve = null)
    {
        var options = new RegistryClientOptions
        {
            BaseUrl = new Uri($"http://registry.example.org:{peer.Port}/"),
            Credentials = new RegistryCredentials([KeyValuePair.Create($"//registry.example.org:{peer.Port}/", "Bearer t0ken")]),
            Resolve = (host, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse(resolve?.Invoke(host) ?? "127.0.0.1")]),
        };
        return new RegistryClient(options, new ByteBudget(10_000_000), TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
    }

    private Task<IChangeFeed?> ProbeAsync(RegistryClient client) => new FeedProbe(client, new FeedOptions(), _log.For<FeedProbe>()).FindAsync("auto", Token);
}
