using System.Security.Cryptography;
using System.Text;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Tests.Tarballs;

namespace NpmMirror.Tests.Maintenance;

/// <summary>Only bytes that match the packument's promise are kept.</summary>
public sealed class TarballVerificationTests
{
    private static readonly byte[] Right = TarballScene.Bytes(200_000);
    private static readonly byte[] Wrong = TarballScene.Bytes(200_001)[..200_000];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string> Framings => ["length", "chunked", "close", "http10"];

    [Theory]
    [MemberData(nameof(Framings))]
    public async Task Keeps_the_right_bytes(string framing)
    {
        await using var scene = new TarballScene(Answer(framing, Right, Right.Length));
        Assert.Equal(Right, await scene.FetchAsync(TarballScene.PromiseOf(Right)));
        await scene.SettleAsync();
        var row = await scene.RowAsync();
        Assert.Equal((TarballState.Held, 200_000, new Digest(SHA512.HashData(Right)), null), (row!.State, row.SizeBytes, row.Sha512, row.Problem));
        Assert.Equal(scene.Time.GetUtcNow().Date, row.VerifiedAt!.Value.Date);
        Assert.Equal(0, scene.UnfinishedFiles);
    }

    [Claim("Wrong or short bytes are never kept, whatever the framing (never-again 5)",
        With = [nameof(Keeps_nothing_of_short_bytes), nameof(A_wrong_shasum_is_wrong)],
        Red = "TarballFetch goes on although IntegrityCheck tells a problem")]
    [Theory]
    [MemberData(nameof(Framings))]
    public async Task Keeps_nothing_of_wrong_bytes(string framing)
    {
        await using var scene = new TarballScene(Answer(framing, Wrong, Wrong.Length));
        var failure = await Assert.ThrowsAsync<MirrorException>(() => scene.FetchAsync(TarballScene.PromiseOf(Right)));
        Assert.Equal((MirrorFault.UpstreamMalformed, true), (failure.Fault, failure.IsTransient));
        await scene.SettleAsync();
        Assert.Empty(await scene.ListBlobsAsync());
        Assert.Equal(0, scene.UnfinishedFiles);
        var row = await scene.RowAsync();
        Assert.Equal(TarballState.Corrupt, row!.State);
        Assert.Contains("promises", row.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Framings))]
    public async Task Keeps_nothing_of_short_bytes(string framing)
    {
        await using var scene = new TarballScene(Answer(framing, Right[..150_000], Right.Length));
        await Assert.ThrowsAsync<MirrorException>(() => scene.FetchAsync(TarballScene.PromiseOf(Right)));
        await scene.SettleAsync();
        Assert.Empty(await scene.ListBlobsAsync());
        Assert.NotEqual(TarballState.Held, (await scene.RowAsync())?.State);
    }

    [Fact]
    public async Task Every_reader_of_wrong_bytes_is_told_before_it_has_them_all()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var scene = new TarballScene(async (_, stream, token) =>
        {
            await stream.WriteAsync(TarballScene.Head($"Content-Length: {Wrong.Length}\r\nConnection: close\r\n"), token);
            await stream.WriteAsync(Wrong.AsMemory(0, 190_000), token);
            await gate.Task.WaitAsync(token);
            await stream.WriteAsync(Wrong.AsMemory(190_000), token);
        });
        var readings = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => scene.OpenReadingAsync(TarballScene.PromiseOf(Right))));
        gate.SetResult();
        foreach (var reading in readings)
        {
            var failure = await Assert.ThrowsAsync<MirrorException>(() => TarballScene.ReadToEndAsync(reading));
            Assert.Equal(MirrorFault.UpstreamMalformed, failure.Fault);
            await reading.DisposeAsync();
        }

        await scene.SettleAsync();
        Assert.Equal(0, scene.UnfinishedFiles);
    }

    [Fact]
    public async Task Wrong_bytes_of_a_small_tarball_are_an_error_and_not_an_answer()
    {
        await using var scene = new TarballScene(TarballScene.Whole("<html>maintenance</html>"u8.ToArray()));
        var failure = await Assert.ThrowsAsync<MirrorException>(() => scene.OpenAsync(TarballScene.PromiseOf(Right)));
        Assert.Equal(MirrorFault.UpstreamMalformed, failure.Fault);
    }

    [Claim("A corrupt tarball is tried again by a later request, not by many at once",
        Red = "failures are not remembered")]
    [Fact]
    public async Task A_later_request_tries_again_but_a_crowd_does_not()
    {
        var clock = new FakeClock();
        var bytes = Wrong;
        await using var scene = new TarballScene((request, stream, token) => TarballScene.Whole(bytes)(request, stream, token), clock);
        await Assert.ThrowsAsync<MirrorException>(() => scene.FetchAsync(TarballScene.PromiseOf(Right)));
        await scene.SettleAsync();
        for (var i = 0; i < 10; i++)
        {
            var failure = await Assert.ThrowsAsync<MirrorException>(() => scene.OpenAsync(TarballScene.PromiseOf(Right)));
            Assert.True(failure.RetryAfter > TimeSpan.Zero);
        }

        Assert.Single(scene.Peer.Requests);
        bytes = Right;
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(Right, await scene.FetchAsync(TarballScene.PromiseOf(Right)));
        await scene.SettleAsync();
        Assert.Equal(TarballState.Held, (await scene.RowAsync())!.State);
    }

    [Claim("Versions with only a shasum are checked by it and kept by the SHA-512 found",
        Red = "the bytes are not fed to IntegrityCheck")]
    [Fact]
    public async Task Old_versions_are_checked_by_their_shasum_and_kept_by_their_sha512()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Right));
        Assert.Equal(Right, await scene.FetchAsync(new TarballPromise(null, Sha1(Right))));
        await scene.SettleAsync();
        Assert.Equal(new Digest(SHA512.HashData(Right)), (await scene.RowAsync())!.Sha512);
    }

    [Fact]
    public async Task A_wrong_shasum_is_wrong()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Wrong));
        await Assert.ThrowsAsync<MirrorException>(() => scene.FetchAsync(new TarballPromise(null, Sha1(Right))));
        await scene.SettleAsync();
        Assert.Empty(await scene.ListBlobsAsync());
    }

    [Claim("A version republished with other bytes replaces nothing: the old bytes stay and are served, row and log say so (never-again 21)",
        Red = "a held row with another hash than promised counts as not held")]
    [Fact]
    public async Task A_changed_promise_never_replaces_held_bytes_and_raises_an_alarm()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Right));
        await scene.FetchAsync(TarballScene.PromiseOf(Right));
        await scene.SettleAsync();

        Assert.False(await scene.Downloads.CheckPromiseAsync(TarballScene.Package, "1.0.0", TarballScene.PromiseOf(Wrong), Cancelled));
        Assert.Equal(Right, await scene.FetchAsync(TarballScene.PromiseOf(Wrong)));
        var row = await scene.RowAsync();
        Assert.Equal((TarballState.Held, new Digest(SHA512.HashData(Right))), (row!.State, row.Sha512));
        Assert.Contains("other bytes", row.Problem, StringComparison.Ordinal);
        Assert.Single(scene.Peer.Requests);
    }

    [Fact]
    public async Task A_changed_shasum_is_noticed_by_hashing_the_held_bytes()
    {
        await using var scene = new TarballScene(TarballScene.Whole(Right));
        await scene.FetchAsync(TarballScene.PromiseOf(Right));
        await scene.SettleAsync();
        Assert.True(await scene.Downloads.CheckPromiseAsync(TarballScene.Package, "1.0.0", new TarballPromise(null, Sha1(Right)), Cancelled));
        Assert.False(await scene.Downloads.CheckPromiseAsync(TarballScene.Package, "1.0.0", new TarballPromise(null, Sha1(Wrong)), Cancelled));
    }

#pragma warning disable CA5350 // What the registry promised before 2017.
    private static string Sha1(byte[] bytes) => Convert.ToHexStringLower(SHA1.HashData(bytes));
#pragma warning restore CA5350

    private static Func<Upstream.PeerRequest, Stream, CancellationToken, Task> Answer(string framing, byte[] sent, int announced) => async (_, stream, cancellationToken) =>
    {
        var head = framing switch
        {
            "length" => TarballScene.Head($"Content-Length: {announced}\r\nConnection: close\r\n"),
            "chunked" => TarballScene.Head("Transfer-Encoding: chunked\r\nConnection: close\r\n"),
            "close" => TarballScene.Head("Connection: close\r\n"),
            _ => TarballScene.Head("", "1.0"),
        };
        await stream.WriteAsync(head, cancellationToken);
        if (framing == "chunked")
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"{sent.Length:x}\r\n"), cancellationToken);
        }

        await stream.WriteAsync(sent, cancellationToken);
        if (framing == "chunked")
        {
            await stream.WriteAsync("\r\n0\r\n\r\n"u8.ToArray(), cancellationToken);
        }
    };
}
