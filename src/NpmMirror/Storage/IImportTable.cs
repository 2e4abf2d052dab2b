using NpmMirror.Log;

namespace NpmMirror.Storage;

/// <summary>
/// Takes over what another store holds exactly as it is there: positions, hashes and generations included. Only a copy of a whole mirror does that, into a store that no
/// mirror works on; everything else that it copies goes through the other tables. Each call may be repeated, and is durable when it returns.
/// </summary>
public interface IImportTable
{
    /// <summary>
    /// Puts a package's row and document as they are, in the place of earlier ones: both or nothing. Where the document stored before is pinned and this is another,
    /// the one before goes to the archive, as in a commit. The row's position may be after the end of this log.
    /// </summary>
    /// <param name="package">The row and its document; a purged one has no bytes.</param>
    /// <param name="isPinned">Whether events point into the document: see <see cref="PackageCommit.ArchivesPrevious"/>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    ValueTask PutPackageAsync(StoredPackage package, bool isPinned, CancellationToken cancellationToken);

    /// <summary>
    /// Puts a document into a package's archive; nothing changes where it is there, or is the package's pinned document. False, and nothing changes, for a package
    /// without a row.
    /// </summary>
    ValueTask<bool> PutArchivedAsync(PackageName name, StoredDocument document, CancellationToken cancellationToken);

    /// <summary>
    /// Appends rows to the log as they are, in one step, to the first one of a package without a row, which is left out with all after it. Returns how many it appended.
    /// </summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: they do not continue the log; nothing changes. See <see cref="LogContinuation"/>.</exception>
    ValueTask<int> AppendLogAsync(IReadOnlyList<LogRow> rows, CancellationToken cancellationToken);
}
