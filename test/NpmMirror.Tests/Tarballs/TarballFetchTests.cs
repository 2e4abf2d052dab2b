using NpmMirror.Storage;

namespace NpmMirror.Tests.Tarballs;

/// <summary>One download: every byte that comes counts, and a row that names other bytes stays as it is.</summary>
public sealed class TarballFetchTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    public async Task A_tarball_that_comes_byte_by_byte_is_whole(int length)
    {
        var bytes = TarballScene.Bytes(length);
        await using var scene = new TarballScene(async (_, stream, token) =>
        {
            await stream.WriteAsync(TarballScene.Head("Transfer-Encoding: chunked\r\nConnection: close\r\n"), token);
            foreach (var one in bytes)
            {
                await stream.WriteAsync((byte[])[.. "1\r\n"u8, one, .. "\r\n"u8], token);
                await stream.FlushAsync(token);
            }

            await stream.WriteAsync("0\r\n\r\n"u8.ToArray(), token);
        });
        Assert.Equal(bytes, await scene.FetchAsync(TarballScene.PromiseOf(bytes)));
        await scene.SettleAsync();
        Assert.Equal((TarballState.Held, length), ((await scene.RowAsync())!.State, (await scene.RowAsync())!.SizeBytes));
    }

    [Claim("The row of a tarball whose bytes are lost is not taken over by other bytes that are promised now: it stays as evidence, and the log tells it",
        Red = "`TarballFetch.RecordHeldAsync` goes on as if a replacement had been asked for")]
    [Fact]
    public async Task A_row_whose_bytes_are_lost_is_not_taken_over_by_other_bytes()
    {
        var (before, now) = (TarballScene.Bytes(1_000), TarballScene.Bytes(2_000));
        var sent = before;
        var log = new CollectedLog();
        await using var scene = new TarballScene((request, stream, token) => TarballScene.Whole(sent)(request, stream, token), log: log);
        await scene.FetchAsync(TarballScene.PromiseOf(before));
        await scene.SettleAsync();
        var evidence = (await scene.RowAsync())!;
        await (await scene.Blobs.CondemnAsync(evidence.Sha512, Cancelled))!.DeleteAsync(Cancelled);
        sent = now;
        scene.StartAnother();

        Assert.Equal(now, await scene.FetchAsync(TarballScene.PromiseOf(now)));
        await scene.SettleAsync();
        var row = (await scene.RowAsync())!;
        Assert.Equal((TarballState.Held, evidence.Sha512, evidence.SizeBytes), (row.State, row.Sha512, row.SizeBytes));
        Assert.Single(log.Lines, line => line.Contains("are not stored in their place", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Other_bytes_than_promised_may_be_the_right_ones_next_time()
    {
        await using var scene = new TarballScene(TarballScene.Whole(TarballScene.Bytes(100)));
        var failure = await Assert.ThrowsAsync<MirrorException>(() => scene.FetchAsync(TarballScene.PromiseOf(TarballScene.Bytes(200))));
        Assert.Equal((MirrorFault.UpstreamMalformed, true), (failure.Fault, failure.IsTransient));
    }
}
