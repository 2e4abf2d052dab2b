using System.Buffers.Binary;
using System.Net.Sockets;

namespace NpmMirror.AspNetCore.Connections;

/// <summary>How many of the bytes written to its connection a client's system has taken.</summary>
/// <param name="TakenBytes">Bytes that it has acknowledged.</param>
/// <param name="IsAll">Whether these are all the bytes that the kernel was given.</param>
internal readonly record struct TcpProgress(ulong TakenBytes, bool IsAll)
{
    // struct tcp_info of Linux: tcpi_unacked, tcpi_bytes_acked (in the kernel since 4.1) and tcpi_notsent_bytes (4.6).
    private const int TcpLevel = 6;
    private const int TcpInfo = 11;
    private const int UnackedAt = 24;
    private const int AckedAt = 120;
    private const int NotSentAt = 144;

    /// <summary>That of a socket; null if the system does not tell.</summary>
    internal static TcpProgress? Of(Socket? socket)
    {
        if (socket is null || !OperatingSystem.IsLinux())
        {
            return null;
        }

        try
        {
            Span<byte> info = stackalloc byte[NotSentAt + sizeof(uint)];
            return socket.GetRawSocketOption(TcpLevel, TcpInfo, info) != info.Length ? null : new TcpProgress(
                BinaryPrimitives.ReadUInt64LittleEndian(info[AckedAt..]),
                BinaryPrimitives.ReadUInt32LittleEndian(info[UnackedAt..]) == 0 && BinaryPrimitives.ReadUInt32LittleEndian(info[NotSentAt..]) == 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // No TCP, or over.
            return null;
        }
    }
}
