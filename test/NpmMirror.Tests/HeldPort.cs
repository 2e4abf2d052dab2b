using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace NpmMirror.Tests;

/// <summary>
/// A port of 127.0.0.1 that stays taken: a server gets the bound socket itself and not a number that another program may take first. Several servers may
/// have it, one after the other.
/// </summary>
internal sealed class HeldPort : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    internal HeldPort()
    {
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _socket.Listen();
    }

    /// <summary>Its number.</summary>
    internal int Number => ((IPEndPoint)_socket.LocalEndPoint!).Port;

    /// <summary>The socket for a server, which closes it.</summary>
    internal ulong ForServer()
    {
        var descriptor = dup((int)_socket.Handle);
        Assert.True(descriptor > 0, Marshal.GetLastPInvokeErrorMessage());
        return (ulong)descriptor;
    }

    public void Dispose() => _socket.Dispose();

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int dup(int descriptor);
}
