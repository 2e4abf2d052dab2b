using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.MongoDB;

/// <summary>The whole contract over the look-alike, or over the real server that <c>NPM_MIRROR_TEST_MONGODB</c> names.</summary>
[Trait("Duration", "long")]
public sealed class MongoStoreTests(SharedMongo shared) : PersistentMetadataStoreContract
{
    private string? _location;

    protected override IMetadataStore Create(TimeProvider timeProvider) => MongoServer.Create(_location ??= shared.NewLocationAsync().GetAwaiter().GetResult(), timeProvider);
}
