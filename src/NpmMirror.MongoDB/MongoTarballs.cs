using System.Runtime.CompilerServices;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>The rows of tarballs, each changed if it is still what was read.</summary>
internal sealed class MongoTarballs(MongoSession session) : ITarballTable
{
    private const int AtOnce = 16;
    private const int TriesMax = 1000;
    private readonly MongoAccesses _accesses = new(session);

    /// <inheritdoc/>
    public async ValueTask<TarballRow?> FindTarballAsync(PackageName package, string file, CancellationToken cancellationToken) => TarballDocument.Read(await ReadAsync(package, file, cancellationToken));

    /// <inheritdoc/>
    public ValueTask<bool> PutTarballAsync(TarballRow row, CancellationToken cancellationToken) => ChangeAsync(
        row.Package,
        row.File,
        stored => stored is { State: TarballState.Held, Damage: null } && stored.Sha512 != row.Sha512
            ? null
            : row with { VerifiedAt = row.VerifiedAt.Truncated(), LastServedAt = Later(row.LastServedAt.Truncated(), stored?.LastServedAt) },
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask StampServedAsync(IReadOnlyList<TarballServed> served, CancellationToken cancellationToken) => await AllAsync(
        served,
        stamp => ChangeAsync(stamp.Package, stamp.File, stored => stored is { Damage: null } ? stored with { LastServedAt = Later(stored.LastServedAt, stamp.At.Truncated()) } : null, cancellationToken));

    /// <inheritdoc/>
    public async ValueTask StampVerifiedAsync(IReadOnlyList<TarballVerified> verified, CancellationToken cancellationToken) => await AllAsync(
        verified,
        stamp => ChangeAsync(
            stamp.Package,
            stamp.File,
            stored => stored is { State: TarballState.Held, Damage: null } && stored.Sha512 == stamp.Sha512
                ? stored with { VerifiedAt = stamp.At is { } moment ? Later(stored.VerifiedAt, moment.Truncated()) : null }
                : null,
            cancellationToken));

    /// <inheritdoc/>
    public async ValueTask<bool> ForgetTarballAsync(TarballRow row, CancellationToken cancellationToken)
    {
        var stored = await ReadAsync(row.Package, row.File, cancellationToken);
        if (TarballDocument.Read(stored) is not { State: TarballState.Held, Damage: null } held || held != row)
        {
            return false;
        }

        var note = Guid.NewGuid().ToString("N");
        var gone = new BsonDocument("$set", new BsonDocument { ["gone"] = true, ["uncounted"] = true, ["commit"] = note });
        gone["$unset"] = new BsonDocument("sha512", "");
        var result = await session.RunAsync(TarballDocument.Collection, (tarballs, token) => tarballs.UpdateOneAsync(SameAs(stored!), gone, null, token), cancellationToken);
        return result.MatchedCount == 1 || (await ReadAsync(row.Package, row.File, cancellationToken))?.Text("commit") == note;
    }

    /// <inheritdoc/>
    public async ValueTask<bool> IsReferencedAsync(Digest sha512, CancellationToken cancellationToken)
    {
        var filter = new BsonDocument { ["sha512"] = sha512.Hex, ["state"] = (int)TarballState.Held };
        return await session.RunAsync(TarballDocument.Collection, (tarballs, token) => tarballs.Find(filter).Project(new BsonDocument("_id", 1)).Limit(1).AnyAsync(token), cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<TarballRow> ListTarballsAsync(PackageName? package, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // An _id is compared field by field: by package, then by file.
        await foreach (var stored in ListAsync(package, cancellationToken))
        {
            if (TarballDocument.Read(stored) is { } row)
            {
                yield return row;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask RecordAccessAsync(IReadOnlyList<TarballAccess> accesses, CancellationToken cancellationToken) => _accesses.RecordAsync(accesses, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<TarballAccess> ListAccessAsync(PackageName package, string? file, CancellationToken cancellationToken) => _accesses.ListAsync(package, file, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<int> ForgetAccessAsync(DateOnly day, CancellationToken cancellationToken) => _accesses.ForgetAsync(day, cancellationToken);

    private IAsyncEnumerable<BsonDocument> ListAsync(PackageName? package, CancellationToken cancellationToken) => package is { } one
        ? MongoPages.ListAsync(session, TarballDocument.Collection, MongoPages.Beginning(new BsonDocument("package", one.Value)), null, cancellationToken)
        : MongoPages.ListAsync(session, TarballDocument.Collection, null, null, cancellationToken);

    private ValueTask<BsonDocument?> ReadAsync(PackageName package, string file, CancellationToken cancellationToken) => session.RunAsync(
        TarballDocument.Collection,
        (tarballs, token) => tarballs.Find(new BsonDocument("_id", TarballDocument.IdOf(package, file))).FirstOrDefaultAsync(token)!,
        cancellationToken)!;

    private static BsonDocument SameAs(BsonDocument stored) => new() { ["_id"] = stored["_id"], ["commit"] = stored.GetValue("commit", BsonNull.Value), ["tallied"] = stored.GetValue("tallied", BsonNull.Value) };

    /// <summary>Changes a row, and tries again if another writer was faster. False if the change finds nothing to do.</summary>
    private async ValueTask<bool> ChangeAsync(PackageName package, string file, Func<TarballRow?, TarballRow?> change, CancellationToken cancellationToken)
    {
        for (var tries = 0; tries < TriesMax; tries++)
        {
            var stored = await ReadAsync(package, file, cancellationToken);
            if (change(TarballDocument.Read(stored)) is not { } row)
            {
                return false;
            }

            var note = Guid.NewGuid().ToString("N");
            if (await WriteAsync(stored, TarballDocument.Write(row, stored, note), cancellationToken) || (await ReadAsync(package, file, cancellationToken))?.Text("commit") == note)
            {
                return true;
            }
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"The tarball {file} of {package} at {session.Location} is changed by others all the time; try again.", isTransient: true);
    }

    private async ValueTask<bool> WriteAsync(BsonDocument? before, BsonDocument after, CancellationToken cancellationToken)
    {
        try
        {
            return await session.RunAsync(
                TarballDocument.Collection,
                async (tarballs, token) =>
                {
                    if (before is null)
                    {
                        await tarballs.InsertOneAsync(after, null, token);
                        return true;
                    }

                    return (await tarballs.ReplaceOneAsync(SameAs(before), after, (ReplaceOptions?)null, token)).MatchedCount == 1;
                },
                cancellationToken);
        }
        catch (MongoException e) when (MongoFaults.IsDuplicate(e))
        {
            return false;
        }
    }

    private static async ValueTask AllAsync<T>(IReadOnlyList<T> stamps, Func<T, ValueTask<bool>> stamp)
    {
        foreach (var few in stamps.Chunk(AtOnce))
        {
            await Task.WhenAll(few.Select(one => stamp(one).AsTask()));
        }
    }

    private static DateTimeOffset? Later(DateTimeOffset? left, DateTimeOffset? right) => left is null || right > left ? right : left;
}
