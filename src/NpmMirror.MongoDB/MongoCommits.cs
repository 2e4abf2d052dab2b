using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>
/// The write of a package: what is long is sent first, in pieces that nothing names; then one document is written if its generation is still the expected one, and it
/// carries everything, the events too. So it is atomic on every server, with transactions or without. Versions and log follow.
/// </summary>
internal sealed class MongoCommits(MongoSession session, Chunks chunks, MongoVersions versions, MongoNumbering numbering) : IDisposable
{
    private const int LongBytes = 4 * 1024 * 1024;

    // Of an update: the document's bytes are moved when it is archived.
    private static readonly BsonDocument CommitFields = new() { ["index.inline"] = 0, ["pending.bytes.inline"] = 0, ["keywords"] = 0, ["maintainers"] = 0, ["distTags"] = 0 };

    // Long documents are taken apart one at a time.
    private readonly SemaphoreSlim _longOnes = new(1, 1);

    /// <summary>See <see cref="IPackageTable.CommitAsync"/>.</summary>
    internal async ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        if (commit.Document is not { RawSizeBytes: > LongBytes })
        {
            return await CommitOnceAsync(commit, cancellationToken);
        }

        await _longOnes.WaitAsync(cancellationToken);
        try
        {
            return await CommitOnceAsync(commit, cancellationToken);
        }
        finally
        {
            _longOnes.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _longOnes.Dispose();

    private async ValueTask<CommitResult> CommitOnceAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        var before = commit.ExpectedGeneration == 0 && commit.Document is not null ? null : await ReadAsync(commit.Name, cancellationToken);
        if ((before?.Generation ?? 0) != commit.ExpectedGeneration)
        {
            return new CommitResult(false, before?.Generation ?? 0, before?.LastPosition ?? LogPosition.Zero);
        }

        if (commit.Document is null && before is null)
        {
            throw new ArgumentException($"The first commit of {commit.Name} has no document.", nameof(commit));
        }

        var note = Guid.NewGuid().ToString("N");
        var columns = commit.Document is { } document ? MongoVersions.Read(commit.Name, document, commit.Index.Span) : null;
        var change = await ShapeAsync(commit, before, note, columns, cancellationToken);
        if (!await WriteAsync(commit, change, cancellationToken))
        {
            var now = await ReadAsync(commit.Name, cancellationToken);

            // The answer of a write that was made may have been lost.
            if (now?.Commit != note)
            {
                await chunks.DropAsync(change.Sent, cancellationToken);
                return new CommitResult(false, now?.Generation ?? 0, now?.LastPosition ?? LogPosition.Zero);
            }
        }

        return new CommitResult(true, commit.ExpectedGeneration + 1, await FinishAsync(commit, before, change, columns));
    }

    internal async ValueTask<PackageDocument?> ReadAsync(PackageName name, CancellationToken cancellationToken) => PackageDocument.Of(await session.RunAsync(
        PackageDocument.Collection,
        (packages, token) => packages.Find(new BsonDocument("_id", name.Value)).Project(CommitFields).FirstOrDefaultAsync(token)!,
        cancellationToken));

    private async ValueTask<Change> ShapeAsync(PackageCommit commit, PackageDocument? before, string note, ReadColumns? columns, CancellationToken cancellationToken)
    {
        var (owner, generation) = (PackageDocument.OwnerOf(commit.Name), commit.ExpectedGeneration + 1);
        var isContentChanged = commit.Document is not null || before!.IsRemoved != commit.Facts.IsRemoved;
        var fields = new List<(string Name, BsonValue? Value)>(PackageDocument.Write(commit.Facts))
        {
            ("generation", generation),
            ("commit", note),
            ("unsettled", true),
            ("uncounted", true),
            ("pinned", commit.Document is null && (before!.IsPinned || commit.ArchivesPrevious)),
        };
        if (isContentChanged)
        {
            fields.Add(("content", note));
        }

        var sent = new List<BsonDocument>();
        if (commit.Document is { } document)
        {
            var (bytes, index) = (await chunks.WriteAsync(owner, generation, document.Bytes, cancellationToken), await chunks.WriteAsync(owner, generation, commit.Index, cancellationToken));
            sent.AddRange([bytes, index]);
            fields.AddRange([("document", PackageDocument.Write(document, bytes)), ("index", index), .. PackageDocument.Write(columns?.Package)]);
        }

        BsonDocument? pending = null;
        if (commit.Events.Count > 0)
        {
            var bytes = await chunks.WriteAsync(owner, generation, PendingEvents.Write(commit.Events), cancellationToken);
            sent.Add(bytes);
            pending = new BsonDocument { ["generation"] = generation, ["bytes"] = bytes };
        }

        var isArchived = commit.Document is not null && before?.Document is not null && (commit.ArchivesPrevious || before.IsPinned)
            && !before.IsInArchive(before.Document.Text("sha256"));
        return new Change(note, fields, pending, isArchived ? await ArchiveAsync(before!.Document!, owner, generation, sent, cancellationToken) : null, sent);
    }

    /// <summary>The document as it is archived: a row has room for thousands of them, but not for their bytes.</summary>
    internal async ValueTask<BsonDocument> ArchiveAsync(BsonDocument document, string owner, long generation, List<BsonDocument> sent, CancellationToken cancellationToken)
    {
        if (document.Part("bytes") is not { } value || !value.Contains("inline") || await chunks.ReadAsync(value, cancellationToken) is not { } bytes)
        {
            return document;
        }

        var moved = await chunks.WriteAsync(owner, generation, bytes, cancellationToken, inlineMaxBytes: 0);
        sent.Add(moved);
        return new BsonDocument(document).Set("bytes", moved);
    }

    private async ValueTask<bool> WriteAsync(PackageCommit commit, Change change, CancellationToken cancellationToken)
    {
        var name = commit.Name.Value;
        if (commit.ExpectedGeneration == 0)
        {
            var row = new BsonDocument { ["_id"] = name, ["lastPosition"] = BsonValues.Number(0), ["round"] = BsonValues.Number(0), ["tallied"] = BsonValues.Number(0) };
            foreach (var (field, value) in change.Fields)
            {
                row.With(field, value);
            }

            if (change.Pending is not null)
            {
                row["pending"] = new BsonArray { change.Pending };
            }

            try
            {
                await session.RunAsync(PackageDocument.Collection, async (packages, token) => { await packages.InsertOneAsync(row, null, token); return true; }, cancellationToken);
                return true;
            }
            catch (MongoException e) when (MongoFaults.IsDuplicate(e))
            {
                return false;
            }
        }

        var update = new BsonDocument("$set", new BsonDocument(change.Fields.Where(field => field.Value is not null).Select(field => new BsonElement(field.Name, field.Value))));
        var unset = new BsonDocument(change.Fields.Where(field => field.Value is null).Select(field => new BsonElement(field.Name, "")));
        var push = new BsonDocument().With("pending", change.Pending).With("archive", change.Archived);
        update.With("$unset", unset.ElementCount > 0 ? unset : null).With("$push", push.ElementCount > 0 ? push : null);
        var filter = new BsonDocument { ["_id"] = name, ["generation"] = commit.ExpectedGeneration };
        var result = await session.RunAsync(PackageDocument.Collection, (packages, token) => packages.UpdateOneAsync(filter, update, null, token), cancellationToken);
        return result.MatchedCount == 1;
    }

    // It is written: whatever happens now, versions and log will follow.
    private async ValueTask<LogPosition> FinishAsync(PackageCommit commit, PackageDocument? before, Change change, ReadColumns? columns)
    {
        var last = before?.LastPosition ?? LogPosition.Zero;
        try
        {
            if (before is not null)
            {
                var unneeded = commit.Document is null ? [] : change.Archived is null ? (BsonDocument?[])[before.Document?.Part("bytes"), before.Index] : [before.Index];
                var kept = change.Sent.Concat(before.Blobs.Except(unneeded));
                await chunks.SweepAsync(PackageDocument.OwnerOf(commit.Name), commit.ExpectedGeneration + 1, kept, CancellationToken.None);
            }

            if (commit.Document is not null)
            {
                await versions.WriteAsync(commit.Name, commit.ExpectedGeneration + 1, commit.Facts.IsRemoved ? null : columns, CancellationToken.None);
            }

            var position = await numbering.SettleAsync(commit.Name, commit.Document is not null ? change.Note : null);
            return commit.Events.Count > 0 ? position : last;
        }
        catch (Exception e) when (e is MirrorException or ObjectDisposedException)
        {
            return last;
        }
    }

    /// <summary>A write of a package.</summary>
    /// <param name="Note">Its own name.</param>
    /// <param name="Fields">Its fields; null for those to take away.</param>
    /// <param name="Pending">Its events; null for none.</param>
    /// <param name="Archived">The document of before, if it is archived.</param>
    /// <param name="Sent">What was sent for it.</param>
    private sealed record Change(string Note, IReadOnlyList<(string Name, BsonValue? Value)> Fields, BsonDocument? Pending, BsonDocument? Archived, IReadOnlyList<BsonDocument> Sent);
}
