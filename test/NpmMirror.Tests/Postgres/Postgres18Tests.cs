using NpmMirror.Conformance;
using NpmMirror.Storage;
using NpmMirror.Tests.Postgres;

[assembly: AssemblyFixture(typeof(SharedPostgres18))]

namespace NpmMirror.Tests.Postgres;

/// <summary>A server of PostgreSQL 18 for the tests of this file.</summary>
public sealed class SharedPostgres18() : SharedPostgres(PostgresPrograms.OfVersion18);

/// <summary>The whole contract over PostgreSQL 18.</summary>
[Claim("PostgreSQL 18 keeps the whole contract as the older one does", With = [nameof(Is_version_18)])]
[Trait("Duration", "long")]
public sealed class Postgres18Tests(SharedPostgres18 shared) : PersistentMetadataStoreContract
{
    private readonly string _schema = PostgresServer.NewSchema();

    protected override IMetadataStore Create(TimeProvider timeProvider) => shared.GetAsync().GetAwaiter().GetResult().Create(_schema, timeProvider);

    [Fact]
    public async Task Is_version_18() => Assert.Equal("18", Assert.Single(await (await shared.GetAsync()).RunAsync("show server_version")).Split('.')[0]);
}
