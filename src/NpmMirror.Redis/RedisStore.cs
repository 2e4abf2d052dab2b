using System.Globalization;
using Microsoft.Extensions.Logging;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>A mirror in Redis. Each package is one step on the server; lists and log follow it, before the commit returns as a rule.</summary>
internal sealed class RedisStore : IMetadataStore
{
    // 2: documents are Zstandard, which programs of before do not read.
    private const int SchemaVersion = 2;

    private readonly RedisSession _session;
    private readonly RedisLog _log;
    private readonly ILogger _logger;
    private int _isDisposed;

    /// <summary>Takes the address; nothing is opened yet.</summary>
    internal RedisStore(RedisAddress address, TimeProvider timeProvider, ILoggerFactory loggerFactory)
    {
        _logger = loggerFactory.CreateLogger("NpmMirror.Mirror");
        _session = new RedisSession(address, timeProvider);
        _log = new RedisLog(_session);
        var notes = new RedisNotes(_session);
        (Packages, Log) = (new RedisPackages(_session, new RedisCommits(_session, _log.Numbering), new RedisPurge(_session, _log), _log), _log);
        (Queue, Tarballs) = (new RedisQueue(_session, notes), new RedisTarballs(_session));
        (Notes, Kept, Leases, Earlier) = (notes, new RedisKept(_session), new RedisLeases(_session), new RedisEarlier(_session));
        Import = new RedisImport(_session, _log.Numbering);
    }

    /// <inheritdoc/>
    public string Location => _session.Location;

    /// <inheritdoc/>
    public bool IsShared => true;

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
    public IImportTable Import { get; }

    /// <inheritdoc/>
    public IEarlierDocuments Earlier { get; }

    /// <inheritdoc/>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        await _session.OpenAsync(cancellationToken);
        await RedisSteps.CheckAsync(_session, cancellationToken);
        var keys = _session.Keys;
        var schema = await _session.RunAsync(database => database.StringGetAsync(keys.Schema, RedisSession.Flags), cancellationToken);
        if (schema.IsNull)
        {
            await _session.RunAsync(database => database.StringSetAsync(keys.Schema, SchemaVersion, null, When.NotExists, RedisSession.Flags), cancellationToken);
        }
        else if (!schema.TryParse(out long version) || version > SchemaVersion)
        {
            throw new MirrorException(
                MirrorFault.StoreSchema,
                string.Create(CultureInfo.InvariantCulture, $"{Location} was written by a newer npm-mirror (its schema is {schema}, this program knows {SchemaVersion}); run that one."));
        }
        else if (version < SchemaVersion)
        {
            await _session.RunAsync(RedisScripts.RaiseSchema, [keys.Schema], [schema, SchemaVersion], cancellationToken);
        }

        await RedisDurability.WarnAsync(_session, _logger, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _session.RunAsync(database => database.StringIncrementAsync(_session.Keys.Probes, 1, RedisSession.Flags), cancellationToken);
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
        var keys = _session.Keys;
        return await _session.RunAsync(
            async database =>
            {
                var packages = database.HashGetAsync(keys.Counts, ["packages", "removed", "raw_bytes"], RedisSession.Flags);
                var tarballs = database.HashGetAsync(keys.TarballCounts, ["tarballs", "bytes"], RedisSession.Flags);
                var queued = database.HashLengthAsync(keys.Queued, RedisSession.Flags);
                return new StoreCounts(Number((await packages)[0]), Number((await packages)[1]), Number((await packages)[2]), Number((await tarballs)[0]), Number((await tarballs)[1]), await queued);
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        await _log.DisposeAsync();
        await _session.DisposeAsync();
    }

    private static long Number(RedisValue value) => value.TryParse(out long number) ? number : 0;
}
