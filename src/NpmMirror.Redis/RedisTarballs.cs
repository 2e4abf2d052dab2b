using System.Runtime.CompilerServices;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>Tarballs: rows beside their package, lists over all, and of each file's bytes a list of the rows that name them.</summary>
internal sealed class RedisTarballs(RedisSession session) : ITarballTable
{
    private const int PageMax = 256;
    private readonly RedisAccesses _accesses = new(session);

    /// <inheritdoc/>
    public async ValueTask<TarballRow?> FindTarballAsync(PackageName package, string file, CancellationToken cancellationToken) => (await ReadAsync(package, file, cancellationToken)).Row;

    /// <inheritdoc/>
    public ValueTask<bool> PutTarballAsync(TarballRow row, CancellationToken cancellationToken) => ChangeAsync(
        row.Package,
        row.File,
        stored => stored.IsHeld && stored.Row!.Sha512 != row.Sha512 ? null : row with { VerifiedAt = row.VerifiedAt.Truncated(), LastServedAt = Later(row.LastServedAt.Truncated(), stored.Row?.LastServedAt) },
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask StampServedAsync(IReadOnlyList<TarballServed> served, CancellationToken cancellationToken)
    {
        foreach (var (package, file, at) in served)
        {
            await ChangeAsync(package, file, stored => stored.Row is { Damage: null } row ? row with { LastServedAt = Later(row.LastServedAt, at.Truncated()) } : null, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public async ValueTask StampVerifiedAsync(IReadOnlyList<TarballVerified> verified, CancellationToken cancellationToken)
    {
        foreach (var (package, file, sha512, at) in verified)
        {
            await ChangeAsync(
                package,
                file,
                stored => stored.IsHeld && stored.Row!.Sha512 == sha512 ? stored.Row with { VerifiedAt = at is { } moment ? Later(stored.Row.VerifiedAt, moment.Truncated()) : null } : null,
                cancellationToken);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<bool> ForgetTarballAsync(TarballRow row, CancellationToken cancellationToken)
    {
        var stored = await ReadAsync(row.Package, row.File, cancellationToken);
        if (!stored.IsHeld || stored.Row != row || !await SwapAsync(row.Package, row.File, stored, null, null, cancellationToken))
        {
            return false;
        }

        await DropReferenceAsync(stored, cancellationToken);
        return true;
    }

    /// <inheritdoc/>
    public async ValueTask<bool> IsReferencedAsync(Digest sha512, CancellationToken cancellationToken)
    {
        // A name in the list is not yet a row, or not any longer: each says so itself.
        var references = await session.RunAsync(database => database.HashGetAllAsync(session.Keys.Blob(sha512), RedisSession.Flags), cancellationToken);
        foreach (var reference in references)
        {
            if (((string?)reference.Value)?.Split('\n', 2) is [var name, var file] && PackageName.TryParse(name, out var package)
                && await ReadAsync(package, file, cancellationToken) is { IsHeld: true } stored && stored.Row!.Sha512 == sha512)
            {
                return true;
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<TarballRow> ListTarballsAsync(PackageName? package, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (package is { } one)
        {
            await foreach (var row in ListAsync(one, cancellationToken))
            {
                yield return row;
            }

            yield break;
        }

        await foreach (var page in RedisLists.PagesAsync(session, session.Keys.TarballPackages, "", "", PageMax, cancellationToken))
        {
            foreach (var text in page)
            {
                if (PackageName.TryParse(text, out var name))
                {
                    await foreach (var row in ListAsync(name, cancellationToken))
                    {
                        yield return row;
                    }
                }
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask RecordAccessAsync(IReadOnlyList<TarballAccess> accesses, CancellationToken cancellationToken) => _accesses.RecordAsync(accesses, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<TarballAccess> ListAccessAsync(PackageName package, string? file, CancellationToken cancellationToken) => _accesses.ListAsync(package, file, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<int> ForgetAccessAsync(DateOnly day, CancellationToken cancellationToken) => _accesses.ForgetAsync(day, cancellationToken);

    private async IAsyncEnumerable<TarballRow> ListAsync(PackageName package, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var keys = session.Keys.Of(package);
        await foreach (var files in RedisLists.PagesAsync(session, keys.Files, "", "", PageMax, cancellationToken))
        {
            var rows = await session.RunAsync(database => database.HashGetAsync(keys.Tarballs, [.. files.Select(file => (RedisValue)file)], RedisSession.Flags), cancellationToken);
            foreach (var (file, text) in files.Zip(rows))
            {
                if (StoredTarball.Read(package, file, text).Row is { } row)
                {
                    yield return row;
                }
            }
        }
    }

    private async ValueTask<StoredTarball> ReadAsync(PackageName package, string file, CancellationToken cancellationToken) =>
        StoredTarball.Read(package, file, await session.RunAsync(database => database.HashGetAsync(session.Keys.Of(package).Tarballs, file, RedisSession.Flags), cancellationToken));

    /// <summary>Changes a row, and tries again if another writer was faster. False if the change finds nothing to do.</summary>
    private async ValueTask<bool> ChangeAsync(PackageName package, string file, Func<StoredTarball, TarballRow?> change, CancellationToken cancellationToken)
    {
        var isChanged = false;
        await session.RunAsync(
            $"The tarball {file} of {package}",
            async () =>
            {
                var stored = await ReadAsync(package, file, cancellationToken);
                if (change(stored) is not { } row)
                {
                    return true;
                }

                isChanged = await TryChangeAsync(stored, row, cancellationToken);
                return isChanged;
            });
        return isChanged;
    }

    // False if another writer was faster.
    private async ValueTask<bool> TryChangeAsync(StoredTarball stored, TarballRow row, CancellationToken cancellationToken)
    {
        var (package, file) = (row.Package, row.File);
        // Bytes are named before the row is there. A name is a row's own, so that no writer takes another's away.
        var isNamed = stored is { IsHeld: true, Reference: not null } && stored.Row!.Sha512 == row.Sha512;
        var reference = row.State != TarballState.Held ? null : isNamed ? stored.Reference : Guid.NewGuid().ToString("N");
        if (reference is not null && !isNamed)
        {
            await session.RunAsync(
                database => Task.WhenAll(
                    database.HashSetAsync(session.Keys.Blob(row.Sha512), reference, $"{package}\n{file}", When.Always, RedisSession.Flags),
                    database.SortedSetAddAsync(session.Keys.TarballPackages, package.Value, 0, RedisSession.Flags)),
                cancellationToken);
        }
        else if (stored.Row is null)
        {
            await session.RunAsync(database => database.SortedSetAddAsync(session.Keys.TarballPackages, package.Value, 0, RedisSession.Flags), cancellationToken);
        }

        if (await SwapAsync(package, file, stored, row, reference, cancellationToken))
        {
            return true;
        }

        if (reference is not null && !isNamed)
        {
            await session.RunAsync(database => database.HashDeleteAsync(session.Keys.Blob(row.Sha512), reference, RedisSession.Flags), cancellationToken);
        }

        return false;
    }

    private async ValueTask<bool> SwapAsync(PackageName package, string file, StoredTarball from, TarballRow? to, string? reference, CancellationToken cancellationToken)
    {
        var keys = session.Keys.Of(package);
        var isHeld = to is { State: TarballState.Held };
        var breaks = session.Breaks;

        // From here on the caller is not let go: a row that is written and not counted would stay uncounted until the next one of its package.
        cancellationToken.ThrowIfCancellationRequested();
        var sum = (long[])(await session.RunAsync(
            RedisScripts.SwapTarball,
            [keys.Tarballs, keys.Files, keys.TarballSum],
            [
                file,
                from.Stored.IsNull ? "" : from.Stored,
                to is null ? "" : StoredTarball.Write(to, reference),
                (isHeld ? 1 : 0) - (from.IsHeld ? 1 : 0),
                (isHeld ? to!.SizeBytes : 0) - from.HeldBytes,
            ],
            CancellationToken.None))!;
        if (sum.Length == 0)
        {
            return false;
        }

        await session.RunAsync(RedisScripts.SumTarballs, [session.Keys.TarballSums, session.Keys.TarballCounts], [package.Value, sum[0], sum[1], sum[2]], CancellationToken.None);
        await session.ConfirmAsync([keys.Tarballs], breaks, CancellationToken.None);
        return true;
    }

    private async ValueTask DropReferenceAsync(StoredTarball stored, CancellationToken cancellationToken)
    {
        if (stored.Reference is { } reference)
        {
            await session.RunAsync(database => database.HashDeleteAsync(session.Keys.Blob(stored.Row!.Sha512), reference, RedisSession.Flags), cancellationToken);
        }
    }

    private static DateTimeOffset? Later(DateTimeOffset? left, DateTimeOffset? right) => left is null || right > left ? right : left;
}
