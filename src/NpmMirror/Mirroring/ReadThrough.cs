using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>What a reader gets for a name.</summary>
public abstract record ReadAnswer
{
    private ReadAnswer()
    {
    }

    /// <summary>The package's row as stored (removed ones never).</summary>
    public sealed record Found(PackageRow Row) : ReadAnswer;

    /// <summary>There is none: 404, or 451 for a blocked one; the reason is for the client's user.</summary>
    public sealed record Absent(int Status, string Reason) : ReadAnswer;
}

/// <summary>
/// Finds packages for readers: from the store when held (revalidated behind the answer where no feed tells of changes), else fetched
/// through <see cref="PackageSync"/>, one fetch a package however many wait. A reader that leaves does not cancel it.
/// </summary>
public sealed class ReadThrough
{
    /// <summary>Finds the package, fetching it when it is not held and the mode allows.</summary>
    /// <exception cref="MirrorException">Not held, and the upstream is in trouble or did not answer within 30 s.</exception>
    public ValueTask<ReadAnswer> FindAsync(PackageName name, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Fetches now, for an administrator, whatever is held or remembered.</summary>
    /// <exception cref="MirrorException">Upstream or store trouble.</exception>
    public Task<SyncResult> RefreshAsync(PackageName name, CancellationToken cancellationToken) => throw new NotImplementedException();
}
