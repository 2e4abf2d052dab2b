using System.Runtime.CompilerServices;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>The packages, their documents and the archive.</summary>
internal sealed class MongoPackages(MongoSession session, Chunks chunks, MongoCommits commits, MongoPurge purges, MongoLog log) : IPackageTable
{
    // Rows with their indexes: some are long.
    private const int RowsMax = 64;
    private const int TriesMax = 5;

    /// <inheritdoc/>
    public async ValueTask<PackageRow?> FindAsync(PackageName name, CancellationToken cancellationToken)
    {
        var stored = await ReadAsync(name, PackageDocument.RowFields, cancellationToken);
        return stored is null ? null : await ToRowAsync(stored, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<StoredPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            if (await ReadAsync(name, new BsonDocument { ["archive"] = 0, ["pending"] = 0 }, cancellationToken) is not { } stored)
            {
                return null;
            }

            var (form, index) = (PackageDocument.ReadForm(stored.Document), await chunks.ReadAsync(stored.Index, cancellationToken));
            var bytes = form is null || form.Codec == DocumentCodec.Purged ? [] : await chunks.ReadAsync(stored.Document!.Part("bytes"), cancellationToken);
            var row = stored.Read(index);
            if (row.Damage is null && bytes is not null)
            {
                return new StoredPackage(row, form! with { Bytes = bytes });
            }

            // A commit may have come in between, and what was read is gone.
            var now = await ReadAsync(name, new BsonDocument("generation", 1), cancellationToken);
            if (now?.Generation == stored.Generation)
            {
                throw (row.Damage ?? stored.DamageOfDocument()).ToException();
            }

            if (tries == TriesMax)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"{name} at {session.Location} changes faster than it can be read; ask again.", isTransient: true);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<StoredDocument?> ReadArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            var stored = await ReadAsync(name, new BsonDocument { ["generation"] = 1, ["archive"] = 1, ["document"] = 1, ["pinned"] = 1 }, cancellationToken);

            // A pinned document is archived where it lies.
            var entry = stored?.Archive.FirstOrDefault(entry => entry.Text("sha256") == sha256.Hex) ?? (stored is { IsPinned: true } && stored.Document?.Text("sha256") == sha256.Hex ? stored.Document : null);
            if (entry is null)
            {
                return null;
            }

            var form = PackageDocument.ReadForm(entry);
            var bytes = form?.Codec == DocumentCodec.Purged ? [] : await chunks.ReadAsync(entry.Part("bytes"), cancellationToken);
            if (form is not null && bytes is not null)
            {
                return form with { Bytes = bytes };
            }

            if (tries == TriesMax || (await ReadAsync(name, new BsonDocument("generation", 1), cancellationToken))?.Generation == stored!.Generation)
            {
                throw new StoreDamage("archive", name.Value, "bytes", "nothing") { Package = name }.ToException();
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken) => commits.CommitAsync(commit, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<long?> PurgeAsync(PackagePurge purge, CancellationToken cancellationToken) => purges.RunAsync(purge, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageRow> ListAsync(PackageName? after, bool isRemoved, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var from = after is { } name ? new BsonDocument("$gt", name.Value) : null;
        await foreach (var stored in MongoPages.ListAsync(session, PackageDocument.Collection, from, PackageDocument.RowFields, cancellationToken, new BsonDocument("removed", isRemoved), RowsMax))
        {
            if (PackageDocument.Of(stored) is { } document)
            {
                yield return await ToRowAsync(document, cancellationToken);
            }
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageMark> ListMarksAsync(string from, bool isRemoved, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var fields = new BsonDocument { ["rev"] = 1, ["upstream"] = 1 };
        await foreach (var stored in MongoPages.ListAsync(session, PackageDocument.Collection, new BsonDocument("$gte", BsonValues.Text(from)), fields, cancellationToken, new BsonDocument("removed", isRemoved)))
        {
            if (PackageDocument.Of(stored) is { } document)
            {
                yield return new PackageMark(document.Name, stored.Text("rev"), stored.Text("upstream"));
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
            var filter = new BsonDocument("lastPosition", isDescending ? new BsonDocument { ["$gt"] = 0L, ["$lt"] = last } : new BsonDocument { ["$gt"] = last, ["$lte"] = head.Value });
            var page = await session.RunAsync(
                PackageDocument.Collection,
                (packages, token) => packages.Find(filter).Sort(new BsonDocument("lastPosition", isDescending ? -1 : 1)).Limit(RowsMax).Project(PackageDocument.RowFields).ToListAsync(token),
                cancellationToken);
            foreach (var document in page.Select(PackageDocument.Of).OfType<PackageDocument>())
            {
                yield return await ToRowAsync(document, cancellationToken);
            }

            if (page.Count < RowsMax)
            {
                yield break;
            }

            last = page[^1].Number("lastPosition") ?? 0;
        }
    }

    private async ValueTask<PackageRow> ToRowAsync(PackageDocument stored, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            var index = await chunks.ReadAsync(stored.Index, cancellationToken);
            if (index is not null || tries == TriesMax || await ReadAsync(stored.Name, PackageDocument.RowFields, cancellationToken) is not { } now || now.Generation == stored.Generation)
            {
                return stored.Read(index);
            }

            // A commit came in between, and the long index of before is gone.
            stored = now;
        }
    }

    private async ValueTask<PackageDocument?> ReadAsync(PackageName name, BsonDocument fields, CancellationToken cancellationToken) => PackageDocument.Of(await session.RunAsync(
        PackageDocument.Collection,
        (packages, token) => packages.Find(new BsonDocument("_id", name.Value)).Project(fields).FirstOrDefaultAsync(token)!,
        cancellationToken));
}
