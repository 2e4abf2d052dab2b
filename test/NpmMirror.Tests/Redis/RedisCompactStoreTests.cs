using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>The contract over a real server, in the compact layout.</summary>
[Trait("Duration", "long")]
public sealed class RedisCompactStoreTests(RedisServer server) : PersistentMetadataStoreContract, IClassFixture<RedisServer>
{
    private readonly string _location = server.NewLocation() + "&layout=compact";

    protected override IMetadataStore Create(TimeProvider timeProvider) => RedisStores.Create(_location, timeProvider);
}
