using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace Engine.Tests;

public sealed class LmdbStoreTests : PersistentMetadataStoreContract
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lmdb-").FullName;

    protected override IMetadataStore Create(TimeProvider timeProvider) => new LmdbStore(_folder, 1L << 30, timeProvider);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
