using NpmMirror.Storage;

namespace NpmMirror.Postgres;

/// <summary>One store for several nodes: <c>postgres://user:password@host:port/database</c>, or <c>Postgres</c> with <c>store.options</c>.</summary>
public sealed class PostgresEngine : IMetadataEngine
{
    /// <inheritdoc/>
    public string Name => "Postgres";

    /// <inheritdoc/>
    public IReadOnlyList<string> Aliases => ["postgresql"];

    /// <inheritdoc/>
    public IMetadataStore Create(StoreSettings settings) => new PostgresStore(PostgresAddress.Read(settings), settings.TimeProvider);
}
