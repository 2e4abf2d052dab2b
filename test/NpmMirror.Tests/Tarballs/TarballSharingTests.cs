using NpmMirror.Tarballs;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.Tarballs;

/// <summary>Many clients, one download.</summary>
public sealed class TarballSharingTests
{
    private static readonly byte[] Large = TarballScene.Bytes(500_000);

    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("All waiting clients share one download; the upstream is gated so that they really wait (never-again 5)",
        With = [$"{nameof(AspNetCore.TarballServingTests)}.{nameof(AspNetCore.TarballServingTests.Fifty_clients_share_one_request_to_the_upstream)}"],
        Red = "TarballDownloads.Join always starts a download")]
    [Fact]
    public async Task Fifty_clients_wait_for_one_upstream_request()
    {
        await using var scene = new TarballScene(GatedBefore(Large));
        var opening = Enumerable.Range(0, 50).Select(_ => scene.FetchAsync(TarballScene.PromiseOf(Large))).ToList();
        await Eventually.Async(() => !scene.Peer.Requests.IsEmpty);
        Assert.DoesNotContain(opening, client => client.IsCompleted);

        _gate.SetResult();
        Assert.All(await Task.WhenAll(opening), bytes => Assert.Equal(Large, bytes));
        Assert.Single(scene.Peer.Requests);
        await scene.SettleAsync();
        Assert.Single(await scene.ListBlobsAsync());
    }

    [Fact]
    public async Task Clients_that_come_one_after_another_never_cause_a_second_request()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Large));
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(Large, await scene.FetchAsync(TarballScene.PromiseOf(Large)));
        }

        Assert.Single(scene.Peer.Requests);
    }

    [Claim("The first bytes go out before the upstream is done",
        Red = "an arriving file can be read when its hash was right only")]
    [Fact]
    public async Task Gives_bytes_out_before_the_upstream_is_done()
    {
        await using var scene = new TarballScene(GatedAt(Large, 300_000));
        await using var reading = await scene.OpenReadingAsync(TarballScene.PromiseOf(Large));
        var buffer = new byte[100_000];
        var read = await reading.ReadAsync(0, buffer, Cancelled);
        Assert.True(read > 0);
        Assert.Equal(Large.AsSpan(0, read), buffer.AsSpan(0, read));
        Assert.Equal(Large.Length, reading.LengthBytes);
        _gate.SetResult();
        Assert.Equal(Large, await TarballScene.ReadToEndAsync(reading));
    }

    [Claim("The last 64 KB are withheld until the hash was right",
        Red = "TarballArrival gives out all that has come")]
    [Fact]
    public async Task Withholds_the_last_64_KB_until_the_hash_was_right()
    {
        // All bytes have come, but the last chunk, which says that these are all, waits.
        await using var scene = new TarballScene(async (_, stream, cancellationToken) =>
        {
            await stream.WriteAsync(TarballScene.Head("Transfer-Encoding: chunked\r\nConnection: close\r\n"), cancellationToken);
            await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes($"{Large.Length:x}\r\n"), cancellationToken);
            await stream.WriteAsync(Large, cancellationToken);
            await _gate.Task.WaitAsync(cancellationToken);
            await stream.WriteAsync("\r\n0\r\n\r\n"u8.ToArray(), cancellationToken);
        });
        await using var reading = await scene.OpenReadingAsync(TarballScene.PromiseOf(Large));
        var got = 0L;
        var buffer = new byte[64 * 1024];
        while (got < Large.Length - TarballReading.WithheldBytes)
        {
            got += await reading.ReadAsync(got, buffer, Cancelled);
        }

        Assert.Equal(Large.Length - TarballReading.WithheldBytes, got);
        var rest = reading.ReadAsync(got, buffer, Cancelled).AsTask();
        Assert.False(rest.IsCompleted);
        _gate.SetResult();
        Assert.True(await rest > 0);
        Assert.Equal(Large, await TarballScene.ReadToEndAsync(reading));
    }

    [Claim("A client that leaves, gives up or stalls neither ends nor slows the download",
        With = [nameof(A_client_that_gives_up_waiting_does_not_end_the_download), nameof(A_client_that_stalls_slows_no_other)],
        Red = "`TarballArrival.LeaveAsync` closes the file when the last reader leaves: all three were red; the download takes its first client's token: the second; it waits for its readers before its slot is free: the last")]
    [Fact]
    public async Task A_client_that_leaves_does_not_end_the_download()
    {
        await using var scene = new TarballScene(GatedAt(Large, 300_000));
        var reading = await scene.OpenReadingAsync(TarballScene.PromiseOf(Large));
        await reading.DisposeAsync();
        _gate.SetResult();
        await scene.SettleAsync();
        Assert.Single(await scene.ListBlobsAsync());
        Assert.Equal(Large, await scene.FetchAsync(TarballScene.PromiseOf(Large)));
        Assert.Single(scene.Peer.Requests);
    }

    [Fact]
    public async Task A_client_that_gives_up_waiting_does_not_end_the_download()
    {
        await using var scene = new TarballScene(GatedBefore(Large));
        using var impatient = new CancellationTokenSource();
        var opening = scene.Downloads.StoreAsync(TarballScene.Package, new("1.0.0", default, default, default, 0, null), new Uri(scene.Peer.Url, "a.tgz").AbsoluteUri, TarballScene.PromiseOf(Large), impatient.Token);
        await Eventually.Async(() => !scene.Peer.Requests.IsEmpty);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening);
        _gate.SetResult();
        await scene.SettleAsync();
        Assert.Single(await scene.ListBlobsAsync());
    }

    [Fact]
    public async Task A_client_that_stalls_slows_no_other()
    {
        await using var scene = new TarballScene(GatedBefore(Large));
        _gate.SetResult();
        await using var stalled = await scene.OpenReadingAsync(TarballScene.PromiseOf(Large));
        Assert.Equal(Large, await scene.FetchAsync(TarballScene.PromiseOf(Large)));
        await scene.SettleAsync();
        Assert.Single(await scene.ListBlobsAsync());
        // It reads on when it likes, from the same file.
        Assert.Equal(Large, await TarballScene.ReadToEndAsync(stalled));
    }

    [Fact]
    public async Task Stopping_ends_downloads_and_tells_their_clients()
    {
        await using var scene = new TarballScene(GatedAt(Large, 300_000));
        await using var reading = await scene.OpenReadingAsync(TarballScene.PromiseOf(Large));
        await scene.Downloads.DisposeAsync();
        var failure = await Assert.ThrowsAsync<MirrorException>(() => TarballScene.ReadToEndAsync(reading));
        Assert.Contains("stopping", failure.Message, StringComparison.Ordinal);
        Assert.Empty(await scene.ListBlobsAsync());
        await reading.DisposeAsync();
        Assert.Equal(0, scene.UnfinishedFiles);
    }

    private Func<PeerRequest, Stream, CancellationToken, Task> GatedBefore(byte[] bytes) => async (request, stream, cancellationToken) =>
    {
        await _gate.Task.WaitAsync(cancellationToken);
        await TarballScene.Whole(bytes)(request, stream, cancellationToken);
    };

    private Func<PeerRequest, Stream, CancellationToken, Task> GatedAt(byte[] bytes, int at) => async (_, stream, cancellationToken) =>
    {
        await stream.WriteAsync(TarballScene.Head($"Content-Length: {bytes.Length}\r\nConnection: close\r\n"), cancellationToken);
        await stream.WriteAsync(bytes.AsMemory(0, at), cancellationToken);
        await _gate.Task.WaitAsync(cancellationToken);
        await stream.WriteAsync(bytes.AsMemory(at), cancellationToken);
    };
}
