using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.MongoDB;

/// <summary>The whole contract over the look-alike, or over the real server that <c>NPM_MIRROR_TEST_MONGODB</c> names.</summary>
[Claim("MongoDB keeps the whole contract of engines, over a look-alike of the server (no real one can be had here)",
    With = [nameof(Lets_one_of_two_stores_win), nameof(Keeps_one_chain_for_all_writers), nameof(Gives_an_item_to_one_taker_only), nameof(Gives_an_item_to_one_of_two_stores), nameof(Lists_by_utf8_bytes)],
    Red = "the generation left out of the filter of `MongoCommits.WriteAsync`: the first was red; the round left out of that of `MongoNumbering.MoveAsync`: the second; the write left out of that of `MongoQueue.SwapAsync`: the third and the fourth")]
[Trait("Duration", "long")]
public sealed class MongoStoreTests(SharedMongo shared) : PersistentMetadataStoreContract
{
    private string? _location;

    protected override IMetadataStore Create(TimeProvider timeProvider) => MongoServer.Create(_location ??= shared.NewLocationAsync().GetAwaiter().GetResult(), timeProvider);
}
