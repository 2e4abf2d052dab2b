using System.Net;
using NpmMirror.Options;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class ChainTests
{
    [Claim("`_changes`, `_all_docs` and info of this mirror let another mirror follow it",
        With =
        [
            $"{nameof(FeedTests)}.{nameof(FeedTests.Changes_are_one_row_a_package_at_its_newest_position)}",
            $"{nameof(FeedTests)}.{nameof(FeedTests.A_longpoll_is_answered_by_the_next_change)}",
            $"{nameof(FeedTests)}.{nameof(FeedTests.A_continuous_feed_gives_a_line_a_change_and_empty_lines_between)}",
            $"{nameof(FeedTests)}.{nameof(FeedTests.All_docs_finds_named_keys_and_says_which_are_missing)}",
            $"{nameof(FeedTests)}.{nameof(FeedTests.The_info_document_tells_the_head_that_can_be_noted)}",
        ],
        Red = "`since` is not looked at, or the row tells upstream's rev only: the second was red; a longpoll does not wait: the third; no empty lines: the fourth; missing keys are left out: the fifth; `update_seq` is one ahead, or `doc_count` counts the removed: the last")]
    [Theory]
    [InlineData(FeedMode.Longpoll)]
    [InlineData(FeedMode.Continuous)]
    public async Task A_mirror_follows_a_mirror_by_its_feed(FeedMode mode)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("@s/one").Version("1.0.0"));
        await using var near = await ServedMirror.StartAsync(upstream: registry.Url);
        await near.TextAsync("@s%2fone");
        await using var far = await ServedMirror.StartAsync(upstream: new Uri(near.Address, "/npm/"), configure: options =>
        {
            options.Feed = "auto";
            options.Mode = mode;
            options.Metadata = MetadataMode.All;
        });
        await Eventually.Async(() => HeldAsync(far, "@s/one"));

        // Followed, not asked for: news near by comes without a request over there.
        registry.Publish(new FakePackage("two").Version("2.0.0"));
        await near.TextAsync("two");
        await Eventually.Async(() => HeldAsync(far, "two"));
        Assert.Contains($"{far.Address}npm/two/-/two-2.0.0.tgz", await far.TextAsync("two"));
    }

    [Claim("Mirrors in a loop report it at once, and a request forwards its mirror chain",
        With =
        [
            nameof(A_requests_fetches_and_no_others_forward_its_mirror_chain),
            nameof(A_request_through_too_many_mirrors_is_refused),
            $"{nameof(Syncing.ReadThroughTests)}.{nameof(Syncing.ReadThroughTests.A_worker_that_fetches_for_a_request_forwards_its_mirror_chain)}",
        ],
        Red = "`MirrorChain.HeaderOf` leaves the chain out: the first two were red; the length is not looked at: the third; `SyncQueue` does not take up the chain: the last")]
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Mirrors_in_a_circle_say_so_at_once(int members)
    {
        // Bound before the first begins, and handed over: each has to know the next one's address.
        var ports = Enumerable.Range(0, members).Select(_ => new HeldPort()).ToList();
        var mirrors = new List<ServedMirror>();
        try
        {
            for (var i = 0; i < members; i++)
            {
                mirrors.Add(await ServedMirror.StartAsync(upstream: new Uri($"http://127.0.0.1:{ports[(i + 1) % members].Number}/npm/"), port: ports[i]));
            }

            // A test's time-out is far below the 30 s after which waiting alone would end it.
            using var answer = await mirrors[0].GetAsync("ms");
            Assert.Equal((HttpStatusCode)508, answer.StatusCode);
            Assert.Contains("leads back here", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
        finally
        {
            foreach (var mirror in mirrors)
            {
                await mirror.DisposeAsync();
            }

            ports.ForEach(port => port.Dispose());
        }
    }

    [Fact]
    public async Task A_requests_fetches_and_no_others_forward_its_mirror_chain()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        registry.Publish(new FakePackage("debug").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        var own = await mirror.InstanceAsync();
        using (await mirror.GetAsync("ms", ("npm-mirror-instance", $"one,two, <no id>, {new string('x', 65)}")))
        using (await mirror.GetAsync("debug"))
        {
            Assert.Equal($"one, two, {own}", ChainOf("/ms"));
            Assert.Equal(own, ChainOf("/debug"));
        }

        string ChainOf(string path) => Assert.Single(registry.Requests.All, request => request.Path == path).Headers["npm-mirror-instance"];
    }

    [Fact]
    public async Task A_request_through_too_many_mirrors_is_refused()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var answer = await mirror.GetAsync("ms", ("npm-mirror-instance", string.Join(',', Enumerable.Range(0, 16))));
        Assert.Equal((HttpStatusCode)508, answer.StatusCode);
    }

    private static async Task<bool> HeldAsync(ServedMirror mirror, string name) => await mirror.Store.Packages.FindAsync(PackageName.Parse(name), TestContext.Current.CancellationToken) is not null;
}
