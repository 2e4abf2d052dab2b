using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using NpmMirror.Storage;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>A feed that is answered on the connection cannot be told from the server's answer.</summary>
public sealed class ShortcutFeedTests
{
    private const string Host = "localhost:4873";
    private const string Last = $"GET /npm/-/ping HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n";

    [Claim("A feed answered on the connection is the server's answer; hundreds that wait never reach the server; a request that needs more than its head does",
        With =
        [
            nameof(Hundreds_of_waiting_followers_cost_one_reader_and_no_server_request),
            nameof(After_a_feed_the_connection_serves_any_request),
            nameof(A_request_that_the_server_refuses_is_refused),
        ],
        Red = "the host is not asked for (`ShortcutFeeds` without `IsServed`): the last was red; `Last-Event-ID` is not read by `RequestHead`: the first")]
    [Theory]
    [InlineData("feed=longpoll", "", true)]
    [InlineData("feed=longpoll&since=1", "", true)]
    [InlineData("feed=longpoll&since=now&timeout=50", "", true)]
    [InlineData("feed=longpoll&since=9", "", true)]
    [InlineData("feed=continuous&since=9", "", true)]
    [InlineData("feed=longpoll&since=3&timeout=350&heartbeat=100", "", true)]
    [InlineData("feed=longpoll&descending=true&limit=1", "User-Agent: follower\r\n", true)]
    [InlineData("feed=continuous&timeout=50", "Accept: */*\r\nAccept-Encoding: gzip\r\n", true)]
    [InlineData("feed=continuous&limit=2", "", true)]
    [InlineData("feed=longpoll", "Last-Event-ID: 2\r\n", false)]
    [InlineData("feed=longpoll&include_docs=true", "", false)]
    [InlineData("feed=longpoll&since=none", "", false)]
    [InlineData("feed=longpoll", "npm-mirror-instance: other\r\n", false)]
    [InlineData("feed=normal", "", false)]
    public async Task Says_the_same_as_the_server(string query, string headers, bool isHot)
    {
        await using var mirror = await StartAsync();
        await using var plain = await ServedMirror.StartAsync(mirror.Store, isHot: false);
        var request = $"GET /npm/_changes?{query} HTTP/1.1\r\nHost: {Host}\r\n{headers}\r\n";
        var (expected, actual) = (await plain.RawAsync(request + request + Last), await mirror.RawAsync(request + request + Last));
        Assert.Equal(Normal(expected), Normal(actual));
        Assert.Equal((3, isHot ? 1 : 3), (plain.RequestsSeen, mirror.RequestsSeen));
    }

    [Theory]
    [InlineData("Host: evil.example.org\r\n", "421")]
    [InlineData("Host: localhost\r\nHost: localhost\r\n", "400")]
    [InlineData("", "400")]
    public async Task A_request_that_the_server_refuses_is_refused(string headers, string status)
    {
        await using var mirror = await StartAsync();
        Assert.StartsWith($"HTTP/1.1 {status} ", await mirror.RawAsync($"GET /npm/_changes?feed=longpoll HTTP/1.1\r\n{headers}Accept: */*\r\n\r\n{Last}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hundreds_of_waiting_followers_cost_one_reader_and_no_server_request()
    {
        const int Waiters = 300;
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await using var mirror = await StartAsync(store);
        var sockets = new List<Socket>();
        for (var i = 0; i < Waiters; i++)
        {
            sockets.Add(await RawTalk.ConnectAsync(mirror));
            await sockets[i].SendAsync(Encoding.ASCII.GetBytes($"GET /npm/_changes?feed=longpoll&since=now&timeout=600000 HTTP/1.1\r\nHost: {Host}\r\n\r\n"), TestContext.Current.CancellationToken);
        }

        await Eventually.Async(() => sockets.TrueForAll(socket => socket.Available > 0));
        var before = counts.CountOf("WaitForLogAsync");
        await mirror.PutAsync("d", Documents.Of("d"));
        foreach (var socket in sockets)
        {
            Assert.Contains("\"d\"", await UntilAsync(socket, "\r\n0\r\n\r\n"), StringComparison.Ordinal);
            socket.Dispose();
        }

        Assert.Equal(0, mirror.RequestsSeen);
        Assert.InRange(counts.CountOf("WaitForLogAsync") - before, 0, 3);
    }

    [Fact]
    public async Task After_a_feed_the_connection_serves_any_request()
    {
        await using var mirror = await StartAsync();
        const string Feed = $"GET /npm/_changes?feed=longpoll&since=2 HTTP/1.1\r\nHost: {Host}\r\n\r\n";
        const string Packument = $"GET /npm/a HTTP/1.1\r\nHost: {Host}\r\n\r\n";
        var answers = await mirror.RawAsync(Feed + Packument + Packument + Feed + Last);
        Assert.Equal(5, answers.Split("HTTP/1.1 200 OK").Length - 1);
        Assert.EndsWith("{}", answers, StringComparison.Ordinal);
    }

    private static async Task<ServedMirror> StartAsync(IMetadataStore? store = null)
    {
        var mirror = await ServedMirror.StartAsync(store);
        foreach (var name in new[] { "a", "b", "c" })
        {
            await mirror.PutAsync(name, Documents.Of(name));
        }

        await mirror.SettleAsync();
        return mirror;
    }

    private static async Task<string> UntilAsync(Socket socket, string end)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        while (!text.ToString().EndsWith(end, StringComparison.Ordinal))
        {
            var read = await socket.ReceiveAsync(buffer, SocketFlags.None, TestContext.Current.CancellationToken);
            Assert.NotEqual(0, read);
            text.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }

        return text.ToString();
    }

    /// <summary>Answers one after the other: head lines in order of the alphabet and without the date, bodies without their chunks and with one line end for several, since heartbeats come by the clock.</summary>
    private static string Normal(string answers)
    {
        var all = new StringBuilder();
        while (answers.Length > 0)
        {
            var end = answers.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            var lines = answers[..end].Split("\r\n");
            all.AppendJoin('\n', lines[1..].Where(line => !line.StartsWith("Date: ", StringComparison.Ordinal)).Order(StringComparer.Ordinal).Prepend(lines[0])).Append("\n\n");
            answers = answers[(end + 4)..];
            if (lines.Contains("Transfer-Encoding: chunked"))
            {
                for (var length = -1; length != 0;)
                {
                    end = answers.IndexOf("\r\n", StringComparison.Ordinal);
                    length = int.Parse(answers[..end], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                    all.Append(answers, end + 2, length);
                    answers = answers[(end + 4 + length)..];
                }
            }
            else
            {
                var length = int.Parse(lines.Single(line => line.StartsWith("Content-Length: ", StringComparison.Ordinal))["Content-Length: ".Length..], CultureInfo.InvariantCulture);
                all.Append(answers, 0, length);
                answers = answers[length..];
            }

            all.Append("\n--\n");
        }

        return Regex.Replace(all.ToString(), "\n+", "\n");
    }
}
