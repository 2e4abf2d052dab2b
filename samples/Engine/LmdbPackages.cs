using NpmMirror;
using NpmMirror.Storage;

namespace Engine;

/// <summary>The packages: those held and the graveyard are two tables, so that each is listed without a pass over the other.</summary>
internal sealed class LmdbPackages(LmdbSession session) : IPackageTable
{
    public ValueTask<PackageRow?> FindAsync(PackageName name, CancellationToken cancellationToken) =>
        session.ReadAsync(transaction => Find(transaction, name) is { } stored ? WithIndex(transaction, stored) : null, cancellationToken);

    public ValueTask<StoredPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken) =>
        session.ReadAsync(transaction => Find(transaction, name) is { } stored ? new StoredPackage(WithIndex(transaction, stored), DocumentOf(transaction, stored)) : null, cancellationToken);

    public ValueTask<StoredDocument?> ReadArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken) => session.ReadAsync(
        transaction =>
        {
            var key = ArchiveKey(name, sha256);
            return transaction.FindRow<Archived>(Table.Archive, key) is { } archived ? new StoredDocument(archived.Codec, transaction.Find(Table.ArchiveBytes, key), archived.RawSizeBytes, sha256)
                : Find(transaction, name) is { IsPinned: true } stored && stored.Row.DocumentSha256 == sha256 ? DocumentOf(transaction, stored)
                : null;
        },
        cancellationToken);

    public async ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        var result = await session.WriteAsync(transaction => Commit(transaction, commit), cancellationToken, (commit.Document?.Bytes.Length ?? 0) + commit.Index.Length);
        session.TellHead(result.LastPosition);
        return result;
    }

    public ValueTask<long?> PurgeAsync(PackagePurge purge, CancellationToken cancellationToken) => session.WriteAsync(transaction => Purge(transaction, purge), cancellationToken);

    public IAsyncEnumerable<PackageRow> ListAsync(PackageName? after, bool isRemoved, CancellationToken cancellationToken) =>
        ListAsync(after is { } name ? Keys.After(Keys.Of(name)) : [], isRemoved, WithIndex, cancellationToken);

    public IAsyncEnumerable<PackageMark> ListMarksAsync(string from, bool isRemoved, CancellationToken cancellationToken) =>
        ListAsync(Keys.Of(from), isRemoved, (_, stored) => new PackageMark(stored.Row.Name, stored.Row.Facts.Rev, stored.Row.Facts.Upstream), cancellationToken);

    public async IAsyncEnumerable<PackageRow> ListChangesAsync(LogPosition from, bool isDescending, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A package that changes meanwhile moves past this head, and is not listed twice.
        var head = (await session.ReadAsync(LmdbLog.ReadHead, cancellationToken)).Position.Value;
        var rows = isDescending
            ? session.ListAsync(Keys.Of(Math.Min(from.Value, head + 1)), (transaction, next) => transaction.Before(Table.Changes, next).Select(one => (one.Key, RowOf(transaction, one.Value))), cancellationToken)
            : session.ListAsync(
                Keys.Of(Math.Max(from.Value, 0) + 1),
                (transaction, next) => transaction.From(Table.Changes, next).TakeWhile(one => one.Key.AsSpan().SequenceCompareTo(Keys.Of(head)) <= 0).Select(one => (Keys.After(one.Key), RowOf(transaction, one.Value))),
                cancellationToken);
        await foreach (var row in rows)
        {
            yield return row;
        }
    }

    private static CommitResult Commit(LmdbTransaction transaction, PackageCommit commit)
    {
        var previous = Find(transaction, commit.Name);
        var (generation, last) = (previous?.Row.Generation ?? 0, previous?.Row.LastPosition ?? LogPosition.Zero);
        if (generation != commit.ExpectedGeneration)
        {
            return new CommitResult(false, generation, last);
        }

        if ((commit.Document ?? (previous is null ? null : DocumentOf(transaction, previous, withBytes: false))) is not { } document)
        {
            throw new ArgumentException($"The first commit of {commit.Name} has no document.", nameof(commit));
        }

        var isPinned = previous is { IsPinned: true } || commit.ArchivesPrevious;
        if (commit.Document is not null)
        {
            if (previous is not null && isPinned)
            {
                Archive(transaction, commit.Name, DocumentOf(transaction, previous));
            }

            isPinned = false;
            transaction.Put(Table.Documents, Keys.Of(commit.Name), document.Bytes.Span);
            transaction.Put(Table.Indexes, Keys.Of(commit.Name), commit.Index.Span);
        }

        var row = new PackageRow
        {
            Name = commit.Name,
            Generation = generation + 1,
            Facts = commit.Facts,
            LastPosition = LmdbLog.Append(transaction, commit) ?? last,
            Index = default,
            DocumentSha256 = document.Sha256,
            RawSizeBytes = document.RawSizeBytes,
        };
        Put(transaction, previous, new Stored(row, document.Codec, isPinned));
        return new CommitResult(true, row.Generation, row.LastPosition);
    }

    private static long? Purge(LmdbTransaction transaction, PackagePurge purge)
    {
        if (Find(transaction, purge.Package) is not { } stored || stored.Row.Generation != purge.ExpectedGeneration)
        {
            return null;
        }

        var bytes = LmdbLog.Purge(transaction, purge);
        foreach (var sha256 in purge.Documents)
        {
            var key = ArchiveKey(purge.Package, sha256);
            if (transaction.FindRow<Archived>(Table.Archive, key) is { } archived)
            {
                bytes += transaction.Find(Table.ArchiveBytes, key)!.Length;
                Archive(transaction, purge.Package, new StoredDocument(DocumentCodec.Purged, default, archived.RawSizeBytes, sha256));
            }
        }

        var isCurrent = purge.Documents.Contains(stored.Row.DocumentSha256);
        if (isCurrent)
        {
            bytes += DocumentOf(transaction, stored).Bytes.Length;
            transaction.Put(Table.Documents, Keys.Of(purge.Package), []);
        }

        Put(transaction, stored, stored with { Row = stored.Row with { Generation = stored.Row.Generation + 1 }, Codec = isCurrent ? DocumentCodec.Purged : stored.Codec });
        return bytes;
    }

    private static void Put(LmdbTransaction transaction, Stored? previous, Stored stored)
    {
        var (row, key) = (stored.Row, Keys.Of(stored.Row.Name));
        var counts = transaction.Counts;
        if (previous is not null)
        {
            transaction.Remove(TableOf(previous.Row.Facts.IsRemoved), key);
            counts = Counted(counts, previous.Row, -1);
            if (previous.Row.LastPosition.Value > 0)
            {
                transaction.Remove(Table.Changes, Keys.Of(previous.Row.LastPosition.Value));
            }
        }

        transaction.PutRow(TableOf(row.Facts.IsRemoved), key, stored);
        transaction.Counts = Counted(counts, row, 1);
        if (row.LastPosition.Value > 0)
        {
            transaction.Put(Table.Changes, Keys.Of(row.LastPosition.Value), key);
        }
    }

    private static StoreCounts Counted(StoreCounts counts, PackageRow row, int by) => row.Facts.IsRemoved
        ? counts with { Removed = counts.Removed + by, RawBytes = counts.RawBytes + (by * (long)row.RawSizeBytes) }
        : counts with { Packages = counts.Packages + by, RawBytes = counts.RawBytes + (by * (long)row.RawSizeBytes) };

    private static void Archive(LmdbTransaction transaction, PackageName name, StoredDocument document)
    {
        transaction.PutRow(Table.Archive, ArchiveKey(name, document.Sha256), new Archived(document.Codec, document.RawSizeBytes));
        transaction.Put(Table.ArchiveBytes, ArchiveKey(name, document.Sha256), document.Bytes.Span);
    }

    private static Stored? Find(LmdbTransaction transaction, PackageName name) =>
        transaction.FindRow<Stored>(Table.Packages, Keys.Of(name)) ?? transaction.FindRow<Stored>(Table.Graveyard, Keys.Of(name));

    private static PackageRow RowOf(LmdbTransaction transaction, byte[] name) =>
        WithIndex(transaction, LmdbTransaction.Decode<Stored>(transaction.Find(Table.Packages, name) ?? transaction.Find(Table.Graveyard, name)!));

    private static PackageRow WithIndex(LmdbTransaction transaction, Stored stored) => stored.Row with { Index = transaction.Find(Table.Indexes, Keys.Of(stored.Row.Name)) };

    private static StoredDocument DocumentOf(LmdbTransaction transaction, Stored stored, bool withBytes = true) =>
        new(stored.Codec, withBytes ? transaction.Find(Table.Documents, Keys.Of(stored.Row.Name)) : default, stored.Row.RawSizeBytes, stored.Row.DocumentSha256);

    private static Table TableOf(bool isRemoved) => isRemoved ? Table.Graveyard : Table.Packages;

    private static byte[] ArchiveKey(PackageName name, Digest sha256) => Keys.OfAll(name.Value, sha256.Hex);

    private IAsyncEnumerable<T> ListAsync<T>(byte[] from, bool isRemoved, Func<LmdbTransaction, Stored, T> make, CancellationToken cancellationToken) => session.ListAsync(
        from,
        (transaction, next) => transaction.From(TableOf(isRemoved), next).Select(one => (Keys.After(one.Key), make(transaction, LmdbTransaction.Decode<Stored>(one.Value)))),
        cancellationToken);

    /// <param name="Row">The row, without its index.</param>
    /// <param name="Codec">How its document is compressed.</param>
    /// <param name="IsPinned">Events point into the document: it goes to the archive when another takes its place.</param>
    private sealed record Stored(PackageRow Row, DocumentCodec Codec, bool IsPinned);

    private sealed record Archived(DocumentCodec Codec, int RawSizeBytes);
}
