using System.Net;
using System.Net.Sockets;
using NpmMirror.AspNetCore.Connections;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>How long a write to a client is waited for: over real sockets whose buffers are as large as the kernel lets them grow.</summary>
public sealed class StallLimitTests
{
    private readonly FakeClock _clock = new();
    private readonly CollectedLog _log = new();
    private int _aborts;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_client_that_stalls_is_cut_once_and_told_of_once()
    {
        var (server, client) = await ConnectAsync();
        using (server)
        using (client)
        {
            var stall = new StallLimit(server, client.LocalEndPoint, _log.For<StallLimit>(), _clock);
            var write = server.SendAsync(new byte[20_000_000], SocketFlags.None);
            var waits = new[] { stall.WaitAsync(write, Abort, Cancelled), stall.WaitAsync(write, Abort, Cancelled) };
            await Eventually.Async(() =>
            {
                _clock.Advance(StallLimit.LookEvery);
                return waits.All(wait => wait.IsCompleted);
            });
            Assert.All(await Task.WhenAll(waits), Assert.False);
            Assert.Equal(2, _aborts);
            Assert.Contains($"{client.LocalEndPoint}", Assert.Single(_log.Lines), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_write_of_which_nothing_can_be_seen_may_take_as_long_as_a_stall()
    {
        var stall = new StallLimit(socket: null, client: null, _log.For<StallLimit>(), _clock);
        var slow = new TaskCompletionSource();
        var waiting = stall.WaitAsync(slow.Task, Abort, Cancelled);
        for (var look = 1; look < StallLimit.StallMax / StallLimit.LookEvery; look++)
        {
            await Eventually.Async(() => _clock.IsNextIn(StallLimit.LookEvery));
            _clock.Advance(StallLimit.LookEvery);
        }

        await Eventually.Async(() => _clock.IsNextIn(StallLimit.LookEvery));
        Assert.False(waiting.IsCompleted);
        _clock.Advance(StallLimit.LookEvery);
        Assert.False(await waiting.WaitAsync(TimeSpan.FromSeconds(30), Cancelled));
        Assert.Equal(1, _aborts);
    }

    private static async Task<(Socket Server, Socket Client)> ConnectAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint!, Cancelled);
        return (await listener.AcceptAsync(Cancelled), client);
    }

    private void Abort() => Interlocked.Increment(ref _aborts);
}
