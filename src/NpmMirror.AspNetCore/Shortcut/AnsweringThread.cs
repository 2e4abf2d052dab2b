using System.Globalization;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace NpmMirror.AspNetCore.Shortcut;

/// <summary>
/// The thread on which a connection is answered. The runtime sees arrivals on threads of its own and hands each over to its pool, which costs more than a
/// remembered answer does. A connection that gets remembered answers stays on the thread that sees its requests. Other work leaves that thread
/// first, because other connections wait for it.
/// </summary>
internal sealed class AnsweringThread(Socket socket)
{
    /// <summary>After answers of this weight the other connections come first. To leave costs as much as several answers.</summary>
    internal const int WeightMax = 1024;

    /// <summary>The weight of an answer after which the next request is there already: such a client never pauses for others.</summary>
    internal const int PipelinedWeight = 16;

    // The runtime reads it once, before it sees the first arrival; without it, one thread sees all arrivals.
    private const string CountSetting = "DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT";

    private static readonly bool IsOfUse = OperatingSystem.IsLinux() && IsEnough(Environment.GetEnvironmentVariable(CountSetting), Environment.ProcessorCount) && IsKnown();

    private bool _isHere;
    private int _weight;

    /// <summary>Asks the runtime for as many threads as there are processors, unless the operator did. For a program that has used no socket so far.</summary>
    internal static void AskForThreads()
    {
        if (Environment.GetEnvironmentVariable(CountSetting) is null)
        {
            Environment.SetEnvironmentVariable(CountSetting, Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture));
        }
    }

    /// <summary>Whether so many threads are as good as the pool: with fewer than one for two processors the pool gives more answers a second, at a higher cost of each.</summary>
    internal static bool IsEnough(string? count, int processors) =>
        2L * (int.TryParse(count, CultureInfo.InvariantCulture, out var threads) ? threads : 1) >= processors;

    /// <summary>Whether this runtime can do it: that is no part of its public interface.</summary>
    internal static bool IsKnown()
    {
        try
        {
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            SetPreferInlineCompletions(probe, false);
            return true;
        }
        catch (Exception e) when (e is MissingMethodException or SocketException)
        {
            return false;
        }
    }

    /// <summary>After a remembered answer: the next one is given on the thread that sees its request. True if others come first now: go on on the pool.</summary>
    internal bool Stay(bool isNextThere)
    {
        if (IsOfUse && !_isHere)
        {
            _isHere = true;
            SetPreferInlineCompletions(socket, true);
        }

        _weight += isNextThere ? PipelinedWeight : 1;
        if (_weight < WeightMax)
        {
            return false;
        }

        _weight = 0;
        return true;
    }

    /// <summary>Before other work: it is done on the pool, and so is all that follows until the next remembered answer. True if the thread is to be left.</summary>
    /// <param name="hasWaited">Whether the request was waited for: then this is a thread that has seen it come.</param>
    internal bool Leave(bool hasWaited)
    {
        if (!_isHere)
        {
            return hasWaited;
        }

        _isHere = false;
        SetPreferInlineCompletions(socket, false);
        return true;
    }

    // Does for one socket what DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=1 does for all: with that, packuments that come from the upstream would be read on these threads too.
    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "set_PreferInlineCompletions")]
    private static extern void SetPreferInlineCompletions(Socket socket, bool value);
}
