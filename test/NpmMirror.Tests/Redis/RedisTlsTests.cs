using System.Globalization;

namespace NpmMirror.Tests.Redis;

/// <summary>Encrypted connections, with an authority of one's own.</summary>
public sealed class RedisTlsTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private RedisServer _server = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        ServerCertificates.Write(_folder, "own");
        _server = new RedisServer(["--tls-cert-file", _folder.File("own.pem"), "--tls-key-file", _folder.File("own.key"), "--tls-ca-cert-file", _folder.File("own-ca.pem"), "--tls-auth-clients", "no"]) { IsSecure = true };
        await _server.InitializeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A connection to Redis is encrypted, to the server that the given authority vouches for and to no other",
        With = [nameof(Refuses_a_server_of_an_unknown_authority)])]
    [Fact]
    public async Task Speaks_with_a_server_of_the_given_authority()
    {
        await using var store = RedisStores.Create(At($"?ca={_folder.File("own-ca.pem")}"));
        await store.OpenAsync(Cancelled);
        Assert.True((await store.Packages.CommitAsync(RedisTroubleTests.NewCommit("a", 0), Cancelled)).IsCommitted);
        Assert.StartsWith("rediss://", store.Location, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refuses_a_server_of_an_unknown_authority()
    {
        ServerCertificates.Write(_folder, "other");
        foreach (var query in new[] { "", $"?ca={_folder.File("other-ca.pem")}" })
        {
            await using var store = RedisStores.Create(At(query));
            var failure = await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancelled));
            Assert.Contains("certificate", failure.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Says_that_the_authority_cannot_be_read()
    {
        await using var store = RedisStores.Create(At($"?ca={_folder.File("none.pem")}"));
        var failure = await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancelled));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
    }

    private string At(string query) => string.Create(CultureInfo.InvariantCulture, $"rediss://127.0.0.1:{_server.Port}/{query}");
}
