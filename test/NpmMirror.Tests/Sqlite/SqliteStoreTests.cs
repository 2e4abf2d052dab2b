using NpmMirror.Conformance;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

public sealed class SqliteStoreTests : PersistentMetadataStoreContract
{
    private readonly TempFolder _folder = new();

    protected override IMetadataStore Create(TimeProvider timeProvider) => new SqliteStore(_folder.File("mirror.sqlite"), timeProvider);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Dispose();
    }
}
