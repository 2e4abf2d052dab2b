using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>A mirror in MongoDB. Each package is one document, written in one step; versions and log follow it, before the commit returns as a rule.</summary>
internal sealed class MongoStore : IMetadataStore
{
    private static readonly TimeSpan CloseMax = TimeSpan.FromSeconds(2);
    private readonly MongoSession _session;
    private readonly MongoLog _log;
    private readonly MongoCommits _commits;
    private readonly MongoTally _packageTally;
    private readonly MongoTally _tarballTally;
    private int _isDisposed;

    /// <summary>Takes the address; nothing is opened yet.</summary>
    internal MongoStore(MongoAddress address, TimeProvider timeProvider)
    {
        _session = new MongoSession(address, timeProvider);
        (_packageTally, _tarballTally) = (MongoTallies.OfPackages(_session), MongoTallies.OfTarballs(_session));
        var (chunks, versions) = (new Chunks(_session), new MongoVersions(_session));
        _log = new MongoLog(_session, chunks, versions, _packageTally);
        _commits = new MongoCommits(_session, chunks, versions, _log.Numbering);
        var notes = new MongoNotes(_session);
        Packages = new MongoPackages(_session, chunks, _commits, new MongoPurge(_session, chunks, _log), _log);
        (Queue, Tarballs) = (new MongoQueue(_session, notes), new MongoTarballs(_session));
        (Notes, Kept, Leases, Earlier) = (notes, new MongoKept(_session, chunks), new MongoLeases(_session), new MongoEarlier(_session));
        Import = new MongoImport(_session, chunks, _commits, versions, _log.Numbering);
    }

    /// <inheritdoc/>
    public string Location => _session.Location;

    /// <inheritdoc/>
    public bool IsShared => true;

    /// <inheritdoc/>
    public IPackageTable Packages { get; }

    /// <inheritdoc/>
    public ILogTable Log => _log;

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
    public IImportTable Import { get; }

    /// <inheritdoc/>
    public IEarlierDocuments Earlier { get; }

    /// <inheritdoc/>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        await _session.OpenAsync(cancellationToken);
        await MongoSchema.EnsureAsync(_session, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken)
    {
        try
        {
            var (filter, probe) = (new BsonDocument("_id", "probe"), new BsonDocument("$inc", new BsonDocument("count", 1L)));
            await _session.RunAsync(MongoSchema.State, (state, token) => state.UpdateOneAsync(filter, probe, new UpdateOptions { IsUpsert = true }, token), cancellationToken);
            return null;
        }
        catch (MongoException e) when (MongoFaults.IsDuplicate(e))
        {
            // Two were the first to ask.
            return null;
        }
        catch (MirrorException e)
        {
            return e.Message;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<StoreCounts> CountAsync(CancellationToken cancellationToken)
    {
        var packages = await _packageTally.ReadAsync(cancellationToken);
        var tarballs = await _tarballTally.ReadAsync(cancellationToken);
        var queued = await _session.RunAsync(QueueDocument.Collection, (queue, token) => queue.EstimatedDocumentCountAsync(null, token), cancellationToken);
        return new StoreCounts(packages[0], packages[1], packages[2], tarballs[0], tarballs[1], queued);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<StoreDamage> ListUnlistedAsync(CancellationToken cancellationToken) => MongoUnlisted.ListAsync(_session, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        // What is under way may end; a server that is away holds nothing up: the next process finds it.
        var closing = _log.DisposeAsync().AsTask();
        await Task.WhenAny(closing, Task.Delay(CloseMax, TimeProvider.System));
        _session.Dispose();
        await closing;
        _commits.Dispose();
    }
}
