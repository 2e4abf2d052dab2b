using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Tarballs;
using NpmMirror.Tests.Storage;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.Tarballs;

/// <summary>The source of served tarballs, and their failures.</summary>
public sealed class TarballDownloadsTests
{
    private static readonly byte[] Bytes = TarballScene.Bytes(200_000);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_stored_tarball_needs_no_upstream_also_after_a_restart()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Bytes));
        await scene.FetchAsync(TarballScene.PromiseOf(Bytes));
        await scene.SettleAsync();
        scene.StartAnother();
        Assert.Equal(Bytes, await scene.FetchAsync(TarballScene.PromiseOf(Bytes)));
        await using var stored = await scene.Downloads.OpenStoredAsync(TarballScene.Package, "left-pad-1.0.0.tgz", Cancelled);
        Assert.Equal(Bytes, await TarballScene.ReadToEndAsync(stored!));
        Assert.Equal(Bytes, await File.ReadAllBytesAsync(stored!.FilePath!, Cancelled));
        Assert.Single(scene.Peer.Requests);
    }

    [Fact]
    public async Task A_tarball_that_is_not_stored_is_not_found_by_its_file_name()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Bytes));
        Assert.Null(await scene.Downloads.OpenStoredAsync(TarballScene.Package, "left-pad-1.0.0.tgz", Cancelled));
        Assert.Empty(scene.Peer.Requests);
    }

    [Fact]
    public async Task A_blob_that_is_gone_from_disk_is_fetched_again()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Bytes));
        await scene.FetchAsync(TarballScene.PromiseOf(Bytes));
        await scene.SettleAsync();
        await (await scene.Blobs.CondemnAsync((await scene.RowAsync())!.Sha512, Cancelled))!.DeleteAsync(Cancelled);
        Assert.Null(await scene.Downloads.OpenStoredAsync(TarballScene.Package, "left-pad-1.0.0.tgz", Cancelled));
        Assert.Equal(Bytes, await scene.FetchAsync(TarballScene.PromiseOf(Bytes)));
        await scene.SettleAsync();
        Assert.Equal(2, scene.Peer.Requests.Count);
        Assert.Single(await scene.ListBlobsAsync());
    }

    [Fact]
    public async Task A_blob_that_was_cut_on_disk_is_fetched_again_and_mended()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Bytes));
        await scene.FetchAsync(TarballScene.PromiseOf(Bytes));
        await scene.SettleAsync();
        await using (var stored = await scene.Downloads.OpenStoredAsync(TarballScene.Package, "left-pad-1.0.0.tgz", Cancelled))
        {
            await File.WriteAllBytesAsync(stored!.FilePath!, Bytes[..1000], Cancelled);
        }

        Assert.Equal(Bytes, await scene.FetchAsync(TarballScene.PromiseOf(Bytes)));
        await scene.SettleAsync();
        await using var mended = await scene.Downloads.OpenStoredAsync(TarballScene.Package, "left-pad-1.0.0.tgz", Cancelled);
        Assert.Equal(Bytes, await TarballScene.ReadToEndAsync(mended!));
    }

    [Claim("A crash between blob and row costs nothing",
        Red = "the promised hash is not looked up in the blob store")]
    [Fact]
    public async Task A_blob_without_a_row_is_taken_over_and_not_fetched_again()
    {
        // As after a crash between the two.
        await using var scene = new TarballScene(TarballScene.Whole(Bytes));
        await using (var writer = await scene.Blobs.CreateAsync(Cancelled))
        {
            await writer.AppendAsync(Bytes, Cancelled);
            await writer.CommitAsync(Cancelled);
        }

        Assert.Equal(Bytes, await scene.FetchAsync(TarballScene.PromiseOf(Bytes)));
        Assert.Equal(TarballState.Held, (await scene.RowAsync())!.State);
        Assert.Empty(scene.Peer.Requests);
    }

    [Theory]
    [InlineData(404, 404)]
    [InlineData(410, 404)]
    [InlineData(451, 451)]
    public async Task A_refusal_of_the_upstream_is_told_with_its_status_and_kept_with_it(int status, int told)
    {
        await using var scene = new TarballScene(async (_, stream, token) =>
            await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes($"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), token));
        var absent = Assert.IsType<TarballResult.Absent>(await scene.OpenAsync(TarballScene.PromiseOf([1])));
        Assert.Equal(told, absent.Status);
        Assert.Contains($"it answered {status}", absent.Reason, StringComparison.Ordinal);
        await scene.SettleAsync();
        var row = (await scene.RowAsync())!;
        Assert.Equal((TarballState.Missing, $"The upstream answered {status}."), (row.State, row.Problem));
    }

    [Fact]
    public async Task Never_means_that_only_stored_tarballs_are_served()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Bytes), configure: options => options.Tarballs = TarballMode.Never);
        var absent = Assert.IsType<TarballResult.Absent>(await scene.OpenAsync(TarballScene.PromiseOf(Bytes)));
        Assert.Equal(404, absent.Status);
        Assert.Contains("tarballs=never", absent.Reason, StringComparison.Ordinal);
        Assert.Empty(scene.Peer.Requests);
    }

    [Fact]
    public async Task Absence_upstream_is_remembered_for_a_while_and_not_for_ever()
    {
        var clock = new FakeClock();
        var isThere = false;
        await using var scene = new TarballScene((request, stream, token) => isThere ? TarballScene.Whole(Bytes)(request, stream, token) : NotFoundAsync(stream, token), clock);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(404, Assert.IsType<TarballResult.Absent>(await scene.OpenAsync(TarballScene.PromiseOf(Bytes))).Status);
            await scene.SettleAsync();
        }

        Assert.Single(scene.Peer.Requests);
        Assert.Equal(TarballState.Missing, (await scene.RowAsync())!.State);
        isThere = true;
        clock.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(Bytes, await scene.FetchAsync(TarballScene.PromiseOf(Bytes)));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(400 * 24)]
    public async Task Absence_is_remembered_as_long_when_the_wall_clock_is_set(int hours)
    {
        var clock = new FakeClock();
        await using var scene = new TarballScene((_, stream, token) => NotFoundAsync(stream, token), clock);
        await AskAsync();
        clock.SetWallAhead(TimeSpan.FromHours(hours));
        await AskAsync();
        Assert.Single(scene.Peer.Requests);
        clock.Advance(TimeSpan.FromSeconds(61));
        await AskAsync();
        Assert.Equal(2, scene.Peer.Requests.Count);

        async Task AskAsync()
        {
            Assert.IsType<TarballResult.Absent>(await scene.OpenAsync(TarballScene.PromiseOf(Bytes)));
            await scene.SettleAsync();
        }
    }

    [Fact]
    public async Task A_download_over_the_limit_is_refused()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Bytes), configure: options => options.TarballMaxBytes = 100_000);
        Assert.Equal(MirrorFault.TooLarge, (await Assert.ThrowsAsync<MirrorException>(() => scene.OpenAsync(TarballScene.PromiseOf(Bytes)))).Fault);
        await scene.SettleAsync();
        Assert.Equal(0, scene.UnfinishedFiles);
    }

    [Fact]
    public async Task A_download_that_stalls_is_given_up()
    {
        var clock = new FakeClock();
        await using var scene = new TarballScene(
            async (_, stream, token) =>
            {
                await stream.WriteAsync(TarballScene.Head($"Content-Length: {Bytes.Length}\r\n"), token);
                await stream.WriteAsync(Bytes.AsMemory(0, 100_000), token);
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
            },
            clock);
        await using var reading = await scene.OpenReadingAsync(TarballScene.PromiseOf(Bytes));
        var whole = TarballScene.ReadToEndAsync(reading);
        await Eventually.Async(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return whole.IsCompleted;
        });
        Assert.Equal(MirrorFault.UpstreamUnavailable, (await Assert.ThrowsAsync<MirrorException>(() => whole)).Fault);
        await scene.SettleAsync();
        Assert.Empty(await scene.ListBlobsAsync());
    }

    [Fact]
    public async Task A_client_waits_half_a_minute_for_a_byte_and_the_download_goes_on()
    {
        var clock = new FakeClock();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var scene = new TarballScene(
            async (request, stream, token) =>
            {
                await gate.Task.WaitAsync(token);
                await TarballScene.Whole(Bytes)(request, stream, token);
            },
            clock,
            options => options.UpstreamTimeout = TimeSpan.FromMinutes(5));
        var opening = scene.OpenAsync(TarballScene.PromiseOf(Bytes));
        await Eventually.Async(() => !scene.Peer.Requests.IsEmpty);
        clock.Advance(TimeSpan.FromSeconds(31));
        var failure = await Assert.ThrowsAsync<MirrorException>(() => opening);
        Assert.Equal((MirrorFault.UpstreamUnavailable, true), (failure.Fault, failure.IsTransient));
        gate.SetResult();
        Assert.Equal(Bytes, await scene.FetchAsync(TarballScene.PromiseOf(Bytes)));
        Assert.Single(scene.Peer.Requests);
    }

    [Claim("With a full disk tarballs still reach their clients, checked, and one log line tells it",
        With = [nameof(A_tarball_that_passes_unstored_is_checked), nameof(A_full_disk_is_told_once_and_its_end_too)],
        Red = "StoreReadOnly is thrown to the client, or TarballPassThrough does not look at IntegrityCheck.Finish")]
    [Fact]
    public async Task A_full_disk_stops_keeping_and_not_serving()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Bytes), wrap: files => new FullDisk(files));
        Assert.Equal(Bytes, await scene.FetchAsync(TarballScene.PromiseOf(Bytes)));
        Assert.Equal(Bytes, await scene.FetchAsync(TarballScene.PromiseOf(Bytes)));
        await scene.SettleAsync();
        Assert.Empty(await scene.ListBlobsAsync());
        Assert.Null(await scene.RowAsync());
    }

    [Fact]
    public async Task A_full_disk_is_told_once_and_its_end_too()
    {
        var log = new CollectedLog();
        FullDisk? disk = null;
        await using var scene = new TarballScene(TarballScene.Whole(Bytes), wrap: files => disk = new FullDisk(files), log: log);
        for (var i = 0; i < 3; i++)
        {
            await scene.FetchAsync(TarballScene.PromiseOf(Bytes));
            await scene.SettleAsync();
        }

        Assert.Single(log.Lines, line => line.Contains("cannot be stored", StringComparison.Ordinal));
        disk!.IsFull = false;
        await scene.FetchAsync(TarballScene.PromiseOf(Bytes));
        await scene.SettleAsync();
        Assert.Single(log.Lines, line => line.Contains("can be stored again", StringComparison.Ordinal));
        Assert.Single(await scene.ListBlobsAsync());
    }

    [Fact]
    public async Task A_tarball_that_passes_unstored_is_checked()
    {
        await using var scene = new TarballScene(TarballScene.Whole(TarballScene.Bytes(200_001)), wrap: files => new FullDisk(files));
        await using var reading = await scene.OpenReadingAsync(TarballScene.PromiseOf(Bytes));
        var got = 0L;
        var failure = await Assert.ThrowsAsync<MirrorException>(async () =>
        {
            int read;
            while ((read = await reading.ReadAsync(got, new byte[10_000], Cancelled)) > 0)
            {
                got += read;
            }
        });
        Assert.Equal(MirrorFault.UpstreamMalformed, failure.Fault);
        Assert.True(got <= 200_001 - TarballReading.WithheldBytes);
    }

    [Fact]
    public async Task Part_of_an_unstored_tarball_can_be_had()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Bytes), wrap: files => new FullDisk(files));
        await using var reading = await scene.OpenReadingAsync(TarballScene.PromiseOf(Bytes));
        var buffer = new byte[10];
        Assert.Equal(10, await reading.ReadAsync(150_000, buffer, Cancelled));
        Assert.Equal(Bytes[150_000..150_010], buffer);
    }

    private static async Task NotFoundAsync(Stream stream, CancellationToken cancellationToken) =>
        await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(LoopbackPeer.Answer(404, """{"error":"Not found"}""")), cancellationToken);
}
