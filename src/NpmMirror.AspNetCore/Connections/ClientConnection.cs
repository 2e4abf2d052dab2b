using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace NpmMirror.AspNetCore.Connections;

/// <summary>
/// A client's connection as <see cref="ClientConnections"/> sees it: it is answered, it waits on behalf of a follower, or it is idle. A head that has
/// not come whole is no request yet.
/// </summary>
internal sealed class ClientConnection(ClientConnections all, ConnectionContext connection, TimeProvider time)
{
    // Far enough below zero that requests which come now do not lead back.
    private const int ClosedMark = int.MinValue / 2;

    /// <summary>A client that has not taken the last bytes of its answer by then does not want them.</summary>
    internal static readonly TimeSpan LastBytesWait = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan LeavesWithin = TimeSpan.FromSeconds(1);

    private readonly Socket? _socket = connection.Features.Get<IConnectionSocketFeature>()?.Socket;
    private int _requests;
    private long _since = time.GetTimestamp();
    private ulong _takenBytes;
    private long _takenAt;
    private volatile bool _isWaiting;
    private IConnectionOutput? _output;

    /// <summary>Whether the limit has closed it a moment ago. One that does not end for longer is not waited for.</summary>
    internal bool IsLeaving => Volatile.Read(ref _requests) < 0 && Age < LeavesWithin;

    /// <summary>How long it has been idle; null while it is not.</summary>
    internal TimeSpan? IdleFor => Volatile.Read(ref _requests) == 0 && !IsTaking() ? Age : null;

    /// <summary>How long ago a follower asked that waits for something to tell; null for anything else.</summary>
    internal TimeSpan? WaitingFor => _isWaiting && Volatile.Read(ref _requests) == 1 ? Age : null;

    private TimeSpan Age => time.GetElapsedTime(Volatile.Read(ref _since));

    /// <summary>A request has come.</summary>
    internal void Begin()
    {
        if (Interlocked.Increment(ref _requests) == 1)
        {
            Volatile.Write(ref _since, time.GetTimestamp());
        }
    }

    /// <summary>It is answered.</summary>
    internal void End()
    {
        // The moment first: without an answer in hand an old moment would count.
        Volatile.Write(ref _since, time.GetTimestamp());
        Interlocked.Decrement(ref _requests);
    }

    /// <summary>Says that a follower has been told everything there is, or that there is more.</summary>
    internal void SetWaiting(bool isWaiting) => _isWaiting = isWaiting;

    /// <summary>Closes it if it is idle still.</summary>
    internal bool TryCloseIdle() => TryClose(requests: 0);

    /// <summary>Closes it if a follower waits there still, and nothing else goes on.</summary>
    internal bool TryCloseWaiting() => _isWaiting && TryClose(requests: 1);

    /// <summary>What is written to the connection goes through this.</summary>
    internal void WritesThrough(IConnectionOutput output) => _output = output;

    /// <summary>The connection is over.</summary>
    internal void Leave() => all.Remove(this);

    /// <summary>Whether the client still takes the end of its answer, which may lie in the kernel for long.</summary>
    private bool IsTaking()
    {
        var progress = TcpProgress.Of(_socket);
        if (_output is not { IsDrained: false } && progress is not { IsAll: false })
        {
            return false;
        }

        if (progress is { TakenBytes: var taken } && taken != Volatile.Read(ref _takenBytes))
        {
            // Seen for the first time, or more than at the look before.
            Volatile.Write(ref _takenBytes, taken);
            Volatile.Write(ref _takenAt, time.GetTimestamp());
        }

        return time.GetElapsedTime(Math.Max(Volatile.Read(ref _since), Volatile.Read(ref _takenAt))) < LastBytesWait;
    }

    private bool TryClose(int requests)
    {
        if (Interlocked.CompareExchange(ref _requests, ClosedMark, requests) != requests)
        {
            return false;
        }

        Volatile.Write(ref _since, time.GetTimestamp());
        connection.Abort(new ConnectionAbortedException("Other clients wait for a connection."));
        return true;
    }
}
