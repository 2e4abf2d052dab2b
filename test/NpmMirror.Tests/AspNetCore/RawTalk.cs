using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Talks to a mirror byte for byte, several requests on one connection.</summary>
internal static partial class RawTalk
{
    // The end of the request ends its answer: a busy machine must have had its time for the first byte.
    private static readonly TimeSpan UntilFirst = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan UntilNext = TimeSpan.FromSeconds(2);

    /// <summary>Sends all at once, reads to the end, and gives each answer with its headers sorted, but for their date. The end is helped when nothing comes any more.</summary>
    internal static async Task<List<string>> TalkAsync(ServedMirror mirror, string text)
    {
        using var socket = await ConnectAsync(mirror);
        await socket.SendAsync(Encoding.Latin1.GetBytes(text), TestContext.Current.CancellationToken);
        var received = new StringBuilder();
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                var reading = socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.None, TestContext.Current.CancellationToken).AsTask();
                if (await Task.WhenAny(reading, Task.Delay(received.Length == 0 ? UntilFirst : UntilNext, TimeProvider.System, TestContext.Current.CancellationToken)) != reading)
                {
                    socket.Shutdown(SocketShutdown.Send);
                }

                var read = await reading.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
                if (read == 0)
                {
                    break;
                }

                received.Append(Encoding.Latin1.GetString(buffer, 0, read));
            }
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // The server discards what follows a refused request, with the connection.
        }

        return AnswersIn(received.ToString());
    }

    private static List<string> AnswersIn(string received)
    {
        var answers = new List<string>();
        while (received.IndexOf("\r\n\r\n", StringComparison.Ordinal) is var end and >= 0)
        {
            var lines = received[..end].Split("\r\n");
            var length = lines.FirstOrDefault(line => line.StartsWith("Content-Length: ", StringComparison.Ordinal))?["Content-Length: ".Length..];
            var next = Math.Min(received.Length, end + 4 + int.Parse(length ?? "0", CultureInfo.InvariantCulture));
            if (lines[0].StartsWith("HTTP/1.1 400 ", StringComparison.Ordinal))
            {
                // The server refuses an invalid request without a message; the connection refuses some with one.
                answers.Add(lines[0]);
                received = received[next..];
                continue;
            }

            answers.Add(string.Join('\n', lines.Take(1).Concat(lines.Skip(1).Where(line => !line.StartsWith("Date: ", StringComparison.Ordinal)).Order(StringComparer.Ordinal))) + "\n\n" + received[(end + 4)..next]);
            received = received[next..];
        }

        Assert.Equal("", received);
        return answers;
    }

    /// <summary>Asks, reads one answer and leaves the connection open.</summary>
    internal static async Task AskAsync(Socket socket, string request)
    {
        await socket.SendAsync(Encoding.ASCII.GetBytes(request), TestContext.Current.CancellationToken);
        var buffer = new byte[64 * 1024];
        for (var read = 0; ;)
        {
            var piece = await socket.ReceiveAsync(buffer.AsMemory(read), SocketFlags.None, TestContext.Current.CancellationToken);
            Assert.NotEqual(0, piece);
            read += piece;
            var text = Encoding.Latin1.GetString(buffer, 0, read);
            if (text.IndexOf("\r\n\r\n", StringComparison.Ordinal) is var end and > 0 && text.Length - end - 4 == int.Parse(Lengths().Match(text).Groups[1].ValueSpan, CultureInfo.InvariantCulture))
            {
                return;
            }
        }
    }

    internal static async Task<Socket> ConnectAsync(ServedMirror mirror, int receiveBytes = 0)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (receiveBytes > 0)
        {
            socket.ReceiveBufferSize = receiveBytes;
        }

        await socket.ConnectAsync(IPAddress.Loopback, mirror.Address.Port, TestContext.Current.CancellationToken);
        return socket;
    }

    [GeneratedRegex("Content-Length: ([0-9]+)")]
    private static partial Regex Lengths();
}
