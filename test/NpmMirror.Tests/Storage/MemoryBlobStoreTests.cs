using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

public sealed class MemoryBlobStoreTests : BlobStoreContract
{
    protected override ValueTask<IBlobStore> CreateStoreAsync() => ValueTask.FromResult<IBlobStore>(new MemoryBlobStore(new FakeClock()));
}
