using System.Security.Cryptography;
using System.Text;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>Callers that go away in the middle of a write of several steps.</summary>
public sealed class RedisCancellationTests(RedisServer server) : IClassFixture<RedisServer>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("Tarballs in Redis are counted right whatever moment their writers are cancelled at",
        Red = "`RedisTarballs.SwapAsync` passes its caller's token on")]
    [Fact]
    public async Task Counts_each_tarball_whose_writer_was_cancelled()
    {
        await using var store = RedisStores.Create(server.NewLocation(), TimeProvider.System);
        await store.OpenAsync(Token);
        for (var round = 0; round < 30; round++)
        {
            using var cancelled = CancellationTokenSource.CreateLinkedTokenSource(Token);
            var package = PackageName.Parse($"round-{round}");
            var writers = Enumerable.Range(0, 16).Select(i => store.Tarballs.PutTarballAsync(Row(package, $"{round}.0.{i}"), cancelled.Token).AsTask()).ToList();
            await Task.WhenAny(writers);
            await cancelled.CancelAsync();
            await Task.WhenAll(writers).ContinueWith(_ => { }, Token, TaskContinuationOptions.None, TaskScheduler.Default);
        }

        var rows = await store.Tarballs.ListTarballsAsync(null, Token).ToListAsync(Token);
        Assert.NotEmpty(rows);
        var counts = await store.CountAsync(Token);
        Assert.Equal((rows.Count, rows.Sum(row => row.SizeBytes)), (counts.Tarballs, counts.TarballBytes));
    }

    private static TarballRow Row(PackageName package, string version) => new()
    {
        Package = package,
        File = $"{package}-{version}.tgz",
        Version = version,
        State = TarballState.Held,
        Sha512 = Digest.FromHex(Convert.ToHexString(SHA512.HashData(Encoding.UTF8.GetBytes(version)))),
        SizeBytes = 100,
    };
}
