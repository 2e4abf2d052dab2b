namespace NpmMirror.Storage;

/// <summary>The rows of tarballs, by (package, file name).</summary>
public interface ITarballTable
{
    /// <summary>The row, or null.</summary>
    ValueTask<TarballRow?> FindTarballAsync(PackageName package, string file, CancellationToken cancellationToken);

    /// <summary>
    /// Writes the row; durable when it returns. A held row is never replaced by a row with another sha512 or none: false then, and
    /// nothing changes. The later <see cref="TarballRow.LastServedAt"/> stays.
    /// </summary>
    ValueTask<bool> PutTarballAsync(TarballRow row, CancellationToken cancellationToken);

    /// <summary>Notes when files were last served (the latest stays); unknown ones are skipped. Sent in batches.</summary>
    ValueTask StampServedAsync(IReadOnlyList<TarballServed> served, CancellationToken cancellationToken);

    /// <summary>Notes when bytes were last checked against their hash; rows that are gone by now, or held with other bytes, are skipped. Sent in batches.</summary>
    ValueTask StampVerifiedAsync(IReadOnlyList<TarballVerified> verified, CancellationToken cancellationToken);

    /// <summary>
    /// Removes a held row, if it is still as it was read: false when it was served, verified or written since, or is gone, and nothing changes.
    /// Its bytes stay in the <see cref="IBlobStore"/>. Durable when it returns. Only <c>gc</c> and <c>verify --repair</c> call it.
    /// </summary>
    ValueTask<bool> ForgetTarballAsync(TarballRow row, CancellationToken cancellationToken);

    /// <summary>Whether a held row names these bytes. May say so a little longer than it is true; never denies a row that was written before the call.</summary>
    ValueTask<bool> IsReferencedAsync(Digest sha512, CancellationToken cancellationToken);

    /// <summary>All rows, by package and file, streamed; with a package only its own.</summary>
    IAsyncEnumerable<TarballRow> ListTarballsAsync(PackageName? package, CancellationToken cancellationToken);

    /// <summary>Counts downloads: (tarball, client, day) → count, added up. Sent in batches.</summary>
    ValueTask RecordAccessAsync(IReadOnlyList<TarballAccess> accesses, CancellationToken cancellationToken);

    /// <summary>The clients that fetched a package's tarballs, by file, client, day; with a file only that one.</summary>
    IAsyncEnumerable<TarballAccess> ListAccessAsync(PackageName package, string? file, CancellationToken cancellationToken);

    /// <summary>Drops access records of days before <paramref name="day"/>; returns how many.</summary>
    ValueTask<int> ForgetAccessAsync(DateOnly day, CancellationToken cancellationToken);
}

/// <summary>The row of one tarball.</summary>
public sealed record TarballRow
{
    // The beginning of the problem of a row that was written when no hash was promised. Stored: rows are recognised by it.
    private const string NoPromise = "The packument promises no hash for this version: kept as the upstream sent it.";

    /// <summary>Its package.</summary>
    public required PackageName Package { get; init; }

    /// <summary>The last path segment of its URL, as this mirror spells it: <c>node-1.0.0.tgz</c>. Never a path on disk.</summary>
    public required string File { get; init; }

    /// <summary>The version it belongs to.</summary>
    public required string Version { get; init; }

    /// <summary>Held, or why not.</summary>
    public required TarballState State { get; init; }

    /// <summary>Where its bytes are in the <see cref="IBlobStore"/>; empty unless held.</summary>
    public Digest Sha512 { get; init; }

    /// <summary>Its length; 0 unless held.</summary>
    public long SizeBytes { get; init; }

    /// <summary>Where the upstream keeps it.</summary>
    public string? UpstreamUrl { get; init; }

    /// <summary>When its bytes were last checked against the hash.</summary>
    public DateTimeOffset? VerifiedAt { get; init; }

    /// <summary>When it was last served.</summary>
    public DateTimeOffset? LastServedAt { get; init; }

    /// <summary>Its problem, in one sentence or two.</summary>
    public string? Problem { get; init; }

    /// <summary>Whether it was stored without a hash that the registry promised, and none was found right since.</summary>
    public bool IsUnpromised => Problem?.StartsWith(NoPromise, StringComparison.Ordinal) is true;

    /// <summary>The same row, of bytes for which no hash is promised.</summary>
    /// <param name="more">A further problem.</param>
    public TarballRow Unpromised(string? more = null) => this with { Problem = more is null ? NoPromise : $"{NoPromise} {more}" };

    /// <summary>The invalid value in this row; null for a valid row. A damaged row counts as not held, so that the next fetch writes it anew.</summary>
    public StoreDamage? Damage { get; init; }
}

/// <summary>The state of a tarball. The numbers are stored.</summary>
public enum TarballState
{
    /// <summary>Stored and verified.</summary>
    Held = 0,

    /// <summary>The upstream does not have it.</summary>
    Missing = 1,

    /// <summary>The upstream's bytes do not match the packument's promise.</summary>
    Corrupt = 2,
}

/// <summary>A file was served.</summary>
public readonly record struct TarballServed(PackageName Package, string File, DateTimeOffset At);

/// <summary>A file's bytes were found to have this hash, or, without a moment, not to have it: then no earlier moment counts any more.</summary>
public readonly record struct TarballVerified(PackageName Package, string File, Digest Sha512, DateTimeOffset? At);

/// <summary>How often a client fetched a tarball on one day (UTC).</summary>
public readonly record struct TarballAccess(PackageName Package, string File, string Client, DateOnly Day, long Count);
