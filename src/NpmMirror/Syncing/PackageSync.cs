using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Tarballs;
using NpmMirror.Upstream;

namespace NpmMirror.Syncing;

/// <summary>The one way a package enters the store: fetch, parse once, diff, write atomically.</summary>
internal sealed partial class PackageSync : IDisposable
{
    /// <summary>After this long the upstream is believed, against an earlier feed row or stored document.</summary>
    internal static readonly TimeSpan DoubtMax = TimeSpan.FromHours(24);

    private static readonly TimeSpan OneSecond = TimeSpan.FromSeconds(1);

    private const int TriesMax = 5;
    private const int DamagedMax = 10_000;

    private readonly IPackageTable _packages;
    private readonly RegistryClient _upstream;
    private readonly EagerTarballs _eager;
    private readonly TarballDownloads _tarballs;
    private readonly TarballPromises _promises;
    private readonly KnownUpstream _known;
    private readonly MirrorOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<PackageSync> _logger;
    private readonly StoreMetrics _measured;
    private readonly NameLocks _locks = new();
    private readonly RemovalCheck _removals;
    private readonly HourlyBreaker _breaker;
    private readonly RevisionCheck _revisions;
    private readonly BoundedCache<PackageName, bool> _damaged = new("damaged packages", DamagedMax);

    // Packages that are being fetched without a waiting client; one a package, by the locks.
    private readonly ConcurrentDictionary<PackageName, Patience> _patient = new();

    private bool IsEager => _options.Tarballs == TarballMode.Eager;

    /// <summary>Creates the sync; one per store and process.</summary>
    public PackageSync(IMetadataStore store, RegistryClient upstream, KnownUpstream known, TarballDownloads tarballs, PackageNews news, MirrorOptions options, TimeProvider time, ILogger<PackageSync> logger, Meter? meter = null)
    {
        _packages = store.Packages;
        _upstream = upstream;
        _known = known;
        _tarballs = tarballs;
        News = news;
        _promises = new TarballPromises(tarballs);
        _damaged.MeasureIn(meter);
        _measured = new StoreMetrics(meter ?? Telemetry.Unread, time);
        _eager = new EagerTarballs(store.Tarballs, upstream, tarballs, options.Concurrency, time, logger);
        _options = options;
        _time = time;
        _logger = logger;
        _removals = RemovalCheck.Over(store, upstream, known);
        _revisions = new RevisionCheck(known, time);
        _breaker = new HourlyBreaker(store, options, time, logger);
    }

    /// <summary>Hears of each commit before <see cref="SyncAsync"/> returns, so that the process that wrote never serves an earlier state.</summary>
    public PackageNews News { get; }

    /// <summary>Brings one package to the upstream's present state.</summary>
    /// <param name="name">The package.</param>
    /// <param name="item">Its item of the queue; null for a fetch without one.</param>
    /// <param name="cancellationToken">Ends the fetch; a write that has begun is finished.</param>
    /// <exception cref="MirrorException">Upstream or store trouble; nothing was written.</exception>
    public Task<SyncResult> SyncAsync(PackageName name, QueueItem? item, CancellationToken cancellationToken) => SyncInTurnAsync(name, item, item is { Priority: QueuePriority.Demand } ? SyncTrust.Nothing : SyncTrust.Usual, cancellationToken);

    /// <summary>As <see cref="SyncAsync"/>, where the answer of a cache on the way is not enough.</summary>
    internal Task<SyncResult> SyncPastCachesAsync(PackageName name, CancellationToken cancellationToken) => SyncInTurnAsync(name, null, SyncTrust.NoCache, cancellationToken);

    /// <summary>Fetches a package whose stored document was found damaged and writes it anew, even if the upstream has the same document.</summary>
    /// <exception cref="MirrorException">Upstream or store trouble; nothing was written.</exception>
    public Task<SyncResult> RepairAsync(PackageName name, CancellationToken cancellationToken) => SyncInTurnAsync(name, null, SyncTrust.NothingHeld, cancellationToken);

    /// <summary>Notes that the stored document was found damaged: until it is written anew, each fetch is a repair.</summary>
    public void NoteDamaged(PackageName name) => _damaged.Set(name, true);

    /// <summary>How far tarballs have come.</summary>
    internal TarballProgress Tarballs => new(_tarballs.FetchedCount, _tarballs.FetchedBytes, _eager.Left);

    /// <summary>A client waits for the package now: if its fetch waits for other fetches without a client, it goes ahead.</summary>
    internal void Hurry(PackageName name)
    {
        if (_patient.TryGetValue(name, out var patience))
        {
            patience.End();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _eager.Dispose();
        _breaker.Dispose();
    }

    private async Task<SyncResult> SyncInTurnAsync(PackageName name, QueueItem? item, SyncTrust trust, CancellationToken cancellationToken)
    {
        using var turn = await _locks.EnterAsync(name, cancellationToken);
        for (var tries = 0; tries < TriesMax; tries++)
        {
            // 1. The held row. 2. The upstream's answer. 3. Decide and write; null if another process wrote in between,
            // and then the fetch is repeated too: without a rev only the later fetch is known to be newer.
            var row = await _packages.FindAsync(name, cancellationToken);
            var askedAt = _time.GetTimestamp();
            var isMending = trust == SyncTrust.NothingHeld || row is { Damage: not null } || _damaged.TryGet(name, out _);
            try
            {
                if (await SyncOnceAsync(name, item, row, isMending ? SyncTrust.NothingHeld : trust, cancellationToken) is { } result)
                {
                    NoteDone(name, result, askedAt);
                    return result;
                }
            }
            catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged && !isMending)
            {
                // The stored document could not be read on the way; written anew, it can.
                NoteDamaged(name);
            }
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"{name} was written by other processes {TriesMax} times in a row; trying again later.", isTransient: true);
    }

    private void NoteDone(PackageName name, SyncResult result, long askedAt)
    {
        News.TellCompared(name, askedAt);
        if (result is SyncResult.Stored)
        {
            _damaged.Remove(name);
        }
    }

    private async Task<SyncResult?> SyncOnceAsync(PackageName name, QueueItem? item, PackageRow? row, SyncTrust trust, CancellationToken cancellationToken)
    {
        // Ask unconditionally if tarballs are missing: a 304 has no URLs.
        var isConditional = row is not null && trust < SyncTrust.Nothing && IsNotModifiedBelieved(row, item) && !(IsEager && await _eager.IsAnyMissingAsync(row, cancellationToken));
        var validators = isConditional ? new Validators(row!.Facts.ETag, row.Facts.LastModified) : default;
        var isRepair = trust == SyncTrust.NothingHeld;
        switch (await FetchAsync(name, item, validators, isCacheBusted: trust > SyncTrust.Usual || item is { Attempts: > 0 }, cancellationToken))
        {
            case PackumentAnswer.NotModified when row is not null:
                _removals.NoteAlive(name);
                // It was only asked whether the row's document is the newest where that is as new as the feed said.
                return new SyncResult.Unchanged(row);
            case PackumentAnswer.Absent absent:
                return await RemoveAsync(name, row, item, absent, cancellationToken);
            case PackumentAnswer.Fetched fetched:
                using (fetched.Document)
                {
                    return await StoreAsync(name, row, item, fetched, isRepair, cancellationToken);
                }

            default:
                throw new MirrorException(MirrorFault.UpstreamMalformed, $"The upstream answered 304 for {name}, which it was not asked conditionally; trying again.", isTransient: true);
        }
    }

    /// <summary>
    /// Whether "not modified" could be right: registries and caches are known to say it for ever. Not if the feed names another revision
    /// than the held one, nor if the first answer was not enough.
    /// </summary>
    private bool IsNotModifiedBelieved(PackageRow row, QueueItem? item) =>
        row.Facts.Removal is null
        && _known.Identity.CouldBeSame(row.Facts.Upstream)
        && item is null or { Attempts: 0, IsDeletedRow: false }
        && (item?.WantedRev is not { } wanted || (row.Facts.Rev is { } held && !new Revision(held).IsBefore(new Revision(wanted))));

    private async Task<PackumentAnswer> FetchAsync(PackageName name, QueueItem? item, Validators validators, bool isCacheBusted, CancellationToken cancellationToken)
    {
        if (item is null or { Priority: <= QueuePriority.ReadThrough })
        {
            return await _upstream.GetPackumentAsync(name, validators, isCacheBusted, cancellationToken);
        }

        using var patience = new Patience();
        _patient[name] = patience;
        try
        {
            return await _upstream.GetPackumentAsync(name, validators, isCacheBusted, patience, cancellationToken);
        }
        finally
        {
            _patient.TryRemove(name, out _);
        }
    }

    private async Task<SyncResult?> StoreAsync(PackageName name, PackageRow? row, QueueItem? item, PackumentAnswer.Fetched fetched, bool isRepair, CancellationToken cancellationToken)
    {
        var document = fetched.Document;
        var parsed = PackumentReader.Read(document.Bytes, name, _options.AnyCase, row is null ? 0 : PackumentIndex.HashSeedOf(row.Index.Span));
        var index = parsed.Index;
        if (!parsed.IsNamed && index is { Versions.Count: 0, IsUnpublished: false })
        {
            // A proxy's message, with the status of an answer.
            throw new MirrorException(MirrorFault.UpstreamMalformed, $"Asked for the packument of {name}, the upstream sent JSON that has neither a name nor versions; kept what is stored.", isTransient: true);
        }

        if (index.IsUnpublished)
        {
            return await BuryUnpublishedAsync(name, row, item, parsed, cancellationToken);
        }

        _removals.NoteAlive(name);
        var sha256 = Digest.OfSha256(document.Bytes);
        var isDifferent = row is null || row.DocumentSha256 != sha256;
        var lag = _revisions.FindLag(item, index.Rev, isDifferent);
        if (row is not null && _revisions.FindRegression(row, parsed, item) is { } regression)
        {
            return new SyncResult.Unchanged(row) { RetryBecause = regression };
        }

        var removal = index.IsSecurityHolder ? RemovalKind.SecurityHolder : (RemovalKind?)null;
        var isTheSame = !isDifferent && row!.Facts.Removal == removal;
        if (isTheSame && !isRepair)
        {
            var wantedStill = await FindWantedAsync(name, index, document, cancellationToken);
            document.Dispose();
            var missing = await HoldTarballsAsync(name, item, wantedStill, cancellationToken);
            return await AdoptAsync(row!, fetched.Validators, cancellationToken) is { } adopted ? new SyncResult.Unchanged(adopted) { RetryBecause = lag ?? missing } : null;
        }

        if (removal is not null && row is { Facts.Removal: null } && await _breaker.FindReasonAsync(name, cancellationToken) is { } heldBack)
        {
            return new SyncResult.Unchanged(row) { RetryBecause = heldBack };
        }

        var now = _time.GetUtcNow();
        var change = row is null ? Change.FirstSight(index, now) : isTheSame ? Change.None : await FindChangeAsync(row, removal, index, document, now, cancellationToken);
        await _promises.CheckAsync(name, change.Events, index, document, cancellationToken);
        var encoded = DocumentCodecs.Encode(document.Bytes, sha256);
        string? failed = null;
        if (await FindWantedAsync(name, index, document, cancellationToken) is { Count: > 0 } wanted)
        {
            // Blobs first: a crash here leaves garbage, never a packument without its tarballs. They come from peers, for hours perhaps, so the document is
            // not held in memory meanwhile, neither raw nor encoded.
            await using var parked = await document.SpillAsync(encoded.Bytes, cancellationToken);
            encoded = encoded with { Bytes = default };
            document.Dispose();
            failed = await HoldTarballsAsync(name, item, wanted, cancellationToken);
            encoded = encoded with { Bytes = await parked.ReadAsync(cancellationToken) };
        }

        var commit = new PackageCommit
        {
            Name = name,
            ExpectedGeneration = row?.Generation ?? 0,
            Facts = new PackageFacts
            {
                Removal = removal,
                RemovalReason = removal is null ? null : "replaced by a security holding package",
                Rev = index.Rev,
                Ancestors = ServedRevision.AncestorsAfter(row, index.Rev),
                Upstream = _known.Identity.ToString(),
                ETag = fetched.Validators.ETag,
                LastModified = fetched.Validators.LastModified,
                ModifiedAt = index.ModifiedAt,
                FirstSeenAt = row?.Facts.FirstSeenAt ?? now,
                StoredAt = StoredAfter(row, now),
            },
            Document = encoded,
            Index = index.ToBytes(),
            Events = Pending(change.Events),
            ArchivesPrevious = change.ArchivesPrevious,
            IsPatient = item is { Priority: > QueuePriority.ReadThrough },
        };
        var written = await CommitAsync(commit, cancellationToken);
        return written is null ? null : new SyncResult.Stored(written, row is null || row.Facts.IsRemoved, change.Events) { RetryBecause = lag ?? failed };
    }

    /// <summary>Whether a doubted answer is believed: a day has passed, with as many tries.</summary>
    internal static bool IsDoubtOver(QueueItem item, DateTimeOffset now) => now - item.QueuedAt >= DoubtMax && item.Attempts >= RemovalCheck.DoubtTriesMin;

    /// <summary>Now, but at least a second after the document before: dates of HTTP have no parts of a second, and each document needs its own.</summary>
    private static DateTimeOffset StoredAfter(PackageRow? row, DateTimeOffset now)
    {
        // If it is further ahead than a minute, the clock was wrong then.
        var ahead = row is null ? TimeSpan.MinValue : row.Facts.StoredAt - now;
        return ahead > -OneSecond && ahead < TimeSpan.FromMinutes(1) ? row!.Facts.StoredAt + OneSecond : now;
    }

    private async Task<IReadOnlyList<WantedTarball>> FindWantedAsync(PackageName name, PackumentIndex index, RawDocument document, CancellationToken cancellationToken) =>
        IsEager ? await _eager.FindWantedAsync(name, index, document, cancellationToken) : [];

    /// <summary>Where tarballs are fetched ahead: why the package is to be tried again, or null when all are held, and after a day.</summary>
    private async Task<string?> HoldTarballsAsync(PackageName name, QueueItem? item, IReadOnlyList<WantedTarball> wanted, CancellationToken cancellationToken)
    {
        var failed = await _eager.HoldAsync(name, wanted, cancellationToken);
        return item is null || !IsDoubtOver(item, _time.GetUtcNow()) ? failed : null;
    }

    /// <summary>Notes that the upstream's present database has the same bytes: otherwise each comparison with its list would ask for them again. Null when the row has changed meanwhile.</summary>
    private async Task<PackageRow?> AdoptAsync(PackageRow row, Validators validators, CancellationToken cancellationToken)
    {
        if (_known.Identity.CouldBeSame(row.Facts.Upstream))
        {
            return row;
        }

        var commit = new PackageCommit
        {
            Name = row.Name,
            ExpectedGeneration = row.Generation,
            Facts = row.Facts with { Upstream = _known.Identity.ToString(), ETag = validators.ETag, LastModified = validators.LastModified },
            Events = [],
            IsPatient = true,
        };
        return await CommitAsync(commit, cancellationToken);
    }

    private async Task<PackageRow?> CommitAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        CrashPoint.Hit(CrashPoint.BeforeCommit);
        var result = await _measured.MeasureAsync("commit", () => _packages.CommitAsync(commit, cancellationToken));
        if (!result.IsCommitted)
        {
            return null;
        }

        CrashPoint.Hit(CrashPoint.AfterCommit);
        News.TellChanged(commit.Name, result.Generation);
        return await _packages.FindAsync(commit.Name, CancellationToken.None);
    }

    private static PendingEvent[] Pending(IReadOnlyList<RegistryEvent> events)
    {
        var pending = new PendingEvent[events.Count];
        for (var i = 0; i < pending.Length; i++)
        {
            pending[i] = EventPayload.ToPending(events[i], i);
        }

        return pending;
    }
}
