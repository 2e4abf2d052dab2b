using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Tarballs;

/// <summary>
/// Tarballs from the store, else from the upstream: one download a file however many ask, verified while it is written, and never
/// kept if it does not match the packument's promise.
/// </summary>
internal sealed partial class TarballDownloads : IAsyncDisposable
{
    private const int RowsRememberedMin = 10_000;
    private const int LettingGoTriesMax = 5;

    /// <summary>How long a client waits for the first byte.</summary>
    private static readonly TimeSpan FirstByteWait = TimeSpan.FromSeconds(30);

    private readonly ITarballTable _rows;
    private readonly IBlobStore _blobs;
    private readonly MirrorOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TarballMetrics _metrics;
    private readonly TarballFetch _fetch;
    private readonly TarballFailures _failures;

    // Held rows without a problem: their hash never changes. A row whose blob turns out to be missing is dropped.
    private readonly BoundedCache<(PackageName, string), TarballRow> _held = new("stored tarballs", RowsRememberedMin);

    /// <summary>Uses the stores and the upstream given.</summary>
    public TarballDownloads(ITarballTable rows, IBlobStore blobs, RegistryClient upstream, MirrorOptions options, TimeProvider time, ILogger<TarballDownloads> logger, Meter? meter = null)
    {
        (_rows, _blobs, _options, _time, _logger) = (rows, blobs, options, time, logger);
        _metrics = new TarballMetrics(meter ?? Telemetry.Unread);
        _held.MeasureIn(meter);
        _fetch = new TarballFetch(rows, blobs, upstream, _metrics, time, logger);
        _failures = new TarballFailures(options, time, meter);
        _slots = new SemaphoreSlim(DownloadsMax + (options.Concurrency * (1 + RequestPlaces.SlowPerPlace)));
    }

    /// <summary>Opens a tarball of a version that the packument lists. Waits for the first bytes that can be given out, not for the download's end.</summary>
    /// <exception cref="MirrorException">Upstream or store trouble, or a source that is not allowed.</exception>
    public async Task<TarballResult> OpenAsync(PackageName package, VersionEntry version, string upstreamUrl, TarballPromise promise, CancellationToken cancellationToken)
    {
        var request = new TarballRequest(package, version, upstreamUrl, promise);
        if (await OpenPromisedAsync(request, cancellationToken) is { } stored)
        {
            _metrics.CountOpened("stored");
            return new TarballResult.Opened(stored);
        }

        if (_options.Tarballs == TarballMode.Never)
        {
            return new TarballResult.Absent(404, $"Tarball {request.Name} is not stored, and this mirror fetches none (tarballs=never).");
        }

        return _failures.Recall(request) ?? await OpenArrivingAsync(request, cancellationToken);
    }

    /// <summary>Opens a tarball by its file name only, also if the packument does not list it any more: only stored ones.</summary>
    public async Task<TarballReading?> OpenStoredAsync(PackageName package, string file, CancellationToken cancellationToken)
    {
        var stored = _held.TryGet((package, file), out var remembered) ? await TryOpenAsync(remembered, cancellationToken) : null;
        if (stored is null)
        {
            // Not remembered, or collected by another process meanwhile: the table knows.
            var row = await _rows.FindTarballAsync(package, file, cancellationToken);
            if (row is not { State: TarballState.Held } || await OpenHeldAsync(row, cancellationToken) is not { } held)
            {
                return null;
            }

            if (row.Problem is null)
            {
                _held.Set((package, file), row);
            }

            stored = held;
        }

        _metrics.CountOpened("stored");
        return stored;
    }

    /// <summary>True when a tarball with these bytes is held, as far as that is known without asking the store.</summary>
    public bool IsKnownToBeHeld(PackageName package, string file, Digest sha512) => _held.TryGet((package, file), out var row) && row.Sha512 == sha512;

    /// <summary>Counts a stored tarball that was opened by its path.</summary>
    public void CountStored() => _metrics.CountOpened("stored");

    /// <summary>Waits until a tarball is stored, and fetches it if it is not, in any mode. Null if it is stored, else the upstream's refusal.</summary>
    /// <exception cref="MirrorException">Upstream or store trouble, or a source that is not allowed: it is not stored.</exception>
    public async Task<TarballResult.Absent?> StoreAsync(PackageName package, VersionEntry version, string upstreamUrl, TarballPromise promise, CancellationToken cancellationToken)
    {
        var request = new TarballRequest(package, version, upstreamUrl, promise);
        if (await OpenPromisedAsync(request, cancellationToken) is { } stored)
        {
            await stored.DisposeAsync();
            return null;
        }

        if (_failures.Recall(request) is { } absent)
        {
            return absent;
        }

        return await StoreAsync(request, cancellationToken);
    }

    /// <summary>Fetches the bytes of a held row and puts them under their hash, in the place of any present file. Null if they are stored, else the upstream's refusal.</summary>
    /// <exception cref="MirrorException">Upstream or store trouble, or the upstream sends other bytes by now: nothing was mended.</exception>
    public async Task<TarballResult.Absent?> RepairAsync(TarballRow row, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(row);
        var version = new VersionEntry(row.Version, default, default, default, 0, null);
        var promise = new TarballPromise("sha512-" + Convert.ToBase64String(row.Sha512.Bytes), null);
        return await StoreAsync(new TarballRequest(row.Package, version, row.UpstreamUrl ?? "", promise) { IsRepair = true }, cancellationToken);
    }

    /// <summary>
    /// Fetches a tarball that is held with other bytes than its packument promises: the promised bytes take their place. Null if it is stored,
    /// else the upstream's refusal.
    /// </summary>
    /// <exception cref="MirrorException">Upstream or store trouble, or the upstream sends other bytes than it promises: the held ones stay.</exception>
    internal async Task<TarballResult.Absent?> ReplaceAsync(PackageName package, VersionEntry version, string upstreamUrl, TarballPromise promise, CancellationToken cancellationToken)
    {
        var request = new TarballRequest(package, version, upstreamUrl, promise) { IsRepair = true, IsReplacement = true };
        var absent = await StoreAsync(request, cancellationToken);
        _held.Remove((package, request.File));
        return absent;
    }

    private async Task<TarballResult.Absent?> StoreAsync(TarballRequest request, CancellationToken cancellationToken)
    {
        var arrival = Join(request);
        try
        {
            await arrival.Ended.WaitAsync(cancellationToken);
            return arrival switch
            {
                { StoringFailure: { } failure } => throw failure,
                { Now: TarballArrival.Outcome.Absent } => arrival.Absence,
                { Now: TarballArrival.Outcome.Stored } when request.IsRepair => throw new MirrorException(MirrorFault.StoreUnavailable, $"Tarball {request.Name} was being looked for by a client; try again.", isTransient: true),
                _ => null,
            };
        }
        finally
        {
            await arrival.LeaveAsync();
        }
    }

    /// <summary>
    /// Compares a stored tarball with a promise that may have changed since. If the earlier promise was kept, the stored bytes stay and are
    /// served, the row tells the problem, and the log raises the alarm. If there was no promise, they are dropped and fetched again. False if the promise is another.
    /// </summary>
    public async Task<bool> CheckPromiseAsync(PackageName package, string version, TarballPromise promise, CancellationToken cancellationToken)
    {
        var file = TarballUrls.FileName(package, version);
        var row = await _rows.FindTarballAsync(package, file, cancellationToken);
        if (row is not { State: TarballState.Held })
        {
            return true;
        }

        var (isChecked, problem) = await PromiseCheck.FindProblemAsync(_blobs, row, promise, cancellationToken);
        if (problem is not null && row.IsUnpromised)
        {
            await LetGoAsync(row, problem, cancellationToken);
        }
        else if (problem is not null)
        {
            await RaiseAlarmAsync(row, problem, cancellationToken);
        }
        else if (isChecked && row.IsUnpromised)
        {
            await TryPutAsync(row with { Problem = null }, cancellationToken);
        }

        return problem is null;
    }

    /// <summary>The stored tarball as the packument promises it: by its row, or by the promised hash where only the row is missing.</summary>
    private async Task<TarballReading?> OpenPromisedAsync(TarballRequest request, CancellationToken cancellationToken)
    {
        var row = await _rows.FindTarballAsync(request.Package, request.File, cancellationToken);
        if (row is { State: TarballState.Held, IsUnpromised: true } && request.IsPromised)
        {
            row = await CheckPromiseAsync(request.Package, request.Version.Version, request.Promise, cancellationToken) ? row : null;
        }

        if (row is { State: TarballState.Held })
        {
            if (!request.PromisedSha512.IsEmpty && request.PromisedSha512 != row.Sha512)
            {
                using var check = new IntegrityCheck(request.Promise);
                await RaiseAlarmAsync(row, check.Verify(row.Sha512.Bytes) ?? "", cancellationToken);
            }

            return await OpenHeldAsync(row, cancellationToken);
        }

        return request.PromisedSha512.IsEmpty ? null : await AdoptAsync(request, cancellationToken);
    }

    // The bytes are there under the promised hash: a crash came between blob and row, or another package has the same tarball.
    private async Task<TarballReading?> AdoptAsync(TarballRequest request, CancellationToken cancellationToken)
    {
        var blob = await _blobs.OpenAsync(request.PromisedSha512, cancellationToken);
        if (blob is null)
        {
            return null;
        }

        var row = new TarballRow
        {
            Package = request.Package,
            File = request.File,
            Version = request.Version.Version,
            State = TarballState.Held,
            Sha512 = request.PromisedSha512,
            SizeBytes = blob.LengthBytes,
            UpstreamUrl = request.UpstreamUrl,
            VerifiedAt = _time.GetUtcNow(),
        };
        try
        {
            await _rows.PutTarballAsync(row, cancellationToken);
        }
        catch (MirrorException trouble)
        {
            LogUnrecorded(request.Name, trouble.Message);
        }
        catch
        {
            await blob.DisposeAsync();
            throw;
        }

        // Until the row was written, gc saw no need for these bytes. It takes them out of sight before it looks for rows a last time, so one of the two
        // sees the other: bytes still in sight now stay, others are fetched.
        if (await _blobs.ExistsAsync(row.Sha512, cancellationToken))
        {
            return new TarballStored(row, blob);
        }

        await blob.DisposeAsync();
        return null;
    }

    private async Task<TarballReading?> OpenHeldAsync(TarballRow row, CancellationToken cancellationToken)
    {
        var stored = await TryOpenAsync(row, cancellationToken);
        if (stored is null)
        {
            LogBlobLost($"{row.Package}/{row.File}", row.Sha512, _blobs.Location);
        }

        return stored;
    }

    private async Task<TarballReading?> TryOpenAsync(TarballRow row, CancellationToken cancellationToken)
    {
        var blob = await _blobs.OpenAsync(row.Sha512, cancellationToken);
        if (blob?.LengthBytes == row.SizeBytes)
        {
            return new TarballStored(row, blob);
        }

        _held.Remove((row.Package, row.File));
        if (blob is not null)
        {
            await blob.DisposeAsync();
        }

        return null;
    }

    private async Task RaiseAlarmAsync(TarballRow row, string mismatch, CancellationToken cancellationToken)
    {
        var alarmed = row with { Problem = $"The upstream's packument now promises other bytes for this version than those stored and verified before: {mismatch} The stored ones are kept and served; npm-mirror verify --repair takes the new ones." };
        if (row.Problem == alarmed.Problem)
        {
            return;
        }

        LogPromiseChanged($"{row.Package}/{row.File}", mismatch);
        await TryPutAsync(alarmed, cancellationToken);
        _held.Remove((row.Package, row.File));
    }

    // No hash was promised for them, and now there is one for other bytes. gc deletes them.
    private async Task LetGoAsync(TarballRow row, string mismatch, CancellationToken cancellationToken)
    {
        for (var tries = 0; tries < LettingGoTriesMax; tries++)
        {
            if (await _rows.ForgetTarballAsync(row, cancellationToken))
            {
                LogLetGo($"{row.Package}/{row.File}", mismatch);
                return;
            }

            // Served meanwhile, or another process was here first.
            if (await _rows.FindTarballAsync(row.Package, row.File, cancellationToken) is not { State: TarballState.Held, IsUnpromised: true } now)
            {
                return;
            }

            row = now;
        }
    }

    // A store that cannot be written must not hide the tarball's known problem.
    private async Task TryPutAsync(TarballRow row, CancellationToken cancellationToken)
    {
        try
        {
            await _rows.PutTarballAsync(row, cancellationToken);
        }
        catch (MirrorException trouble)
        {
            LogUnrecorded($"{row.Package}/{row.File}", trouble.Message);
        }
    }

    [LoggerMessage(EventIds.Mirror + 210, LogLevel.Error, "The upstream changed what it promises for tarball {Tarball}, which is held: {Mismatch} The old bytes are kept and served; find out who republished it, and run npm-mirror verify --repair if the new ones are right")]
    private partial void LogPromiseChanged(string tarball, string mismatch);

    [LoggerMessage(EventIds.Mirror + 217, LogLevel.Warning, "Tarball {Tarball} was stored when no hash was promised for it, and its bytes do not match the hash that is promised now: {Mismatch} It is fetched again")]
    private partial void LogLetGo(string tarball, string mismatch);

    [LoggerMessage(EventIds.Mirror + 211, LogLevel.Warning, "Tarball {Tarball} is recorded as stored, but its bytes ({Sha512}) are missing or cut in {Location}; it is fetched again")]
    private partial void LogBlobLost(string tarball, Digest sha512, string location);

    [LoggerMessage(EventIds.Mirror + 212, LogLevel.Debug, "The row of tarball {Tarball} could not be written: {Problem}")]
    private partial void LogUnrecorded(string tarball, string problem);
}
