using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>A refresh of a package asks again for its tarballs without a promised hash: the first answer may have been wrong.</summary>
public sealed class RefreshUnpromisedTests
{
    private const string Path = "/odd/-/odd-1.0.0.tgz";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public async Task A_refresh_takes_other_bytes_of_a_tarball_without_a_promised_hash(bool isPromised, bool isReplaced)
    {
        await using var upstream = await FakeRegistry.StartAsync(cancellationToken: Token);
        upstream.Publish(new FakePackage("odd").Version("1.0.0", version => (version.HasIntegrity, version.HasShasum) = (isPromised, isPromised)));
        upstream.Publish(new FakePackage("ms").Version("1.0.0"));
        var (before, other) = (upstream.Tarballs[Path], upstream.Tarballs["/ms/-/ms-1.0.0.tgz"]);
        await using var mirror = await ServedMirror.StartAsync(upstream: upstream.Url);
        Assert.Equal(before, await BytesAsync(mirror));
        await Eventually.Async(async () => await mirror.Store.Tarballs.FindTarballAsync(PackageName.Parse("odd"), "odd-1.0.0.tgz", Token) is not null);
        Assert.Equal("""{"status":"OK","message":"Package unchanged"}""", await mirror.TextAsync("odd?refresh=1"));

        upstream.Tarballs[Path] = other;
        Assert.Equal(before, await BytesAsync(mirror));
        Assert.Contains(isReplaced ? "sends other bytes of 1 tarballs" : "Package unchanged", await mirror.TextAsync("odd?refresh=1"), StringComparison.Ordinal);
        Assert.Equal(isReplaced ? other : before, await BytesAsync(mirror));
    }

    private static async Task<byte[]> BytesAsync(ServedMirror mirror)
    {
        using var answer = await mirror.GetAsync("/npm" + Path);
        Assert.Equal(200, (int)answer.StatusCode);
        return await answer.Content.ReadAsByteArrayAsync(Token);
    }
}
