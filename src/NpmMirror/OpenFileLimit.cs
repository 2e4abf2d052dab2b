using System.Runtime.InteropServices;

namespace NpmMirror;

/// <summary>How many files and sockets this process may have open at once, and how many clients that is enough for.</summary>
internal static partial class OpenFileLimit
{
    /// <summary>Below this the runtime cannot even load the program.</summary>
    internal const int LeastToRun = 256;

    // The process needs these beside its clients: the runtime and its libraries have some 250, the store at most 30, the rest is in reserve.
    private const int Reserve = 400;

    // For each request to the upstream: its socket, the file that is written, the file that is read meanwhile, and one in hand.
    private const int PerUpstreamRequest = 4;

    // A client's socket, and the file or the forwarded request that it is answered from.
    private const int PerClient = 2;

    private const int LeastClients = 32;
    private const int MostClients = 1_000_000;

    /// <summary>The limit in force; <see cref="long.MaxValue"/> if there is none. At its start the runtime has raised it as far as it may.</summary>
    internal static long Read()
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
        {
            return long.MaxValue;
        }

        // RLIMIT_NOFILE.
        return GetLimit(OperatingSystem.IsMacOS() ? 8 : 7, out var limit) == 0 && limit.Current < long.MaxValue ? (long)limit.Current : long.MaxValue;
    }

    /// <summary>How many clients may be connected at once.</summary>
    /// <param name="limit">The limit on open files and sockets.</param>
    /// <param name="concurrency">Concurrent requests to the upstream.</param>
    /// <exception cref="MirrorException">The limit is too small to serve any client.</exception>
    internal static int ClientsMax(long limit, int concurrency)
    {
        var reserve = Reserve + (PerUpstreamRequest * concurrency);
        var clients = (int)Math.Min((limit - reserve) / PerClient, MostClients);
        return clients >= LeastClients
            ? clients
            : throw new MirrorException(MirrorFault.Configuration, TooSmall(limit, reserve + (PerClient * LeastClients)));
    }

    /// <summary>The sentence for a limit that is too small.</summary>
    internal static string TooSmall(long limit, long needed) =>
        $"This process may have {limit} files and sockets open at once, and needs {needed}; raise its limit (ulimit -n, or LimitNOFILE of its service).";

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out Limit limit);

    [StructLayout(LayoutKind.Sequential)]
    private struct Limit
    {
        internal nuint Current;
        internal nuint Highest;
    }
}
