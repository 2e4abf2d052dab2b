using System.Net;
using System.Net.Sockets;

namespace NpmMirror.Tests;

/// <summary>A port of 127.0.0.1 for a program that takes a number only. One that can take a socket or port 0 should: see <see cref="HeldPort"/>.</summary>
internal static class FreePort
{
    private const int TriesMax = 1_000;

    /// <summary>A port below those that the system gives out: nobody takes it before the program starts, nor while it is stopped.</summary>
    internal static int Find()
    {
        for (var tries = 1; ; tries++)
        {
            var port = Random.Shared.Next(20_000, 32_000);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException) when (tries < TriesMax)
            {
                // Taken.
            }
        }
    }
}
