using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>
/// The write of a package: documents are sent first, to keys without readers; then one step on the server compares the generation and puts everything into its
/// place; then lists and log follow.
/// </summary>
internal sealed class RedisCommits(RedisSession session, RedisNumbering numbering)
{
    // Below this, compressing is not worth it.
    private const int ShortBytes = 1024;

    // A document that was sent and never committed expires.
    private static readonly TimeSpan SentMax = TimeSpan.FromMinutes(10);

    /// <summary>See <see cref="IPackageTable.CommitAsync"/>.</summary>
    internal async ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        var keys = session.Keys.Of(commit.Name);
        var row = commit.ExpectedGeneration == 0 && commit.Document is not null
            ? new RedisRow(commit.Name, new RedisValue[RedisRow.Fields.Length])
            : new RedisRow(commit.Name, await session.RunAsync(database => database.HashGetAsync(keys.Row, RedisRow.CommitFields, RedisSession.Flags), cancellationToken));
        if (row.Generation != commit.ExpectedGeneration)
        {
            return new CommitResult(false, row.Generation, row.LastPosition);
        }

        if (commit.Document is null && !row.IsThere)
        {
            throw new ArgumentException($"The first commit of {commit.Name} has no document.", nameof(commit));
        }

        var note = Guid.NewGuid().ToString("N");
        var sent = await SendAsync(commit, row, keys, note, cancellationToken);
        var breaks = session.Breaks;
        var answer = await WriteAsync(commit, sent, keys, note, cancellationToken);
        var (outcome, generation, last) = ((int)answer[0], (long)answer[1], new LogPosition((long)answer[2]));
        if (outcome != 1)
        {
            // The note is of no package that was written.
            numbering.SettleLater(commit.Name, note);
            await TakeTombstoneBackAsync(commit, cancellationToken);
            return outcome == 0
                ? new CommitResult(false, generation, last)
                : throw new MirrorException(MirrorFault.StoreUnavailable, $"{session.Location} lost a document between its sending and its commit; it is sent again at the next try.", isTransient: true);
        }

        try
        {
            await session.ConfirmAsync([keys.Row], breaks, cancellationToken);
        }
        catch
        {
            numbering.SettleLater(commit.Name, note);
            throw;
        }

        return new CommitResult(true, generation, await SettleAsync(commit, note, last));
    }

    // It is written: whatever happens now, lists and log will follow.
    private async ValueTask<LogPosition> SettleAsync(PackageCommit commit, string note, LogPosition last)
    {
        try
        {
            var position = await numbering.SettleAsync(commit.Name, note, CancellationToken.None);
            return commit.Events.Count > 0 ? position : last;
        }
        catch (Exception e) when (e is MirrorException or ObjectDisposedException)
        {
            return last;
        }
    }

    private async Task<SentDocuments> SendAsync(PackageCommit commit, RedisRow row, PackageKeys keys, string note, CancellationToken cancellationToken)
    {
        var document = commit.Document is { } given ? Shape(commit.Name, given) : null;
        var isTombstoned = commit.Facts.IsRemoved && !session.Address.IsCompact;
        var isArchived = commit.Document is not null && row.IsThere && (commit.ArchivesPrevious || row.IsPinned);
        var isCompressed = isArchived && row.Codec == DocumentCodec.Identity && row.RawSizeBytes >= ShortBytes;
        var stored = isCompressed || (isTombstoned && document is null)
            ? (byte[]?)await session.RunAsync(database => database.StringGetAsync(row.IsInModule ? keys.Module : keys.Document, RedisSession.Flags), cancellationToken)
            : null;
        var archive = isCompressed && stored is { } previous ? Compress(commit.Name, row, previous) : null;
        var tombstone = !isTombstoned ? null : document is null ? stored : document.Codec == DocumentCodec.Identity ? document.Bytes.ToArray() : null;
        await session.RunAsync(
            async database =>
            {
                // The tombstone first: the package is under one of its two classic keys at any moment.
                var sending = new List<Task> { database.HashSetAsync(session.Keys.Unsettled, commit.Name.Value, note, When.Always, RedisSession.Flags) };
                if (tombstone is not null)
                {
                    sending.Add(database.StringSetAsync(session.Keys.Tombstone(commit.Name), tombstone, flags: RedisSession.Flags));
                }

                if (document is not null)
                {
                    sending.Add(database.StringSetAsync(keys.Sent(note, "document"), document.Bytes, SentMax, When.Always, RedisSession.Flags));
                }

                if (archive is not null)
                {
                    sending.Add(database.StringSetAsync(keys.Sent(note, "archive"), archive.Bytes, SentMax, When.Always, RedisSession.Flags));
                }

                await Task.WhenAll(sending);
                return true;
            },
            cancellationToken);
        return new SentDocuments(
            document,
            !isArchived ? "" : row.Codec == DocumentCodec.Purged ? "purged" : archive is not null ? "sent" : "moved",
            row.Sha256,
            new ArchivedForm(archive?.Codec ?? row.Codec, row.RawSizeBytes));
    }

    private async ValueTask<RedisResult[]> WriteAsync(PackageCommit commit, SentDocuments sent, PackageKeys keys, string note, CancellationToken cancellationToken)
    {
        var document = sent.Document;
        RedisKey[] places = [keys.Row, keys.Module, keys.Document, keys.Pending, keys.Sent(note, "document"), keys.Archived, keys.Archive(sent.ArchivedSha256), keys.Sent(note, "archive")];
        RedisValue[] values =
        [
            commit.ExpectedGeneration,
            note,
            FactsText.Write(commit.Facts),
            document is not null,
            !commit.Facts.IsRemoved && !session.Address.IsCompact,
            (int)(document?.Codec ?? default),
            document?.RawSizeBytes ?? 0,
            document?.Sha256.Hex ?? "",
            commit.Index.ToArray(),
            commit.ArchivesPrevious,
            sent.ArchivedHow,
            sent.ArchivedSha256,
            sent.ArchivedForm.ToString(),
            .. commit.Events.Select(pending => (RedisValue)EventText.Write(commit.ExpectedGeneration + 1, pending)),
        ];
        return (RedisResult[])(await session.RunAsync(RedisScripts.Commit, places, values, cancellationToken))!;
    }

    // Another writer was faster, and did not remove the package.
    private async ValueTask TakeTombstoneBackAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        if (!commit.Facts.IsRemoved || session.Address.IsCompact)
        {
            return;
        }

        var fields = await session.RunAsync(database => database.HashGetAsync(session.Keys.Of(commit.Name).Row, RedisRow.ListFields, RedisSession.Flags), cancellationToken);
        if (new RedisRow(commit.Name, [.. fields, ""]).ReadFacts() is { IsRemoved: false })
        {
            await session.RunAsync(database => database.KeyDeleteAsync(session.Keys.Tombstone(commit.Name), RedisSession.Flags), cancellationToken);
        }
    }

    private StoredDocument Shape(PackageName name, StoredDocument document)
    {
        try
        {
            return session.Address.IsCompact ? document : document.As(DocumentCodec.Identity, name);
        }
        catch (MirrorException e) when (e.Fault == MirrorFault.StoreDamaged)
        {
            // It is kept as it came, and found when it is read.
            return document;
        }
    }

    private static StoredDocument? Compress(PackageName name, RedisRow row, byte[] bytes)
    {
        if (!Digest.TryFromHex(row.Sha256, out var sha256))
        {
            return null;
        }

        try
        {
            return new StoredDocument(DocumentCodec.Identity, bytes, row.RawSizeBytes, sha256).As(DocumentCodec.Zstandard, name);
        }
        catch (MirrorException e) when (e.Fault == MirrorFault.StoreDamaged)
        {
            return null;
        }
    }

    /// <summary>The document that was sent, and the way of the one before it into the archive.</summary>
    private sealed record SentDocuments(StoredDocument? Document, string ArchivedHow, string ArchivedSha256, ArchivedForm ArchivedForm);
}
