using System.Globalization;
using NpmMirror.Tests.Sqlite;

namespace NpmMirror.Tests.MongoDB;

/// <summary>Encrypted connections, with an authority of one's own.</summary>
[Trait("Duration", "long")]
public sealed class MongoTlsTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private MongoServer _server = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(MongoServer.IsInstalled, TestTools.Missing("bson"));
        ServerCertificates.Write(_folder, "own");
        _server = await MongoServer.StartNewAsync($"--cert={_folder.File("own.pem")}", $"--key={_folder.File("own.key")}");
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A connection to MongoDB is encrypted, to the server that the given authority vouches for and to no other",
        With = [nameof(Refuses_a_server_of_an_unknown_authority)],
        Red = "`CertificateAuthorities.IsTrusted` says yes to any certificate: the second was red")]
    [Fact]
    public async Task Speaks_with_a_server_of_the_given_authority()
    {
        await using var store = MongoServer.Create(At($"?ca={_folder.File("own-ca.pem")}"));
        await store.OpenAsync(Cancelled);
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("a"), Cancelled)).IsCommitted);
    }

    [Fact]
    public async Task Refuses_a_server_of_an_unknown_authority()
    {
        ServerCertificates.Write(_folder, "other");
        foreach (var query in new[] { "?tls=true", $"?ca={_folder.File("other-ca.pem")}" })
        {
            await using var store = MongoServer.Create(At(query));
            var failure = await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancelled));
            Assert.Equal(MirrorFault.Configuration, failure.Fault);
            Assert.Contains("certificate", failure.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Says_that_the_authority_cannot_be_read()
    {
        await using var store = MongoServer.Create(At($"?ca={_folder.File("none.pem")}"));
        var failure = await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancelled));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
    }

    private string At(string query) => string.Create(CultureInfo.InvariantCulture, $"mongodb://127.0.0.1:{_server.Port}/mirror{query}");
}
