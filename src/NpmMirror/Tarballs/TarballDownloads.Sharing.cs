using System.Globalization;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Upstream;

namespace NpmMirror.Tarballs;

/// <content>One download a file: how it is started, shared and ended.</content>
internal sealed partial class TarballDownloads
{
    private const int WaitingMax = 1_000;

    // For clients, beside those that are fetched ahead: a hundred that hang delay no other.
    private const int DownloadsMax = 256;

    // A tarball of 4 GB over a poor line. It ends downloads that an upstream feeds with a byte a minute.
    private static readonly TimeSpan DownloadMax = TimeSpan.FromHours(2);
    private static readonly TimeSpan ShutdownWait = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly Dictionary<(PackageName, string), TarballArrival> _arrivals = [];
    private readonly SemaphoreSlim _slots;
    private int _isUnwritable;
    private long _fetchedCount;
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Downloads under way or waiting for their turn.</summary>
    public int Underway
    {
        get
        {
            lock (_lock)
            {
                return _arrivals.Count;
            }
        }
    }

    /// <summary>Tarballs fetched and stored since the start.</summary>
    public long FetchedCount => Interlocked.Read(ref _fetchedCount);

    /// <summary>Their bytes; also of those that are still arriving.</summary>
    public long FetchedBytes => _fetch.FetchedBytes;

    /// <summary>Breaks off downloads under way; none of their bytes are kept.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        Task[] ending;
        lock (_lock)
        {
            ending = [.. _arrivals.Values.Select(arrival => arrival.Ended)];
        }

        await Task.WhenAny(Task.WhenAll(ending), Task.Delay(ShutdownWait, _time, CancellationToken.None));
    }

    private async Task<TarballResult> OpenArrivingAsync(TarballRequest request, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(FirstByteWait, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        var arrival = Join(request);
        var isHandedOut = false;
        try
        {
            switch (await arrival.WaitForFirstBytesAsync(either.Token))
            {
                case TarballArrival.Outcome.Absent:
                    return arrival.Absence;
                case TarballArrival.Outcome.Stored when await OpenPromisedAsync(request, cancellationToken) is { } stored:
                    return new TarballResult.Opened(stored);
                case TarballArrival.Outcome.Arriving or TarballArrival.Outcome.Verified:
                    isHandedOut = true;
                    _metrics.CountOpened("arriving");
                    return new TarballResult.Opened(arrival.OpenReading());
                case TarballArrival.Outcome.Failed when arrival.Failure is { Fault: MirrorFault.StoreReadOnly }:
                    // A full disk stops keeping, not serving.
                    return await OpenPassThroughAsync(request, either.Token);
                case TarballArrival.Outcome.Failed:
                    throw arrival.Failure;
                default:
                    throw new MirrorException(MirrorFault.StoreUnavailable, $"Tarball {request.Name} was stored and taken away again within a moment; try again.", isTransient: true);
            }
        }
        catch (OperationCanceledException trouble) when (!cancellationToken.IsCancellationRequested)
        {
            throw new MirrorException(MirrorFault.UpstreamUnavailable, $"The upstream has sent nothing of tarball {request.Name} within {FirstByteWait.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s; the download goes on, try again.", isTransient: true, TimeSpan.FromSeconds(5), trouble);
        }
        finally
        {
            if (!isHandedOut)
            {
                await arrival.LeaveAsync();
            }
        }
    }

    /// <summary>Counts the caller in to the download under way, or starts one.</summary>
    private TarballArrival Join(TarballRequest request)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
            if (_arrivals.TryGetValue((request.Package, request.File), out var arrival) && arrival.TryUse())
            {
                return arrival;
            }

            if (_arrivals.Count >= WaitingMax)
            {
                throw new MirrorException(MirrorFault.UpstreamBusy, $"{WaitingMax} tarballs are being fetched or waiting for it; try again for {request.Name}.", isTransient: true, TimeSpan.FromSeconds(5));
            }

            arrival = new TarballArrival(request);
            arrival.TryUse();
            _arrivals[(request.Package, request.File)] = arrival;
            arrival.Ended = Task.Run(() => RunAsync(arrival), CancellationToken.None);
            return arrival;
        }
    }

    private async Task RunAsync(TarballArrival arrival)
    {
        // No client's token: a download belongs to all its waiters, and to later ones.
        using var limit = new CancellationTokenSource(DownloadMax, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token, limit.Token);
        try
        {
            await FetchInTurnAsync(arrival, either.Token);
        }
        catch (MirrorException failure)
        {
            Fail(arrival, failure);
        }
        catch (OperationCanceledException trouble)
        {
            Fail(arrival, new MirrorException(MirrorFault.UpstreamUnavailable, $"The download of tarball {arrival.Request.Name} was broken off: {(limit.IsCancellationRequested ? "it took too long" : "the mirror is stopping")}.", isTransient: true, inner: trouble));
        }
        catch (Exception mistake)
        {
            // The edge of this task: all waiters must hear of it.
            LogMistake(arrival.Request.Name, mistake);
            Fail(arrival, new MirrorException(MirrorFault.StoreUnavailable, $"The download of tarball {arrival.Request.Name} failed: {mistake.Message}", isTransient: true, inner: mistake));
        }
        finally
        {
            lock (_lock)
            {
                _arrivals.Remove((arrival.Request.Package, arrival.Request.File));
            }

            await arrival.LeaveAsync();
        }
    }

    private async Task FetchInTurnAsync(TarballArrival arrival, CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken);
        try
        {
            // An earlier download may have ended between the caller's look-up and now.
            if (!arrival.Request.IsRepair && await OpenPromisedAsync(arrival.Request, cancellationToken) is { } stored)
            {
                await stored.DisposeAsync();
                arrival.FindStored();
                return;
            }

            await _fetch.FetchAsync(arrival, cancellationToken);
            if (arrival.Now == TarballArrival.Outcome.Absent)
            {
                _metrics.CountFetched("absent");
                _failures.Remember(arrival.Request, arrival.Absence, _fetch.IsFresh(arrival.Request));
            }
            else
            {
                _metrics.CountFetched("held");
                Interlocked.Increment(ref _fetchedCount);
                _failures.Forget(arrival.Request);
                NoteWritable();
            }
        }
        finally
        {
            _slots.Release();
        }
    }

    private void Fail(TarballArrival arrival, MirrorException failure)
    {
        _metrics.CountFetched(failure.Fault == MirrorFault.UpstreamMalformed ? "corrupt" : "failed");
        if (failure.Fault is MirrorFault.StoreReadOnly)
        {
            NoteUnwritable(failure);
        }
        else
        {
            LogFailed(arrival.Request.Name, failure.Message);
            _failures.Remember(arrival.Request, failure);
        }

        arrival.Fail(failure);
    }

    // One line when it begins and one when it ends, for any number of tarballs meanwhile.
    private void NoteUnwritable(MirrorException failure)
    {
        if (Interlocked.Exchange(ref _isUnwritable, 1) == 0)
        {
            LogUnwritable(failure.Message);
        }
    }

    private void NoteWritable()
    {
        if (Interlocked.Exchange(ref _isUnwritable, 0) == 1)
        {
            LogWritable();
        }
    }

    private async Task<TarballResult> OpenPassThroughAsync(TarballRequest request, CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken);
        TarballReading? reading = null;
        try
        {
            switch (await _fetch.AskAsync(request, cancellationToken))
            {
                case TarballAnswer.Opened opened:
                    reading = new TarballPassThrough(request, opened, () => _slots.Release());
                    _metrics.CountOpened("unstored");
                    return new TarballResult.Opened(reading);
                case TarballAnswer.Absent absent:
                    return TarballFetch.Explain(request, absent);
                default:
                    throw new System.Diagnostics.UnreachableException();
            }
        }
        finally
        {
            if (reading is null)
            {
                _slots.Release();
            }
        }
    }

    [LoggerMessage(EventIds.Mirror + 213, LogLevel.Debug, "Tarball {Tarball} was not fetched: {Problem}")]
    private partial void LogFailed(string tarball, string problem);

    [LoggerMessage(EventIds.Mirror + 214, LogLevel.Warning, "Tarballs cannot be stored and go to their clients unstored: {Problem}")]
    private partial void LogUnwritable(string problem);

    [LoggerMessage(EventIds.Mirror + 216, LogLevel.Information, "Tarballs can be stored again")]
    private partial void LogWritable();

    [LoggerMessage(EventIds.Mirror + 215, LogLevel.Error, "The download of tarball {Tarball} failed unexpectedly")]
    private partial void LogMistake(string tarball, Exception mistake);
}
