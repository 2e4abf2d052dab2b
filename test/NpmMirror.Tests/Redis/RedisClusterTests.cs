using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>The contract over a cluster of three masters with a replica each, and the loss of a master in the middle of work.</summary>
[Trait("Duration", "long")]
public sealed class RedisClusterTests(RedisCluster cluster) : PersistentMetadataStoreContract, IClassFixture<RedisCluster>
{
    private readonly string _location = cluster.NewLocation();

    protected override IMetadataStore Create(TimeProvider timeProvider) => RedisStores.Create(_location, timeProvider);
}
