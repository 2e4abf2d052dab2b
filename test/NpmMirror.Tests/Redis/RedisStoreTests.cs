using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>The contract over a real server, in the classic layout.</summary>
public sealed class RedisStoreTests(RedisServer server) : PersistentMetadataStoreContract, IClassFixture<RedisServer>
{
    private readonly string _location = server.NewLocation();

    protected override IMetadataStore Create(TimeProvider timeProvider) => RedisStores.Create(_location, timeProvider);
}
