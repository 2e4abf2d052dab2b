using System.Runtime.CompilerServices;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>The packages, their documents and the archive.</summary>
internal sealed class RedisPackages(RedisSession session, RedisCommits commits, RedisPurge purges, RedisLog log) : IPackageTable
{
    // Rows with their indexes: some are megabytes.
    private const int RowsMax = 64;
    private const int MarksMax = 1024;

    private const int TriesMax = 5;

    /// <inheritdoc/>
    public async ValueTask<PackageRow?> FindAsync(PackageName name, CancellationToken cancellationToken)
    {
        var keys = session.Keys.Of(name);
        var answer = (RedisValue[])(await session.RunAsync(RedisScripts.Find, [keys.Row, keys.Module, keys.Document], RedisRow.Fields, cancellationToken))!;
        return ToRow(name, answer);
    }

    /// <inheritdoc/>
    public async ValueTask<StoredPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            var (row, bytes, isOfOneMoment) = await session.RunAsync(database => ReadOnceAsync(database, name), cancellationToken);
            if (!row.IsThere)
            {
                return null;
            }

            var read = row.Read(bytes.Length);
            if (isOfOneMoment && read.Damage is null)
            {
                return new StoredPackage(read, new StoredDocument(row.Codec, row.Codec == DocumentCodec.Purged ? default(ReadOnlyMemory<byte>) : bytes, read.RawSizeBytes, read.DocumentSha256));
            }

            // A commit came in between. A package is not written this often for long.
            if (tries == TriesMax)
            {
                throw read.Damage?.ToException() ?? new MirrorException(MirrorFault.StoreUnavailable, $"{name} at {session.Location} changes faster than it can be read; ask again.", isTransient: true);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<StoredDocument?> ReadArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken)
    {
        var keys = session.Keys.Of(name);
        var bytes = await session.RunAsync(database => database.StringGetAsync(keys.Archive(sha256.Hex), RedisSession.Flags), cancellationToken);
        var form = await session.RunAsync(database => database.HashGetAsync(keys.Archived, sha256.Hex, RedisSession.Flags), cancellationToken);
        if (!form.IsNull && bytes.IsNull)
        {
            // It was archived in between, or purged, or is damaged.
            bytes = await session.RunAsync(database => database.StringGetAsync(keys.Archive(sha256.Hex), RedisSession.Flags), cancellationToken);
            form = await session.RunAsync(database => database.HashGetAsync(keys.Archived, sha256.Hex, RedisSession.Flags), cancellationToken);
        }

        if (!form.IsNull)
        {
            return ArchivedForm.Read((string)form!) is { } archived && (archived.Codec == DocumentCodec.Purged || !bytes.IsNull)
                ? new StoredDocument(archived.Codec, archived.Codec == DocumentCodec.Purged ? default : (byte[]?)bytes, archived.RawSizeBytes, sha256)
                : throw new StoreDamage("archive", name.Value, "bytes", "nothing") { Package = name }.ToException();
        }

        // A pinned document is archived where it lies.
        var row = new RedisRow(name, await session.RunAsync(database => database.HashGetAsync(keys.Row, RedisRow.Fields, RedisSession.Flags), cancellationToken));
        return row is { IsThere: true, IsPinned: true } && row.Sha256 == sha256.Hex && await ReadAsync(name, cancellationToken) is { } package && package.Document.Sha256 == sha256
            ? package.Document
            : null;
    }

    /// <inheritdoc/>
    public ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken) => commits.CommitAsync(commit, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<long?> PurgeAsync(PackagePurge purge, CancellationToken cancellationToken) => purges.RunAsync(purge, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageRow> ListAsync(PackageName? after, bool isRemoved, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var names in PagesAsync(isRemoved, after is { } name ? RedisLists.After(name.Value) : "", RowsMax, cancellationToken))
        {
            foreach (var row in await FindAllAsync(names, cancellationToken))
            {
                // It may have gone the other way since it was listed.
                if (row is not null && row.Facts.IsRemoved == isRemoved)
                {
                    yield return row;
                }
            }
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageMark> ListMarksAsync(string from, bool isRemoved, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var names in PagesAsync(isRemoved, from, MarksMax, cancellationToken))
        {
            var marks = await session.RunAsync(database => database.HashGetAsync(session.Keys.Marks, [.. names.Select(name => (RedisValue)name.Value)], RedisSession.Flags), cancellationToken);
            foreach (var (name, mark) in names.Zip(marks))
            {
                yield return ListedMark.Read(name, mark);
            }
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageRow> ListChangesAsync(LogPosition from, bool isDescending, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await log.ReadHeadAsync(cancellationToken)).Position;
        var last = isDescending ? Math.Min(from.Value, head.Value + 1) : Math.Max(from.Value, 0);
        while (true)
        {
            var (low, high, exclude) = isDescending ? (1, last, Exclude.Stop) : (last, head.Value, Exclude.Start);
            var page = await session.RunAsync(
                database => database.SortedSetRangeByScoreWithScoresAsync(session.Keys.Changes, low, high, exclude, isDescending ? Order.Descending : Order.Ascending, 0, RowsMax, RedisSession.Flags),
                cancellationToken);
            var names = page.Select(entry => PackageName.TryParse((string?)entry.Element, out var name) ? name : default).ToList();
            var rows = await FindAllAsync([.. names.Where(name => name != default)], cancellationToken);
            foreach (var row in rows)
            {
                // One that has changed meanwhile is after this head.
                if (row is not null && row.LastPosition > LogPosition.Zero && row.LastPosition <= head)
                {
                    yield return row;
                }
            }

            if (page.Length < RowsMax)
            {
                yield break;
            }

            last = (long)page[^1].Score;
        }
    }

    // Without MULTI, which a full server refuses: each write of a package raises its generation, which is read before and after.
    private async Task<(RedisRow Row, byte[] Bytes, bool IsOfOneMoment)> ReadOnceAsync(IDatabase database, PackageName name)
    {
        var keys = session.Keys.Of(name);
        var fields = database.HashGetAsync(keys.Row, RedisRow.Fields, RedisSession.Flags);
        var module = database.StringGetAsync(keys.Module, RedisSession.Flags);
        var document = database.StringGetAsync(keys.Document, RedisSession.Flags);
        var generation = database.HashGetAsync(keys.Row, RedisRow.Fields[0], RedisSession.Flags);
        await Task.WhenAll(fields, module, document, generation);
        var row = new RedisRow(name, await fields);
        return (row, (byte[]?)await (row.IsInModule ? module : document) ?? [], (await fields)[0] == await generation);
    }

    private async Task<PackageRow?[]> FindAllAsync(IReadOnlyList<PackageName> names, CancellationToken cancellationToken) =>
        await Task.WhenAll(names.Select(name => FindAsync(name, cancellationToken).AsTask()));

    private IAsyncEnumerable<List<PackageName>> PagesAsync(bool isRemoved, string from, int max, CancellationToken cancellationToken) =>
        RedisLists.PagesAsync(session, isRemoved ? session.Keys.Removed : session.Keys.Held, from, "", max, cancellationToken)
            .Select(page => page.ConvertAll(text => PackageName.TryParse(text, out var name) ? name : default).FindAll(name => name != default));

    private static PackageRow? ToRow(PackageName name, RedisValue[] answer)
    {
        var row = new RedisRow(name, answer);
        return row.IsThere ? row.Read((long)answer[RedisRow.Fields.Length + (row.IsInModule ? 0 : 1)]) : null;
    }
}
