using System.Net.Sockets;
using NpmMirror.AspNetCore.Shortcut;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Remembered answers are given on the thread that sees their requests, and nothing else is.</summary>
public sealed class AnsweringThreadTests
{
    private const string Host = "localhost:4873";
    private const string Hot = $"GET /npm/ms HTTP/1.1\r\nHost: {Host}\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\r\n";
    private const string Missing = $"GET /npm/-/no-such/thing/at/all HTTP/1.1\r\nHost: {Host}\r\n\r\n";

    [Fact]
    public void The_runtime_can_answer_where_it_sees_arrivals() => Assert.True(AnsweringThread.IsKnown());

    [Theory]
    [InlineData(null, 1, true)]
    [InlineData(null, 2, true)]
    [InlineData(null, 3, false)]
    [InlineData("3", 6, true)]
    [InlineData("3", 7, false)]
    [InlineData("2147483647", 64, true)]
    [InlineData("many", 64, false)]
    public void Too_few_threads_leave_the_answers_to_the_pool(string? count, int processors, bool isEnough) => Assert.Equal(isEnough, AnsweringThread.IsEnough(count, processors));

    [Claim("Remembered answers are given on the thread that sees their requests; requests for the server leave it, and a client that sends requests without waiting for answers lets others come first",
        With =
        [
            nameof(The_server_never_works_on_the_thread_of_others),
            nameof(A_client_that_does_not_wait_lets_others_come_first),
        ],
        Red = "`ShortcutInput` hands a request over without leaving the thread")]
    [Fact]
    public async Task Remembered_answers_are_given_where_their_requests_are_seen()
    {
        var clock = new WatchedClock();
        await using var mirror = await StartAsync(clock);
        using var socket = await RawTalk.ConnectAsync(mirror);
        await RawTalk.AskAsync(socket, Hot);
        await RawTalk.AskAsync(socket, Hot);
        clock.ReadsOffThePool = 0;

        // The head's date is read by the thread that answers. A request that is there before it is waited for is answered where the one before was.
        if (AnsweringThread.IsEnough(Environment.GetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT"), Environment.ProcessorCount))
        {
            await Eventually.Async(async () =>
            {
                await RawTalk.AskAsync(socket, Hot);
                return clock.ReadsOffThePool > 0;
            });
            return;
        }

        for (var i = 0; i < 20; i++)
        {
            await RawTalk.AskAsync(socket, Hot);
        }

        Assert.Equal(0, clock.ReadsOffThePool);
    }

    [Fact]
    public async Task The_server_never_works_on_the_thread_of_others()
    {
        await using var mirror = await StartAsync();
        using var socket = await RawTalk.ConnectAsync(mirror);
        var before = mirror.RequestsSeen;
        for (var i = 0; i < 20; i++)
        {
            await RawTalk.AskAsync(socket, Hot);
            await RawTalk.AskAsync(socket, Hot);
            await RawTalk.AskAsync(socket, Missing);
            await RawTalk.TalkAsync(mirror, Hot + Hot + Missing + Hot + Missing + $"GET /npm/-/ping HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n");
        }

        Assert.Equal(before + (20 * 4), mirror.RequestsSeen);
        Assert.Equal(0, mirror.RequestsOffThePool);
    }

    [Theory]
    [InlineData(true, AnsweringThread.WeightMax / AnsweringThread.PipelinedWeight)]
    [InlineData(false, AnsweringThread.WeightMax)]
    public void A_client_that_does_not_wait_lets_others_come_first(bool isNextThere, int answers)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var thread = new AnsweringThread(socket);
        for (var turn = 0; turn < 3; turn++)
        {
            Assert.Equal(answers, Enumerable.Range(1, answers).First(_ => thread.Stay(isNextThere)));
        }
    }

    private static async Task<ServedMirror> StartAsync(TimeProvider? time = null)
    {
        var mirror = await ServedMirror.StartAsync(time: time);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.SettleAsync();
        await RawTalk.TalkAsync(mirror, Hot + $"GET /npm/-/ping HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n");
        return mirror;
    }

    private sealed class WatchedClock : TimeProvider
    {
        private int _readsOffThePool;

        internal int ReadsOffThePool { get => Volatile.Read(ref _readsOffThePool); set => Volatile.Write(ref _readsOffThePool, value); }

        public override long GetTimestamp()
        {
            Interlocked.Add(ref _readsOffThePool, Thread.CurrentThread.IsThreadPoolThread ? 0 : 1);
            return base.GetTimestamp();
        }
    }
}
