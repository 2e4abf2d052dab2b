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

    private static readonly object[] RowRead = [.. RedisRow.Fields.Select(field => (object)field)];

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
        var keys = session.Keys.Of(name);
        var answers = await session.ReadTogetherAsync(
            [("HMGET", [keys.Row, .. RowRead]), ("GET", [(RedisKey)keys.Module]), ("GET", [keys.Document])],
            cancellationToken);
        var row = new RedisRow(name, (RedisValue[])answers[0]!);
        if (!row.IsThere)
        {
            return null;
        }

        var bytes = (byte[]?)answers[row.IsInModule ? 1 : 2] ?? [];
        var read = row.Read(bytes.Length);
        return read.Damage is null
            ? new StoredPackage(read, new StoredDocument(row.Codec, row.Codec == DocumentCodec.Purged ? default(ReadOnlyMemory<byte>) : bytes, read.RawSizeBytes, read.DocumentSha256))
            : throw read.Damage.ToException();
    }

    /// <inheritdoc/>
    public async ValueTask<StoredDocument?> ReadArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken)
    {
        var keys = session.Keys.Of(name);
        var answers = await session.ReadTogetherAsync(
            [("HGET", [keys.Archived, sha256.Hex]), ("GET", [keys.Archive(sha256.Hex)]), ("HMGET", [keys.Row, .. RowRead])],
            cancellationToken);
        if ((string?)answers[0] is { } text)
        {
            return ArchivedForm.Read(text) is { } form && (form.Codec == DocumentCodec.Purged || !answers[1].IsNull)
                ? new StoredDocument(form.Codec, (byte[]?)answers[1], form.RawSizeBytes, sha256)
                : throw new StoreDamage("archive", name.Value, "bytes", "nothing") { Package = name }.ToException();
        }

        // A pinned document is archived where it lies.
        var row = new RedisRow(name, (RedisValue[])answers[2]!);
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
                // One that has changed meanwhile is behind this head.
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
