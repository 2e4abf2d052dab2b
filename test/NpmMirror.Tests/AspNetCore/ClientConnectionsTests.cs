using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>More clients connect than there is room for: idle connections are closed, the longest idle first, and new clients wait for that.</summary>
public sealed class ClientConnectionsTests : IAsyncLifetime
{
    private const string Ask = "GET /npm/ms HTTP/1.1\r\nHost: localhost\r\n\r\n";

    private const int Max = 3;

    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly FakeClock _clock = new();
    private readonly List<Socket> _sockets = [];
    private ClientConnections _connections = null!;
    private FakeRegistry _upstream = null!;
    private ServedMirror _mirror = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync(cancellationToken: Token);
        _upstream.Publish(new FakePackage("slow").Version("1.0.0"));
        _connections = new ClientConnections(Max, _clock, NullLogger<ClientConnections>.Instance);
        _mirror = await ServedMirror.StartAsync(upstream: _upstream.Url, connections: _connections);
        await _mirror.PutAsync("ms", Documents.Of("ms"));
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        _sockets.ForEach(socket => socket.Dispose());
        await _upstream.DisposeAsync();
    }

    [Claim("At the limit on connections the one idle longest is closed for a new client, which waits and is not refused; a connection with an answer under way is never closed, one of a waiting follower only if none is idle; clients that ask all the time do not keep others out",
        With =
        [
            nameof(A_client_that_was_answered_is_idle_and_the_longest_idle_goes_first),
            nameof(A_connection_with_an_answer_under_way_is_not_closed_for_a_new_one),
            nameof(A_follower_that_waits_stays_while_anything_is_idle),
            nameof(Of_followers_alone_the_one_that_waited_longest_goes_after_ten_seconds),
            nameof(Clients_that_ask_all_the_time_keep_no_other_out),
            nameof(A_client_that_leaves_its_last_bytes_is_idle_after_half_a_minute),
            nameof(Many_idle_clients_keep_no_other_from_being_served),
            nameof(A_mirror_that_ends_does_not_wait_for_room),
        ],
        Red = "the youngest idle connection is closed first: the first was red; followers go together with the idle: the fourth; they go before ten seconds, or what is being answered may go: the fifth; a new client waits for a pause of a second for ever, or there is no limit at all: the sixth; one that does not take its last bytes is never idle: the seventh; waiting does not end with the server: the last")]
    [Theory]
    [InlineData("")]
    [InlineData("GET /np")]
    [InlineData("GET /npm/ms HTTP/1.1\r\nHost: localhost\r\n")]
    [InlineData("POST /npm/-/npm/v1/security/advisories/bulk HTTP/1.1\r\nHost: localhost\r\nContent-Le")]
    public async Task A_client_that_does_not_ask_is_idle(string sent)
    {
        await ConnectAsync(sent);
        await ConnectAskedAsync();
        await ConnectAskedAsync();
        await ServeAnotherAsync();
        await IsOverAsync(_sockets[0]);
        await RawTalk.AskAsync(_sockets[1], Ask);
        await RawTalk.AskAsync(_sockets[2], Ask);
    }

    [Theory]
    [InlineData(Ask)]
    [InlineData("GET /npm/-/ping HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    [InlineData("GET /npm/no-such HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    [InlineData("PUT /npm/ms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")]
    public async Task A_client_that_was_answered_is_idle_and_the_longest_idle_goes_first(string request)
    {
        for (var client = 0; client < Max; client++)
        {
            await RawTalk.AskAsync(await ConnectAsync(""), request);
            await AreIdleAsync(client + 1);
        }

        // The first has asked again since.
        _clock.Advance(Second);
        await RawTalk.AskAsync(_sockets[0], request);
        await AreIdleAsync(Max);
        await ServeAnotherAsync();
        await IsOverAsync(_sockets[1]);
        await RawTalk.AskAsync(_sockets[0], request);
        await RawTalk.AskAsync(_sockets[2], request);
    }

    [Fact]
    public async Task A_connection_with_an_answer_under_way_is_not_closed_for_a_new_one()
    {
        using var gate = _upstream.Knobs.Hold("/slow");
        for (var client = 0; client < Max; client++)
        {
            await ConnectAsync(Ask.Replace("/ms", "/slow", StringComparison.Ordinal));
        }

        await gate.WaitForAsync(1, Token);
        await AreIdleAsync(0);
        var another = await ConnectAsync(Ask);
        await Eventually.Async(() => _connections.IsFull);
        for (var minute = 0; minute < 10; minute++)
        {
            _clock.Advance(TimeSpan.FromMinutes(1));
        }

        gate.Open();
        foreach (var socket in _sockets.Take(Max))
        {
            Assert.Contains("\"slow\"", await ReadAsync(socket, "\"slow\""), StringComparison.Ordinal);
        }

        await AnsweredAsync(another);
    }

    [Theory]
    [InlineData("_changes?feed=longpoll&since=now&timeout=600000")]
    [InlineData("_changes?feed=continuous&since=now&heartbeat=60000")]
    [InlineData("_changes?feed=longpoll&include_docs=true&since=now&timeout=600000")]
    [InlineData("-/events")]
    public async Task A_follower_that_waits_stays_while_anything_is_idle(string feed)
    {
        await FollowAsync(feed);
        await FollowAsync(feed);
        _clock.Advance(TimeSpan.FromMinutes(1));
        await ConnectAskedAsync();
        await AreIdleAsync(1);
        _clock.Advance(Second);
        await ServeAnotherAsync();
        await IsOverAsync(_sockets[2]);
        await _mirror.PutAsync("news", Documents.Of("news"));
        await ReadAsync(_sockets[0], "news");
        await ReadAsync(_sockets[1], "news");
    }

    [Theory]
    [InlineData("_changes?feed=longpoll&since=now&timeout=600000")]
    [InlineData("_changes?feed=continuous&since=now&heartbeat=60000")]
    [InlineData("_changes?feed=longpoll&include_docs=true&since=now&timeout=600000")]
    [InlineData("-/events")]
    public async Task Of_followers_alone_the_one_that_waited_longest_goes_after_ten_seconds(string feed)
    {
        var start = _clock.GetTimestamp();
        for (var follower = 0; follower < Max; follower++)
        {
            await FollowAsync(feed);
        }

        await ServeAnotherAsync();
        Assert.True(_clock.GetElapsedTime(start) >= ClientConnections.WaitingAtLeast);
        await IsOverAsync(_sockets[0]);
        await _mirror.PutAsync("news", Documents.Of("news"));
        await ReadAsync(_sockets[1], "news");
        await ReadAsync(_sockets[2], "news");
    }

    [Fact]
    public async Task Clients_that_ask_all_the_time_keep_no_other_out()
    {
        for (var client = 0; client < Max; client++)
        {
            await ConnectAskedAsync();
        }

        var asking = _sockets.ToList();
        Assert.All(await Task.WhenAll(asking.Select(IsAnsweredAsync)), Assert.True);
        await AreIdleAsync(Max);
        var start = _clock.GetTimestamp();
        var answer = ReadAsync(await ConnectAsync(Ask), "\"ms\"");
        await Eventually.Async(async () =>
        {
            // The kernel acknowledges the end of an answer a moment later; until then the client takes it.
            await Eventually.Async(() => answer.IsCompleted || _connections.IdleCount >= asking.Count);
            _clock.Advance(TimeSpan.FromMilliseconds(100));
            for (var at = asking.Count - 1; at >= 0; at--)
            {
                if (!await IsAnsweredAsync(asking[at]))
                {
                    asking.RemoveAt(at);
                }
            }

            return answer.IsCompleted;
        });
        await answer;
        Assert.Equal(Max - 1, asking.Count);
        Assert.True(_clock.GetElapsedTime(start) >= ClientConnections.Patience);
    }

    [Fact]
    public async Task A_client_that_leaves_its_last_bytes_is_idle_after_half_a_minute()
    {
        var full = new ClientConnections(1, _clock, NullLogger<ClientConnections>.Instance);
        await using var first = new DefaultConnectionContext("first");
        await full.AdmitAsync(first, Token);
        var client = first.Features.Get<ClientConnection>()!;
        client.WritesThrough(new UndrainedOutput());
        client.Begin();
        _clock.Advance(TimeSpan.FromMinutes(1));
        client.End();
        Assert.Null(client.IdleFor);
        _clock.Advance(ClientConnection.LastBytesWait);
        Assert.Equal(ClientConnection.LastBytesWait, client.IdleFor);
    }

    [Claim("A client that still takes its answer from the kernel is not closed as idle; one that takes nothing for half a minute is",
        With = [nameof(A_client_that_leaves_its_last_bytes_is_idle_after_half_a_minute)])]
    [Fact]
    public async Task A_client_that_takes_its_answer_from_the_kernel_is_not_idle_meanwhile()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux tells what a client has taken.");
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 8_192 };
        await client.ConnectAsync(listener.LocalEndPoint!, Token);
        using var server = await listener.AcceptAsync(Token);
        server.SendBufferSize = 1_000_000;
        await using var connection = new DefaultConnectionContext("first");
        connection.Features.Set<IConnectionSocketFeature>(new SocketFeature(server));
        var all = new ClientConnections(1, _clock, NullLogger<ClientConnections>.Instance);
        await all.AdmitAsync(connection, Token);
        var one = connection.Features.Get<ClientConnection>()!;
        Assert.Equal(TimeSpan.Zero, one.IdleFor);

        one.Begin();
        server.Blocking = false;
        var sent = server.Send(new byte[300_000]);
        one.End();
        await TakenIsStillAsync(server);
        Assert.Null(one.IdleFor);
        _clock.Advance(ClientConnection.LastBytesWait - Second);
        Assert.Null(one.IdleFor);

        // It takes a part, and then nothing for half a minute.
        var left = await TakeAsync(client, sent, 100_000);
        await TakenIsStillAsync(server);
        Assert.Null(one.IdleFor);
        _clock.Advance(ClientConnection.LastBytesWait - Second);
        Assert.Null(one.IdleFor);
        _clock.Advance(Second);
        Assert.NotNull(one.IdleFor);

        // With all of it, it is as idle as any.
        Assert.Equal(0, await TakeAsync(client, left, left));
        await Eventually.Async(() => TcpProgress.Of(server) is { IsAll: true });
        Assert.Equal((2 * ClientConnection.LastBytesWait) - Second, one.IdleFor);
    }

    /// <summary>Waits until the client's system acknowledges nothing more.</summary>
    private static async Task TakenIsStillAsync(Socket server)
    {
        var (taken, looks) = (0UL, 0);
        await Eventually.Async(() =>
        {
            var now = TcpProgress.Of(server)!.Value.TakenBytes;
            looks = now == taken ? looks + 1 : 0;
            taken = now;
            return looks == 50;
        });
    }

    /// <summary>Reads so many bytes; returns how many are left.</summary>
    private static async Task<int> TakeAsync(Socket client, int all, int count)
    {
        var buffer = new byte[8_192];
        while (count > 0)
        {
            var read = await client.ReceiveAsync(buffer.AsMemory(0, Math.Min(count, buffer.Length)), Token);
            (all, count) = (all - read, count - read);
        }

        return all;
    }

    private sealed class SocketFeature(Socket socket) : IConnectionSocketFeature
    {
        public Socket Socket => socket;
    }

    [Fact]
    public async Task Many_idle_clients_keep_no_other_from_being_served()
    {
        for (var client = 0; client < 60; client++)
        {
            await ConnectAsync("");
        }

        await AnsweredAsync(await ConnectAsync(Ask));
        Assert.InRange(_connections.Count, 1, Max);
    }

    [Fact]
    public async Task A_mirror_that_ends_does_not_wait_for_room()
    {
        using var gate = _upstream.Knobs.Hold("/slow");
        for (var client = 0; client < Max; client++)
        {
            await ConnectAsync(Ask.Replace("/ms", "/slow", StringComparison.Ordinal));
        }

        // An idle one would be closed for the next.
        await gate.WaitForAsync(1, Token);
        await Eventually.Async(() => _connections.Count == Max && _connections.IdleCount == 0);
        var another = await ConnectAsync(Ask);
        await Eventually.Async(() => _connections.IsFull);
        var ending = _mirror.DisposeAsync().AsTask();
        await IsOverAsync(another);
        gate.Open();
        await ending.WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    /// <summary>One more client, which is served once another was closed for it.</summary>
    private async Task ServeAnotherAsync() => await AnsweredAsync(await ConnectAsync(Ask));

    private async Task FollowAsync(string feed)
    {
        await ReadAsync(await ConnectAsync($"GET /npm/{feed} HTTP/1.1\r\nHost: localhost\r\n\r\n"), "200 OK");
        await Eventually.Async(() => _connections.FollowerCount == _sockets.Count);
    }

    private async Task AnsweredAsync(Socket socket)
    {
        var answer = ReadAsync(socket, "\"ms\"");
        await Eventually.Async(() =>
        {
            // While a closed one leaves, time stands still: a second without its end would close the next.
            if (!_connections.IsAnyLeaving)
            {
                _clock.Advance(TimeSpan.FromMilliseconds(250));
            }

            return answer.IsCompleted;
        });
        await answer;
    }

    /// <summary>Waits until the server is done with what it has answered.</summary>
    private Task AreIdleAsync(int count) => Eventually.Async(() => _connections.IdleCount == count);

    private async Task ConnectAskedAsync() => await RawTalk.AskAsync(await ConnectAsync(""), Ask);

    private async Task<Socket> ConnectAsync(string text)
    {
        var socket = await RawTalk.ConnectAsync(_mirror);
        _sockets.Add(socket);
        if (_sockets.Count <= Max)
        {
            // Each at a moment of its own.
            await Eventually.Async(() => _connections.Count == _sockets.Count);
            _clock.Advance(Second);
        }

        await socket.SendAsync(Encoding.ASCII.GetBytes(text), Token);
        return socket;
    }

    private static async Task<bool> IsAnsweredAsync(Socket socket)
    {
        try
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(Ask), Token);
            return await socket.ReceiveAsync(new byte[64 * 1024].AsMemory(), SocketFlags.None, Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token) > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static async Task<string> ReadAsync(Socket socket, string until)
    {
        var text = new StringBuilder();
        var buffer = new byte[16 * 1024];
        while (!text.ToString().Contains(until, StringComparison.Ordinal))
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.None, Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token);
            Assert.True(read > 0, $"The connection ended before “{until}” came: {text}");
            text.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }

        return text.ToString();
    }

    private static async Task IsOverAsync(Socket socket)
    {
        try
        {
            var buffer = new byte[16 * 1024];
            while (await socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.None, Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token) > 0)
            {
            }
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // Bytes that had been sent were not read any more.
        }
    }

    /// <summary>Bytes that the kernel never gets.</summary>
    private sealed class UndrainedOutput : IConnectionOutput
    {
        public bool IsDrained => false;
    }
}
