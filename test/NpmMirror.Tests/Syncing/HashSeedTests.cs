using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Packuments;

namespace NpmMirror.Tests.Syncing;

public sealed class HashSeedTests
{
    private static readonly PackageName Pad = PackageName.Parse("left-pad");

    [Fact]
    public async Task A_package_keeps_the_seed_of_its_hashes()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        var before = (await bench.RowAsync("left-pad"))!.Index;
        bench.Upstream.PublishVersion("left-pad", "1.1.0");
        await bench.SyncAsync("left-pad");
        var (old, now) = (PackumentIndex.FromBytes(before.Span, Pad), PackumentIndex.FromBytes((await bench.RowAsync("left-pad"))!.Index.Span, Pad));
        Assert.Equal(old.HashSeed, now.HashSeed);
        Assert.Equal(old.Find("1.0.0")!.Value.Hash, now.Find("1.0.0")!.Value.Hash);
    }

    [Claim("An index whose hashes are of an earlier kind gives no event for what is the same",
        Red = "`PackumentComparison.Manifests` takes another hash for a change")]
    [Fact]
    public async Task Hashes_of_an_earlier_kind_give_no_false_events()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0").Version("1.1.0"));
        await bench.SyncAsync("left-pad");
        var stored = (await bench.Store.Packages.ReadAsync(Pad, CancellationToken.None))!;
        var earlier = new PackageCommit
        {
            Name = Pad,
            ExpectedGeneration = stored.Row.Generation,
            Facts = stored.Row.Facts,
            Document = stored.Document,
            Index = EarlierIndex.Of(PackumentIndex.FromBytes(stored.Row.Index.Span, Pad)),
            Events = [],
        };
        Assert.True((await bench.Store.Packages.CommitAsync(earlier, CancellationToken.None)).IsCommitted);
        bench.Upstream.PublishVersion("left-pad", "1.2.0");
        var events = Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad")).Events;
        Assert.Equal("1.2.0", Assert.Single(events.OfType<VersionPublished>()).Version);
        Assert.DoesNotContain(events, change => change is VersionChanged or MaintainersChanged);
    }
}
