using NpmMirror.Log;

namespace NpmMirror.Storage;

/// <summary>
/// The store of packuments, the log, the queue and the tarball table. The contract promises only what a Redis Cluster and a MongoDB
/// without transactions can keep too: a commit is atomic for one package; everything else is idempotent and may be repeated.
/// </summary>
/// <remarks>
/// Safe for concurrent use, also by several processes. Every method throws <see cref="MirrorException"/> with
/// <see cref="MirrorFault.StoreUnavailable"/> or <see cref="MirrorFault.StoreReadOnly"/> where the engine cannot do its work, and
/// <see cref="ObjectDisposedException"/> after disposal. Times are kept to the millisecond, in UTC. Bytes passed in are copied or written
/// before the call ends. A listing need not be of one moment: a row that changes meanwhile may come as before or as after, but never twice.
/// <c>NpmMirror.Conformance</c> holds the contract as tests.
/// </remarks>
public interface IMetadataStore : IAsyncDisposable
{
    /// <summary>The packages and their documents.</summary>
    IPackageTable Packages { get; }

    /// <summary>The log.</summary>
    ILogTable Log { get; }

    /// <summary>The queue of packages to look at.</summary>
    IQueueTable Queue { get; }

    /// <summary>The rows of tarballs.</summary>
    ITarballTable Tarballs { get; }

    /// <summary>The mirror's own notes.</summary>
    INoteTable Notes { get; }

    /// <summary>Documents of the upstream beside the packuments.</summary>
    IKeptTable Kept { get; }

    /// <summary>Leases.</summary>
    ILeaseTable Leases { get; }

    /// <summary>Copies of the whole store into one file; null if the engine's server has its own tools for that.</summary>
    IStoreBackup? Backup => null;

    /// <summary>Takes over the rows of another store as they are, for copies of whole mirrors; null for an engine that cannot.</summary>
    IImportTable? Import => null;

    /// <summary>Packuments that an earlier tool left in the store's place; null for an engine that has no such place.</summary>
    IEarlierDocuments? Earlier => null;

    /// <summary>Where the store is, for messages; without secrets.</summary>
    string Location { get; }

    /// <summary>Whether processes on other machines can open this store too, so that one of them has to lead: see <see cref="ILeaseTable"/>.</summary>
    bool IsShared => false;

    /// <summary>Opens, creates or migrates the store. Called once, before anything else.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreSchema"/>: written by a newer program.</exception>
    Task OpenAsync(CancellationToken cancellationToken);

    /// <summary>Whether the store can be written now: asks the engine by a real, harmless write. Null when it can, else the reason in one sentence.</summary>
    ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken);

    /// <summary>Counts for <c>status</c>. They may lag a little, and need no pass over all rows.</summary>
    ValueTask<StoreCounts> CountAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Rows that no other listing gives, because their key is damaged, for example no package's name. Other damaged rows are listed with
    /// their <see cref="PackageRow.Damage"/>. Only <c>verify</c> calls it.
    /// </summary>
    IAsyncEnumerable<StoreDamage> ListUnlistedAsync(CancellationToken cancellationToken) => AsyncEnumerable.Empty<StoreDamage>();
}

/// <summary>The contents of a store, in numbers.</summary>
/// <param name="Packages">Packages held, without the graveyard.</param>
/// <param name="Removed">Packages in the graveyard.</param>
/// <param name="RawBytes">Raw bytes of all current documents, the graveyard's too.</param>
/// <param name="Tarballs">Tarballs held.</param>
/// <param name="TarballBytes">Their bytes.</param>
/// <param name="Queued">Items in the queue.</param>
public sealed record StoreCounts(long Packages, long Removed, long RawBytes, long Tarballs, long TarballBytes, long Queued);

/// <summary>The packages: one row each, its document, and the archive of earlier documents that events point into.</summary>
public interface IPackageTable
{
    /// <summary>The row without its document, or null for a package never held. Rows of removed packages are found too.</summary>
    ValueTask<PackageRow?> FindAsync(PackageName name, CancellationToken cancellationToken);

    /// <summary>The row and its document, of one moment; null for a package never held.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: the row is damaged, or its document is not there.</exception>
    ValueTask<StoredPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken);

    /// <summary>A document of a package that a commit archived (see <see cref="PackageCommit.ArchivesPrevious"/>), or null.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: its row is damaged.</exception>
    ValueTask<StoredDocument?> ReadArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken);

    /// <summary>
    /// Writes one package atomically if its row still has <see cref="PackageCommit.ExpectedGeneration"/>; durable when it returns.
    /// The commit's events are in the log when it returns (engines with transactions) or soon after (<see cref="ILogTable.NumberEventsAsync"/>).
    /// </summary>
    ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken);

    /// <summary>
    /// Drops the content of a package's past for good: the payloads of log rows and the bytes of documents, archived or current (see <see cref="DocumentCodec.Purged"/>).
    /// Digests, sizes and the rest stay, so that the chain still verifies. The row counts as written. Returns the number of stored bytes that were dropped; null, and
    /// nothing changes, if its generation is another. Missing and already purged parts are skipped.
    /// </summary>
    ValueTask<long?> PurgeAsync(PackagePurge purge, CancellationToken cancellationToken);

    /// <summary>Rows by ascending name (UTF-8 bytes), streamed: those held, or with <paramref name="isRemoved"/> the graveyard.</summary>
    IAsyncEnumerable<PackageRow> ListAsync(PackageName? after, bool isRemoved, CancellationToken cancellationToken);

    /// <summary>
    /// As <see cref="ListAsync"/>, but only the values of each row that a list of everything has: for millions of packages, at a small part of the cost.
    /// Begins with <paramref name="from"/>, which may be any text; empty: with the first.
    /// </summary>
    IAsyncEnumerable<PackageMark> ListMarksAsync(string from, bool isRemoved, CancellationToken cancellationToken);

    /// <summary>
    /// Rows, removed ones too, by their newest log position: one row a package, streamed from after (or, descending, before)
    /// <paramref name="from"/> to the head of this moment. A package that changes while it runs may be left out: its row is after that head.
    /// </summary>
    IAsyncEnumerable<PackageRow> ListChangesAsync(LogPosition from, bool isDescending, CancellationToken cancellationToken);
}

/// <summary>The log: dense positions, one numberer at a time, never trimmed.</summary>
public interface ILogTable
{
    /// <summary>The newest row's position and hash; zero and <see cref="ChainHash.Genesis"/> for an empty log.</summary>
    ValueTask<LogHead> ReadHeadAsync(CancellationToken cancellationToken);

    /// <summary>Rows after <paramref name="after"/>, ascending, to the head of this moment.</summary>
    IAsyncEnumerable<LogRow> ReadLogAsync(LogPosition after, CancellationToken cancellationToken);

    /// <summary>The rows of one package, ascending, to the head of this moment.</summary>
    IAsyncEnumerable<LogRow> ReadHistoryAsync(PackageName package, CancellationToken cancellationToken);

    /// <summary>
    /// Gives pending events their positions; idempotent by (package, generation, ordinal), one numberer at a time (the engine sees
    /// to that). Engines that number inside <see cref="IPackageTable.CommitAsync"/> have nothing to do. Returns how many it numbered.
    /// </summary>
    ValueTask<int> NumberEventsAsync(CancellationToken cancellationToken);

    /// <summary>Waits until the head is after <paramref name="after"/>, at most <paramref name="timeout"/>; commits of other processes count, within a second. Returns the head's position.</summary>
    ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken);
}

/// <summary>The end of the log.</summary>
public readonly record struct LogHead(LogPosition Position, Digest Hash);

/// <summary>Texts under a key: the mirror's own notes, such as cursors, the feed they belong to, pauses, its id.</summary>
public interface INoteTable
{
    /// <summary>The text under the key, or null.</summary>
    ValueTask<string?> FindNoteAsync(string key, CancellationToken cancellationToken);

    /// <summary>Sets the text under the key; null removes it. Durable when it returns.</summary>
    ValueTask SetNoteAsync(string key, string? text, CancellationToken cancellationToken);

    /// <summary>The keys that begin with a text, by ascending UTF-8 bytes, streamed.</summary>
    IAsyncEnumerable<NoteMark> ListNotesAsync(string prefix, CancellationToken cancellationToken);
}

/// <summary>A key, and how many bytes of UTF-8 are under it.</summary>
public readonly record struct NoteMark(string Key, long SizeBytes);

/// <summary>Documents of the upstream beside the packuments, such as signing keys and attestations, by their path there.</summary>
public interface IKeptTable
{
    /// <summary>The document's bytes, or null.</summary>
    ValueTask<ReadOnlyMemory<byte>?> FindKeptAsync(string path, CancellationToken cancellationToken);

    /// <summary>Keeps a document in the place of an earlier one; null removes it. Durable when it returns.</summary>
    ValueTask KeepAsync(string path, ReadOnlyMemory<byte>? document, CancellationToken cancellationToken);

    /// <summary>The paths that begin with a text, by ascending UTF-8 bytes, streamed.</summary>
    IAsyncEnumerable<KeptMark> ListKeptAsync(string prefix, CancellationToken cancellationToken);
}

/// <summary>A path, and how many bytes are kept of it.</summary>
public readonly record struct KeptMark(string Path, long SizeBytes);

/// <summary>A store that can copy itself while it is read and written.</summary>
public interface IStoreBackup
{
    /// <summary>The name of the file that a restored mirror has in its data folder.</summary>
    string FileName { get; }

    /// <summary>
    /// Writes a whole copy of the store, of one moment, into a new file, which appears under its name when it is complete and durable.
    /// Copy the blobs after it, not before: then every tarball that the copy knows is there.
    /// </summary>
    /// <exception cref="MirrorException">The target exists, or cannot be written.</exception>
    Task BackupAsync(string targetFile, CancellationToken cancellationToken);

    /// <summary>The end of the log in a copy that no process writes; nothing is made or changed beside it.</summary>
    /// <exception cref="MirrorException">It is damaged, or no store.</exception>
    LogHead ReadHeadOf(string copy);
}

/// <summary>Leases: rights that only one process may have at a time (number, lead, collect).</summary>
public interface ILeaseTable
{
    /// <summary>Takes or renews the lease; false while another owner holds it and it has not expired.</summary>
    ValueTask<bool> TryHoldLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken);

    /// <summary>Gives the lease back, if this owner holds it.</summary>
    ValueTask ReleaseLeaseAsync(string name, string owner, CancellationToken cancellationToken);
}
