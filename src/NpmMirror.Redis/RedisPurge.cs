using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>Drops payloads and documents of a package's past.</summary>
internal sealed class RedisPurge(RedisSession session, RedisLog log)
{
    /// <summary>See <see cref="IPackageTable.PurgeAsync"/>.</summary>
    internal async ValueTask<long?> RunAsync(PackagePurge purge, CancellationToken cancellationToken)
    {
        var keys = session.Keys.Of(purge.Package);
        var hashes = purge.Documents.Select(sha256 => sha256.Hex).Distinct().ToList();
        RedisKey[] places = [keys.Row, keys.Module, keys.Document, keys.Archived, .. hashes.Select(keys.Archive)];
        var answer = (long[])(await session.RunAsync(RedisScripts.Purge, places, [purge.ExpectedGeneration, .. hashes.Select(hash => (RedisValue)hash)], cancellationToken))!;
        var bytes = answer[0];
        if (bytes < 0)
        {
            return null;
        }

        // The package counts as written by now: the rest may be done again. The tombstone is the same document.
        if (answer[1] == 1)
        {
            await session.RunAsync(database => database.KeyDeleteAsync(session.Keys.Tombstone(purge.Package), RedisSession.Flags), cancellationToken);
        }

        foreach (var position in purge.Payloads)
        {
            bytes += await log.PurgeAsync(purge.Package, position, cancellationToken);
        }

        return bytes;
    }
}
