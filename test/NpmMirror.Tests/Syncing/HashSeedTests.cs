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
        await PutIndexAsync(bench, stored, EarlierIndex.Of(PackumentIndex.FromBytes(stored.Row.Index.Span, Pad)));
        bench.Upstream.PublishVersion("left-pad", "1.2.0");
        var events = Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad")).Events;
        Assert.Equal("1.2.0", Assert.Single(events.OfType<VersionPublished>()).Version);
        Assert.DoesNotContain(events, change => change is VersionChanged or MaintainersChanged);
    }

    [Fact]
    public async Task A_change_is_told_when_two_manifests_have_one_hash()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.PutDocument("left-pad", CollidingPackuments.First("left-pad"));
        await bench.SyncAsync("left-pad");
        var before = PackumentReader.Read(bench.Upstream.Packument("left-pad"), Pad, hashSeed: CollidingPackuments.Seed).Index;
        await PutIndexAsync(bench, (await bench.Store.Packages.ReadAsync(Pad, CancellationToken.None))!, before.ToBytes());
        bench.Upstream.PutDocument("left-pad", CollidingPackuments.Second("left-pad"));
        var after = PackumentReader.Read(bench.Upstream.Packument("left-pad"), Pad, hashSeed: CollidingPackuments.Seed).Index;
        Assert.Equal(before.Versions[0].Hash, after.Versions[0].Hash);
        var events = Assert.IsType<SyncResult.Stored>(await bench.SyncAsync("left-pad")).Events;
        Assert.Equal(["1.0.0"], events.OfType<VersionChanged>().SelectMany(change => change.Versions).Select(change => change.Version));
    }

    private static async Task PutIndexAsync(MirrorBench bench, StoredPackage stored, ReadOnlyMemory<byte> index)
    {
        var commit = new PackageCommit { Name = Pad, ExpectedGeneration = stored.Row.Generation, Facts = stored.Row.Facts, Document = stored.Document, Index = index, Events = [] };
        Assert.True((await bench.Store.Packages.CommitAsync(commit, CancellationToken.None)).IsCommitted);
    }
}
