using NpmMirror;
using NpmMirror.Storage;

namespace Engine;

/// <summary>The store: one class a table, all over one session.</summary>
public sealed class LmdbStore : IMetadataStore
{
    private readonly LmdbSession _session;

    /// <summary>Takes the folder; nothing is opened yet.</summary>
    public LmdbStore(string folder, long mapBytes, TimeProvider timeProvider)
    {
        _session = new LmdbSession(folder, mapBytes, timeProvider);
        (Packages, Log, Queue, Tarballs) = (new LmdbPackages(_session), new LmdbLog(_session), new LmdbQueue(_session), new LmdbTarballs(_session));
        (Notes, Kept, Leases) = (new LmdbNotes(_session), new LmdbKept(_session), new LmdbLeases(_session));
    }

    /// <inheritdoc/>
    public IPackageTable Packages { get; }

    /// <inheritdoc/>
    public ILogTable Log { get; }

    /// <inheritdoc/>
    public IQueueTable Queue { get; }

    /// <inheritdoc/>
    public ITarballTable Tarballs { get; }

    /// <inheritdoc/>
    public INoteTable Notes { get; }

    /// <inheritdoc/>
    public IKeptTable Kept { get; }

    /// <inheritdoc/>
    public ILeaseTable Leases { get; }

    /// <inheritdoc/>
    public string Location => $"lmdb:{_session.Folder}";

    /// <inheritdoc/>
    public Task OpenAsync(CancellationToken cancellationToken) => _session.OpenAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<StoreCounts> CountAsync(CancellationToken cancellationToken) => _session.ReadAsync(transaction => transaction.Counts, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken)
    {
        try
        {
            // A real write: LMDB syncs nothing for a transaction that changed nothing.
            return await _session.WriteAsync(
                transaction =>
                {
                    transaction.Put(Table.Meta, "probe"u8.ToArray(), Guid.NewGuid().ToByteArray());
                    return (string?)null;
                },
                cancellationToken);
        }
        catch (MirrorException e)
        {
            return e.Message;
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _session.DisposeAsync();
}
