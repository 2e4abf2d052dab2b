using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.DependencyInjection;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.AspNetCore.Shortcut;
using NpmMirror.Options;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>An answer on the connection itself cannot be told from the server's answer.</summary>
public sealed class ShortcutConnectionTests
{
    private const string Host = "localhost:4873";
    private const string Hot = $"GET /npm/ms HTTP/1.1\r\nHost: {Host}\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\r\n";
    private const string Last = $"GET /npm/-/ping HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n";

    private static readonly string[] Pieces =
    [
        "\r\n", "\r", "\n", " ", "\t", ":", "\0", "%2f", "/", "//", "..", "?", "#", "é", "GET", "HTTP/1.0", "Host: evil.example.org\r\n", "Content-Length: 3\r\n", "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "If-None-Match: *\r\n", "If-None-Match: \"x\"\r\n", "X-Forwarded-Host: evil.example.org\r\n", "Accept: */*\r\n", "Expect: 100-continue\r\n", "Upgrade: h2c\r\n",
    ];

    [Claim("An answer on the connection itself cannot be told from the server's answer, for any request",
        With =
        [
            nameof(Any_request_is_understood_as_the_server_understands_it),
            $"{nameof(RequestHeadTests)}.{nameof(RequestHeadTests.Leaves_the_connection_to_the_server_where_any_doubt_is)}",
        ],
        Red = "heads with Content-Length or Transfer-Encoding taken as whole; values with control characters accepted")]
    [Fact]
    public async Task Says_the_same_as_the_server()
    {
        await using var mirror = await StartAsync();
        await using var plain = await ServedMirror.StartAsync(mirror.Store, isHot: false);
        foreach (var condition in new[] { "", "If-None-Match: *\r\n", $"If-None-Match: \"x\", {await ETagAsync(plain)}\r\n", "If-None-Match: \"x\"\r\n" })
        {
            var request = Hot.Replace("\r\n\r\n", $"\r\n{condition}\r\n", StringComparison.Ordinal);
            // The second of them is answered on the connection.
            Assert.Equal(await RawTalk.TalkAsync(plain, request + request + Last), await RawTalk.TalkAsync(mirror, request + request + Last));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Any_request_is_understood_as_the_server_understands_it(int seed)
    {
        await using var mirror = await StartAsync();
        await using var plain = await ServedMirror.StartAsync(mirror.Store, isHot: false);
        var random = new Random(seed);
        for (var i = 0; i < 100; i++)
        {
            var request = new StringBuilder(Hot);
            for (var changes = random.Next(1, 4); changes > 0; changes--)
            {
                var at = random.Next(request.Length + 1);
                request = random.Next(3) == 0 ? request.Remove(at, Math.Min(random.Next(4), request.Length - at)) : request.Insert(at, Pieces[random.Next(Pieces.Length)]);
            }

            var all = Hot + request + Hot + Last;
            var (expected, actual) = (await RawTalk.TalkAsync(plain, all), await RawTalk.TalkAsync(mirror, all));
            Assert.True(expected.SequenceEqual(actual), $"seed {seed}, request {i}: {Regex.Escape(request.ToString())}\n{string.Join("\n--\n", expected)}\n-----\n{string.Join("\n--\n", actual)}");
        }
    }

    [Fact]
    public async Task Answers_never_overtake_each_other()
    {
        await using var mirror = await StartAsync();
        const string Long = $"GET /npm/long HTTP/1.1\r\nHost: {Host}\r\n\r\n";
        const string Missing = $"GET /npm/-/no-such/thing/at/all HTTP/1.1\r\nHost: {Host}\r\n\r\n";
        var one = Hot + Long + Hot + Hot + Missing + Long;
        var answers = await RawTalk.TalkAsync(mirror, one + Last);
        Assert.Equal(["200 ms", "200 long", "200 ms", "200 ms", "404 ", "200 long", "200 "], answers.Select(Summary));
        for (var round = 0; round < 20; round++)
        {
            Assert.Equal(answers, await RawTalk.TalkAsync(mirror, one + Last));
        }
    }

    [Claim("A remembered answer never overtakes the server's writes",
        With = [nameof(Answers_never_overtake_each_other)],
        Red = "sent without looking whether the server's bytes are out (the first was red)")]
    [Fact]
    public async Task While_bytes_are_unsent_the_server_answers_repeated_requests()
    {
        await using var mirror = await StartAsync();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndpoint, TestContext.Current.CancellationToken);
        using var accepted = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken);
        var (input, unused) = (new Pipe(), new Pipe());
        var connection = new DefaultConnectionContext("one", new Duplex(input.Reader, unused.Writer), new Duplex(unused.Reader, input.Writer));
        connection.Features.Set<IConnectionSocketFeature>(new SocketOf(accepted));
        await mirror.Services.GetRequiredService<ShortcutConnections>().RunAsync(connection, async server =>
        {
            await input.Writer.WriteAsync(Encoding.ASCII.GetBytes(Hot));
            // The client takes nothing: at some moment neither the kernel nor the pipe does.
            ValueTask<FlushResult> written;
            do
            {
                written = server.Transport.Output.WriteAsync(new byte[4096]);
            }
            while (written.IsCompletedSuccessfully);

            try
            {
                var read = await server.Transport.Input.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10));
                Assert.Equal(Hot.Length, read.Buffer.Length);
            }
            finally
            {
                client.Close(timeout: 0);
            }

            Assert.True((await written).IsCompleted);
        });
    }

    [Fact]
    public async Task A_connection_of_remembered_answers_never_reaches_the_server()
    {
        await using var mirror = await StartAsync();
        using var socket = await RawTalk.ConnectAsync(mirror);
        var before = mirror.RequestsSeen;
        for (var i = 0; i < 50; i++)
        {
            await RawTalk.AskAsync(socket, Hot);
        }

        Assert.Equal(before, mirror.RequestsSeen);
    }

    [Claim("The headers of a trusted proxy count for each request",
        Red = "hot connections left on with trusted proxies")]
    [Fact]
    public async Task The_headers_of_a_trusted_proxy_count_for_each_request()
    {
        await using var mirror = await StartAsync(configure: options =>
        {
            options.TrustedProxies.Add("127.0.0.1");
            options.AllowedHosts.Add("npm.example.org");
        });
        var direct = Hot.Replace("Accept-Encoding: gzip\r\n", "", StringComparison.Ordinal);
        var answers = await RawTalk.TalkAsync(mirror, direct + direct + direct.Replace("\r\n\r\n", "\r\nX-Forwarded-Host: npm.example.org\r\n\r\n", StringComparison.Ordinal) + Last);
        Assert.Contains("http://localhost:4873/npm/ms/-/", answers[1], StringComparison.Ordinal);
        Assert.Contains("http://npm.example.org/npm/ms/-/", answers[2], StringComparison.Ordinal);
    }

    [Claim("A busy connection is not ended as idle",
        Red = "every hot request answered before the server")]
    [Fact]
    public async Task The_server_sees_a_request_now_and_then_and_keeps_the_connection()
    {
        var clock = new FakeClock();
        await using var mirror = await StartAsync(clock);
        using var socket = await RawTalk.ConnectAsync(mirror);
        await RawTalk.AskAsync(socket, Hot);
        var before = mirror.RequestsSeen;
        clock.Advance(TimeSpan.FromSeconds(31));
        await RawTalk.AskAsync(socket, Hot);
        await RawTalk.AskAsync(socket, Hot);
        Assert.Equal(before + 1, mirror.RequestsSeen);
    }

    [Claim("A client that takes nothing is cut off, and never sees a whole answer",
        Red = "the connection not aborted when the time is over")]
    [Fact]
    public async Task A_client_that_takes_nothing_is_cut_off_and_never_gets_a_whole_answer()
    {
        const int Length = 7_000_000;
        var clock = new FakeClock();
        await using var mirror = await StartAsync(clock);
        await mirror.PutAsync("longest", Documents.Of("longest", new string('x', Length)));
        await mirror.SettleAsync();
        var request = $"GET /npm/longest HTTP/1.1\r\nHost: {Host}\r\n\r\n";
        Assert.InRange((await RawTalk.TalkAsync(mirror, request + Last))[0].Length, Length, int.MaxValue);
        var before = mirror.RequestsSeen;

        // Waits of others that began before are shorter than a stall now.
        clock.Advance(TimeSpan.FromSeconds(7));
        var connections = mirror.Services.GetRequiredService<ClientConnections>();
        await Eventually.Async(() => connections.Count == 0);
        using var socket = await RawTalk.ConnectAsync(mirror, receiveBytes: 4096);
        await socket.SendAsync(Encoding.ASCII.GetBytes(request), TestContext.Current.CancellationToken);
        await Eventually.Async(() => connections.Count == 1);
        await Eventually.Async(() =>
        {
            clock.Advance(StallLimit.LookEvery);
            return connections.Count == 0;
        });

        long read = 0;
        var buffer = new byte[64 * 1024];
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(TimeSpan.FromSeconds(30));
        var end = await Record.ExceptionAsync(async () =>
        {
            for (int piece; (piece = await socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.None, deadline.Token)) > 0; read += piece)
            {
            }
        });
        Assert.True(end is null or SocketException { SocketErrorCode: SocketError.ConnectionReset }, end?.ToString());
        Assert.InRange(read, 1, Length - 1);
        Assert.Equal(before, mirror.RequestsSeen);
    }

    private static async Task<ServedMirror> StartAsync(TimeProvider? time = null, Action<MirrorOptions>? configure = null)
    {
        var mirror = await ServedMirror.StartAsync(time: time, configure: configure);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.PutAsync("long", Documents.Of("long", new string('x', 300_000)));
        await mirror.SettleAsync();
        await RawTalk.TalkAsync(mirror, Hot + Last);
        return mirror;
    }

    private static async Task<string> ETagAsync(ServedMirror mirror) =>
        (await RawTalk.TalkAsync(mirror, Hot + Last))[0].Split('\n').Single(line => line.StartsWith("ETag: ", StringComparison.Ordinal))["ETag: ".Length..];

    private static string Summary(string answer) => $"{answer["HTTP/1.1 ".Length..][..3]} {(answer.Contains("gzip", StringComparison.Ordinal) ? "ms" : answer.Length > 300_000 ? "long" : "")}";

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;

    private sealed record SocketOf(Socket Socket) : IConnectionSocketFeature;
}
