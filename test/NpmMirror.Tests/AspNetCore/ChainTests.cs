using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class ChainTests
{
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

        // Followed, not asked for: what is new near by comes without a request over there.
        registry.Publish(new FakePackage("two").Version("2.0.0"));
        await near.TextAsync("two");
        await Eventually.Async(() => HeldAsync(far, "two"));
        Assert.Contains($"{far.Address}npm/two/-/two-2.0.0.tgz", await far.TextAsync("two"));
    }

    private static async Task<bool> HeldAsync(ServedMirror mirror, string name) => await mirror.Store.FindAsync(PackageName.Parse(name), TestContext.Current.CancellationToken) is not null;
}
