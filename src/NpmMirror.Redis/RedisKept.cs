using System.Runtime.CompilerServices;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>Documents of the upstream beside the packuments.</summary>
internal sealed class RedisKept(RedisSession session) : IKeptTable
{
    private const int PageMax = 256;

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>?> FindKeptAsync(string path, CancellationToken cancellationToken) =>
        (byte[]?)await session.RunAsync(database => database.StringGetAsync(session.Keys.Kept(path), RedisSession.Flags), cancellationToken) is { } bytes ? (ReadOnlyMemory<byte>?)bytes : null;

    /// <inheritdoc/>
    public async ValueTask KeepAsync(string path, ReadOnlyMemory<byte>? document, CancellationToken cancellationToken)
    {
        // A copy: a caller that leaves takes its buffer along.
        var bytes = document?.ToArray();
        var breaks = session.Breaks;
        await session.RunAsync(
            async database =>
            {
                var (key, paths) = (session.Keys.Kept(path), session.Keys.KeptPaths);
                if (bytes is not null)
                {
                    // Listed first: a listed path may have no document.
                    await database.SortedSetAddAsync(paths, path, 0, RedisSession.Flags);
                    return await database.StringSetAsync(key, bytes, flags: RedisSession.Flags);
                }

                await database.KeyDeleteAsync(key, RedisSession.Flags);
                await database.SortedSetRemoveAsync(paths, path, RedisSession.Flags);

                // Another writer may have kept one in between.
                return await database.KeyExistsAsync(key, RedisSession.Flags) && await database.SortedSetAddAsync(paths, path, 0, RedisSession.Flags);
            },
            cancellationToken);
        await session.ConfirmAsync([session.Keys.Kept(path)], breaks, cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<KeptMark> ListKeptAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var page in RedisLists.PagesAsync(session, session.Keys.KeptPaths, prefix, prefix, PageMax, cancellationToken))
        {
            var lengths = await session.RunAsync(database => Task.WhenAll(page.Select(path => ReadLengthAsync(database, path))), cancellationToken);
            foreach (var (path, length) in page.Zip(lengths))
            {
                if (length is { } bytes)
                {
                    yield return new KeptMark(path, bytes);
                }
            }
        }
    }

    private async Task<long?> ReadLengthAsync(IDatabase database, string path)
    {
        var key = session.Keys.Kept(path);
        var (isThere, length) = (database.KeyExistsAsync(key, RedisSession.Flags), database.StringLengthAsync(key, RedisSession.Flags));
        return await isThere ? await length : null;
    }
}
