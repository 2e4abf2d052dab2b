using NpmMirror.Log;

namespace NpmMirror.Storage;

/// <summary>One package as the store holds it, without its document.</summary>
public sealed record PackageRow
{
    /// <summary>The package.</summary>
    public required PackageName Name { get; init; }

    /// <summary>How often this row was written, from 1: its compare-and-set mark.</summary>
    public required long Generation { get; init; }

    /// <summary>The present state of the package.</summary>
    public required PackageFacts Facts { get; init; }

    /// <summary>The newest log position of this package; zero while its events wait for their numbers.</summary>
    public required LogPosition LastPosition { get; init; }

    /// <summary>The slim index of the document (see <see cref="Packuments.PackumentIndex"/>): bytes to the engine.</summary>
    public required ReadOnlyMemory<byte> Index { get; init; }

    /// <summary>SHA-256 of the document's raw bytes.</summary>
    public required Digest DocumentSha256 { get; init; }

    /// <summary>The length of the document's raw bytes.</summary>
    public required int RawSizeBytes { get; init; }

    /// <summary>
    /// The invalid value in this row; null for a valid row. The other values of a damaged row are only as good as they can be, it has no
    /// index, and no part of the package is served until it was fetched and written anew.
    /// </summary>
    public StoreDamage? Damage { get; init; }
}

/// <summary>The columns of a package row that <c>PackageSync</c> decides.</summary>
public sealed record PackageFacts
{
    /// <summary>How the package went away, or null while it is there. Everything but a security holder is in the graveyard then.</summary>
    public RemovalKind? Removal { get; init; }

    /// <summary>The upstream's reason for the removal, for error messages.</summary>
    public string? RemovalReason { get; init; }

    /// <summary>The document's <c>_rev</c>, if it has one.</summary>
    public string? Rev { get; init; }

    /// <summary>The revisions under which it was served before, newest first, with blanks between; null if there are none. See <see cref="ServedRevision"/>.</summary>
    public string? Ancestors { get; init; }

    /// <summary>Which upstream the document is from: its URL and, where known, its database identity. Revs compare only within one.</summary>
    public string? Upstream { get; init; }

    /// <summary>The upstream's ETag, for the next conditional request.</summary>
    public string? ETag { get; init; }

    /// <summary>The upstream's Last-Modified header, verbatim, for the next conditional request.</summary>
    public string? LastModified { get; init; }

    /// <summary>When the package last changed upstream: the document's <c>modified</c>, else its newest <c>time</c>; null if it tells neither.</summary>
    public DateTimeOffset? ModifiedAt { get; init; }

    /// <summary>When this mirror first saw the package.</summary>
    public required DateTimeOffset FirstSeenAt { get; init; }

    /// <summary>When this row was written.</summary>
    public required DateTimeOffset StoredAt { get; init; }

    /// <summary>True when the package is in the graveyard: gone from lists and packuments.</summary>
    public bool IsRemoved => Removal is not null and not RemovalKind.SecurityHolder;
}

/// <summary>The values of a package row that a list of everything has.</summary>
/// <param name="Name">The package.</param>
/// <param name="Rev">See <see cref="PackageFacts.Rev"/>.</param>
/// <param name="Upstream">See <see cref="PackageFacts.Upstream"/>.</param>
public readonly record struct PackageMark(PackageName Name, string? Rev, string? Upstream);

/// <summary>A package row and its document, read at one moment.</summary>
public sealed record StoredPackage(PackageRow Row, StoredDocument Document);

/// <summary>The one atomic write of a package: document, index and events together, or nothing.</summary>
public sealed record PackageCommit
{
    /// <summary>The package.</summary>
    public required PackageName Name { get; init; }

    /// <summary>The generation this commit was made from; 0 for a package that has no row.</summary>
    public required long ExpectedGeneration { get; init; }

    /// <summary>The new facts.</summary>
    public required PackageFacts Facts { get; init; }

    /// <summary>The new document, or null to keep the stored one (a removal, new validators); a package's first commit has one.</summary>
    public StoredDocument? Document { get; init; }

    /// <summary>The new document's index; read only where <see cref="Document"/> is not null.</summary>
    public ReadOnlyMemory<byte> Index { get; init; }

    /// <summary>The events, ordinals from 0. May be empty: then the package's log position stays.</summary>
    public required IReadOnlyList<PendingEvent> Events { get; init; }

    /// <summary>
    /// Whether the document stored before this commit is archived, because events point into it. Where the commit brings no other, it
    /// stays where it is, counts as archived, and is when another comes.
    /// </summary>
    public bool ArchivesPrevious { get; init; }

    /// <summary>
    /// Whether no caller waits for this commit in particular: an engine may then hold it back for a moment, so that one sync of the disk does for many.
    /// It is durable when the call returns, as any other.
    /// </summary>
    public bool IsPatient { get; init; }
}

/// <summary>How a commit ended.</summary>
/// <param name="IsCommitted">False when the row's generation was another: read again, decide again.</param>
/// <param name="Generation">The row's generation now; 0 when there is no row.</param>
/// <param name="LastPosition">The package's newest log position, where the engine numbers in the same transaction; else zero.</param>
public readonly record struct CommitResult(bool IsCommitted, long Generation, LogPosition LastPosition);

/// <summary>The parts of a package's past to drop.</summary>
/// <param name="Package">The package.</param>
/// <param name="ExpectedGeneration">The generation that the decision was made from.</param>
/// <param name="Payloads">The log rows whose payloads are dropped; rows of other packages are skipped.</param>
/// <param name="Documents">SHA-256 of the documents whose bytes are dropped, archived or current.</param>
public sealed record PackagePurge(PackageName Package, long ExpectedGeneration, IReadOnlyList<LogPosition> Payloads, IReadOnlyList<Digest> Documents);
