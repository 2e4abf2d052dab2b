using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Notes;
using NpmMirror.Storage;

namespace NpmMirror.Following;

/// <summary>
/// Of several nodes on one store one leads: it follows the feed and compares lists. The others serve, process the queue, and stand by. The leader holds a
/// lease that it renews; when it does not for <see cref="Duration"/>, another node takes the lease.
/// </summary>
/// <param name="leases">The store's leases.</param>
/// <param name="notes">Where the leader notes that it follows, for the others.</param>
/// <param name="node">This node's name, for messages.</param>
/// <param name="isFollowing">Whether this node has a live connection to the feed.</param>
/// <param name="time">The clock of the pauses.</param>
/// <param name="logger">Where changes of the leader are told.</param>
internal sealed partial class Leadership(ILeaseTable leases, INoteTable notes, string node, Func<bool> isFollowing, TimeProvider time, ILogger logger)
{
    /// <summary>The lease of the leader.</summary>
    internal const string LeaseName = "lead";

    /// <summary>How long a leader that is gone holds the others up, at most, besides one <see cref="Beat"/>.</summary>
    internal static readonly TimeSpan Duration = TimeSpan.FromSeconds(7);

    /// <summary>How often the leader renews, and the others look.</summary>
    internal static readonly TimeSpan Beat = TimeSpan.FromSeconds(2);

    // A name may come again after a restart; an owner does not.
    private readonly string _owner = Guid.NewGuid().ToString("N");
    private long _beats;
    private string? _lastHeard;
    private long _heardAt;
    private bool _isHeard;

    /// <summary>Whether this node leads.</summary>
    internal bool IsLeading { get; private set; }

    /// <summary>Whether another node was heard lately to follow the feed.</summary>
    internal bool IsFollowedByAnother => !IsLeading && Volatile.Read(ref _isHeard) && time.GetElapsedTime(Volatile.Read(ref _heardAt)) < Duration;

    /// <summary>Runs the work of a leader whenever this node leads, until the token is cancelled. The work's own token is cancelled when the lease is lost.</summary>
    internal async Task RunAsync(Func<CancellationToken, Task> lead, CancellationToken cancellationToken)
    {
        var isTold = false;
        while (!cancellationToken.IsCancellationRequested)
        {
            if (await TryHoldAsync(cancellationToken) == true)
            {
                isTold = false;
                await LeadAsync(lead, cancellationToken);
                continue;
            }

            if (!isTold)
            {
                LogStandingBy();
                isTold = true;
            }

            await HearAsync(cancellationToken);
            await PauseAsync(cancellationToken);
        }
    }

    private async Task LeadAsync(Func<CancellationToken, Task> lead, CancellationToken cancellationToken)
    {
        LogLeading(node);
        // Ends before the lease does, also if the store cannot be asked or the machine slept: then another node may lead.
        using var lease = new CancellationTokenSource(Duration - Beat, time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lease.Token);
        IsLeading = true;
        var renewing = RenewAsync(lease, ending.Token);
        try
        {
            await lead(ending.Token);
        }
        finally
        {
            IsLeading = false;
            if (lease.IsCancellationRequested)
            {
                LogLost();
            }

            await ending.CancelAsync();
            await renewing;
            await GiveBackAsync();
        }
    }

    /// <summary>Renews the lease until the work ends, and ends the work when another node has the lease.</summary>
    private async Task RenewAsync(CancellationTokenSource lease, CancellationToken ending)
    {
        while (!ending.IsCancellationRequested)
        {
            await PauseAsync(ending);
            var askedAt = time.GetTimestamp();
            switch (ending.IsCancellationRequested ? null : await TryHoldAsync(ending))
            {
                case true:
                    var left = Duration - Beat - time.GetElapsedTime(askedAt);
                    lease.CancelAfter(left > TimeSpan.Zero ? left : TimeSpan.Zero);
                    await (isFollowing() ? BeatAsync(ending) : Task.CompletedTask);
                    break;
                case false:
                    await lease.CancelAsync();
                    break;
            }
        }
    }

    /// <summary>Null if the store cannot be asked.</summary>
    private async Task<bool?> TryHoldAsync(CancellationToken cancellationToken)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        late.CancelAfter(Beat);
        try
        {
            return await leases.TryHoldLeaseAsync(LeaseName, _owner, Duration, late.Token);
        }
        catch (Exception trouble) when (trouble is MirrorException or OperationCanceledException)
        {
            return null;
        }
    }

    private async Task BeatAsync(CancellationToken cancellationToken)
    {
        try
        {
            await notes.SetNoteAsync(MirrorCursors.Leader, $"{node} {_owner} {++_beats}", cancellationToken);
        }
        catch (Exception trouble) when (trouble is MirrorException or OperationCanceledException)
        {
            // The others compare packages by age until the next beat.
        }
    }

    /// <summary>Clocks of nodes differ: a beat is news if it is another one than before.</summary>
    private async Task HearAsync(CancellationToken cancellationToken)
    {
        try
        {
            var heard = await notes.FindNoteAsync(MirrorCursors.Leader, cancellationToken) ?? "";
            if (_lastHeard is not null && heard != _lastHeard)
            {
                Volatile.Write(ref _heardAt, time.GetTimestamp());
                Volatile.Write(ref _isHeard, true);
            }

            _lastHeard = heard;
        }
        catch (Exception trouble) when (trouble is MirrorException or OperationCanceledException)
        {
            // Nothing was heard.
        }
    }

    private async Task GiveBackAsync()
    {
        try
        {
            await leases.ReleaseLeaseAsync(LeaseName, _owner, CancellationToken.None).AsTask().WaitAsync(Beat, time);
        }
        catch (Exception trouble) when (trouble is MirrorException or TimeoutException)
        {
            // It ends by itself.
        }
    }

    private Task PauseAsync(CancellationToken cancellationToken) => Task.Delay(Beat, time, cancellationToken).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    [LoggerMessage(EventIds.Mirror + 20, LogLevel.Information, "This node ({Node}) leads: it follows the upstream for all nodes on this store")]
    private partial void LogLeading(string node);

    [LoggerMessage(EventIds.Mirror + 21, LogLevel.Information, "Another node leads; this one serves, processes the queue, and stands by")]
    private partial void LogStandingBy();

    [LoggerMessage(EventIds.Mirror + 22, LogLevel.Warning, "This node leads no more: its lease was not renewed in time, or another node has it")]
    private partial void LogLost();
}
