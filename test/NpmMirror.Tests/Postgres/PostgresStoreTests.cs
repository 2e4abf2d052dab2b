using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Postgres;

/// <summary>The whole contract over a real server.</summary>
public sealed class PostgresStoreTests(SharedPostgres shared) : PersistentMetadataStoreContract
{
    private readonly string _schema = PostgresServer.NewSchema();

    protected override IMetadataStore Create(TimeProvider timeProvider) => shared.GetAsync().GetAwaiter().GetResult().Create(_schema, timeProvider);
}
