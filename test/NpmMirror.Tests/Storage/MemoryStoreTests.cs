using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

public sealed class MemoryStoreTests : MetadataStoreContract
{
    protected override IMetadataStore Create(TimeProvider timeProvider) => new MemoryStore(timeProvider);
}
