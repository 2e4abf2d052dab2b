using NpmMirror.Storage;

namespace NpmMirror.Tests.Tarballs;

/// <summary>A row that says "held" comes after its bytes: a crash in between leaves bytes without a row, never the other way round.</summary>
public sealed class TarballOrderTests
{
    private static readonly byte[] Bytes = TarballScene.Bytes(50_000);

    [Claim("A tarball's row comes after its bytes are durable",
        With = [nameof(Bytes_that_could_not_be_made_durable_have_no_row)],
        Red = "`TarballFetch` records before it commits")]
    [Fact]
    public async Task A_row_comes_after_its_bytes_are_durable()
    {
        TarballScene? scene = null;
        var rows = new List<TarballRow?>();
        await using var owned = scene = new TarballScene(TarballScene.Whole(Bytes), wrap: files => new HookedBlobs(files) { BeforeCommit = async _ => rows.Add(await scene!.RowAsync()) });
        await scene.FetchAsync(TarballScene.PromiseOf(Bytes));
        await scene.SettleAsync();
        Assert.Null(Assert.Single(rows));
        Assert.Equal(TarballState.Held, (await scene.RowAsync())!.State);
    }

    [Fact]
    public async Task Bytes_that_could_not_be_made_durable_have_no_row()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Bytes), wrap: files => new HookedBlobs(files)
        {
            BeforeCommit = _ => throw new MirrorException(MirrorFault.StoreReadOnly, "The disk is full.", isTransient: true),
        });
        await scene.FetchAsync(TarballScene.PromiseOf(Bytes));
        await scene.SettleAsync();
        Assert.Null(await scene.RowAsync());
        Assert.Empty(await scene.ListBlobsAsync());
    }
}
