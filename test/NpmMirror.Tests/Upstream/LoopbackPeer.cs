using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace NpmMirror.Tests.Upstream;

/// <summary>A peer on loopback that answers each request with the very bytes a test gives, piece by piece when wanted.</summary>
internal sealed class LoopbackPeer : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Func<PeerRequest, Stream, CancellationToken, Task> _answer;
    private readonly Task _accepting;

    internal LoopbackPeer(Func<PeerRequest, Stream, CancellationToken, Task> answer, Func<Stream, Task<Stream>>? wrap = null, string address = "127.0.0.1")
    {
        _answer = answer;
        _listener = new TcpListener(IPAddress.Parse(address), 0);
        _listener.Start();
        _accepting = AcceptAsync(wrap ?? Task.FromResult);
    }

    internal LoopbackPeer(Func<PeerRequest, string> answer)
        : this((request, stream, cancellationToken) => stream.WriteAsync(Encoding.UTF8.GetBytes(answer(request)), cancellationToken).AsTask())
    {
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    internal Uri Url => new($"http://{_listener.LocalEndpoint}/");

    internal ConcurrentQueue<PeerRequest> Requests { get; } = new();

    /// <summary>A whole answer that closes the connection.</summary>
    internal static string Answer(int status, string body, string headers = "Content-Type: application/json\r\n") =>
        $"HTTP/1.1 {status} X\r\n{headers}Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}";

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Stop();
        await _accepting;
        _stopping.Dispose();
    }

    private async Task AcceptAsync(Func<Stream, Task<Stream>> wrap)
    {
        var connections = new List<Task>();
        try
        {
            while (true)
            {
                connections.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stopping.Token), wrap));
            }
        }
        catch (Exception) when (_stopping.IsCancellationRequested)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task ServeAsync(TcpClient client, Func<Stream, Task<Stream>> wrap)
    {
        using (client)
        {
            client.NoDelay = true;
            try
            {
                await using var stream = await wrap(client.GetStream());
                if (await PeerRequest.ReadAsync(stream, _stopping.Token) is { } request)
                {
                    Requests.Enqueue(request);
                    await _answer(request, stream, _stopping.Token);
                    await stream.FlushAsync(_stopping.Token);
                    client.Client.Shutdown(SocketShutdown.Send);
                }
            }
            catch (Exception exception) when (exception is OperationCanceledException or IOException or SocketException or System.Security.Authentication.AuthenticationException)
            {
                // The client left, or the test ended.
            }
        }
    }
}

/// <summary>A request as it came over the wire.</summary>
internal sealed record PeerRequest(string Method, string Target, IReadOnlyDictionary<string, string> Headers)
{
    internal string? this[string header] => Headers.GetValueOrDefault(header);

    internal static async Task<PeerRequest?> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var one = new byte[1];
        while (text.Length < 4 || text.ToString(text.Length - 4, 4) != "\r\n\r\n")
        {
            if (await stream.ReadAsync(one, cancellationToken) == 0)
            {
                return null;
            }

            text.Append((char)one[0]);
        }

        var lines = text.ToString().Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var first = lines[0].Split(' ');
        var headers = lines.Skip(1).Select(line => line.Split(':', 2)).ToDictionary(pair => pair[0], pair => pair[1].Trim(), StringComparer.OrdinalIgnoreCase);
        return new PeerRequest(first[0], first[1], headers);
    }
}
