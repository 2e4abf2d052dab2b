using System.Runtime.CompilerServices;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>Counts of downloads, beside their package.</summary>
internal sealed class RedisAccesses(RedisSession session)
{
    private const int PageMax = 512;

    internal async ValueTask RecordAsync(IReadOnlyList<TarballAccess> accesses, CancellationToken cancellationToken)
    {
        foreach (var ofPackage in accesses.GroupBy(access => access.Package))
        {
            var keys = session.Keys.Of(ofPackage.Key);
            await session.RunAsync(database => database.SortedSetAddAsync(session.Keys.AccessedPackages, ofPackage.Key.Value, 0, RedisSession.Flags), cancellationToken);
            foreach (var page in ofPackage.Chunk(PageMax))
            {
                RedisValue[] values = [.. page.SelectMany(access => (RedisValue[])[AccessKey.Write(access.File, access.Client, access.Day), access.Count])];
                await session.RunAsync(RedisScripts.AddAccesses, [keys.Accesses, keys.AccessKeys], values, cancellationToken);
            }
        }
    }

    internal async IAsyncEnumerable<TarballAccess> ListAsync(PackageName package, string? file, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var keys = session.Keys.Of(package);
        var prefix = file is null ? "" : AccessKey.Of(file);
        await foreach (var fields in RedisLists.PagesAsync(session, keys.AccessKeys, prefix, prefix, PageMax, cancellationToken))
        {
            var counts = await session.RunAsync(database => database.HashGetAsync(keys.Accesses, [.. fields.Select(field => (RedisValue)field)], RedisSession.Flags), cancellationToken);
            foreach (var (field, count) in fields.Zip(counts))
            {
                if (AccessKey.Read(field) is var (ofFile, client, day) && count.TryParse(out long number))
                {
                    yield return new TarballAccess(package, ofFile, client, day, number);
                }
            }
        }
    }

    internal async ValueTask<int> ForgetAsync(DateOnly before, CancellationToken cancellationToken)
    {
        var forgotten = 0;
        await foreach (var page in RedisLists.PagesAsync(session, session.Keys.AccessedPackages, "", "", PageMax, cancellationToken))
        {
            foreach (var text in page)
            {
                if (PackageName.TryParse(text, out var name))
                {
                    forgotten += await ForgetAsync(session.Keys.Of(name), before, cancellationToken);
                }
            }
        }

        return forgotten;
    }

    private async ValueTask<int> ForgetAsync(PackageKeys keys, DateOnly before, CancellationToken cancellationToken)
    {
        var forgotten = 0;
        await foreach (var fields in RedisLists.PagesAsync(session, keys.AccessKeys, "", "", PageMax, cancellationToken))
        {
            RedisValue[] old = [.. fields.Where(field => AccessKey.Read(field) is var (_, _, day) && day < before)];
            if (old.Length > 0)
            {
                forgotten += (int)await session.RunAsync(RedisScripts.DropAccesses, [keys.Accesses, keys.AccessKeys], old, cancellationToken);
            }
        }

        return forgotten;
    }
}
