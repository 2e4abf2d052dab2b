using System.Net.Sockets;
using System.Text;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

/// <summary>Kept connections that the other side, or a proxy in between, has forgotten.</summary>
public sealed class DeadConnectionTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string, bool> Kinds => new()
    {
        { "packument", true }, { "packument", false }, { "tarball", true }, { "tarball", false }, { "audit", true }, { "audit", false },
    };

    [Claim("A request on a dead kept connection is sent once more, over a new one, if its body can be sent again; no other request is",
        With =
        [
            nameof(A_body_goes_again_as_it_was),
            nameof(It_is_not_sent_a_third_time),
            nameof(A_request_that_fails_on_a_new_connection_is_not_sent_again),
            nameof(A_body_that_cannot_be_read_twice_is_not_sent_again),
            nameof(Silence_on_a_kept_connection_is_no_reason_to_send_again),
        ],
        Red = "the second try takes a kept connection too; a failure on a new connection counts; every body counts as repeatable: each red")]
    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_request_that_met_a_dead_kept_connection_is_sent_once_more(string kind, bool isReset)
    {
        // Two kept connections that are both dead: the second try must not meet the other one.
        var gate = new TaskCompletionSource();
        var (begun, isOver) = (0, false);
        await using var peer = new LoopbackPeer(async (request, stream, token) =>
        {
            if (isOver)
            {
                await AnswerAsync(stream, token);
                return;
            }

            if (Interlocked.Increment(ref begun) == 2)
            {
                gate.SetResult();
            }

            await gate.Task.WaitAsync(token);
            await AnswerAsync(stream, token);
            await DropNextAsync(stream, isReset, token);
        });
        using var client = RegistryClientTests.Client(peer);
        await Task.WhenAll(AskAsync(client, peer, "packument"), AskAsync(client, peer, "packument"));
        isOver = true;
        await AskAsync(client, peer, kind);
        Assert.Equal(3, peer.Requests.Count);
        Assert.Equal(kind == "audit" ? "POST" : "GET", peer.Requests.Last().Method);
    }

    [Fact]
    public async Task A_body_goes_again_as_it_was()
    {
        var bodies = new List<string>();
        await using var peer = new LoopbackPeer(async (request, stream, token) =>
        {
            if (request.Method == "POST")
            {
                bodies.Add(await BodyAsync(request, stream, token));
            }

            await AnswerAsync(stream, token);
            await DropNextAsync(stream, isReset: true, token, bodies.Add);
        });
        using var client = RegistryClientTests.Client(peer);
        await AskAsync(client, peer, "packument");
        await AskAsync(client, peer, "audit");
        Assert.Equal(["{\"a\":[\"1.0.0\"]}", "{\"a\":[\"1.0.0\"]}"], bodies);
    }

    [Fact]
    public async Task It_is_not_sent_a_third_time()
    {
        var isOver = false;
        await using var peer = new LoopbackPeer(async (_, stream, token) =>
        {
            if (isOver)
            {
                Reset(stream);
            }

            await AnswerAsync(stream, token);
            await DropNextAsync(stream, isReset: true, token);
        });
        using var client = RegistryClientTests.Client(peer);
        await AskAsync(client, peer, "packument");
        isOver = true;
        Assert.Equal(MirrorFault.UpstreamUnavailable, (await Assert.ThrowsAsync<MirrorException>(() => AskAsync(client, peer, "audit"))).Fault);
        Assert.Equal(2, peer.Requests.Count);
    }

    [Fact]
    public async Task A_request_that_fails_on_a_new_connection_is_not_sent_again()
    {
        await using var peer = new LoopbackPeer((_, stream, _) =>
        {
            Reset(stream);
            return Task.CompletedTask;
        });
        using var client = RegistryClientTests.Client(peer);
        await Assert.ThrowsAsync<MirrorException>(() => AskAsync(client, peer, "packument"));
        Assert.Single(peer.Requests);
    }

    [Claim("A request whose connection ends without a byte is sent as often as the mirror tries, and not as often as the HTTP stack does",
        With = [$"{nameof(TransportTests)}.{nameof(TransportTests.A_proxy_that_wants_a_password_is_asked_again_with_it)}"],
        Red = "a second connection may be opened for a request (as before); none may be opened after a 407: the last two cases")]
    [Theory]
    [InlineData("packument", false, 1)]
    [InlineData("tarball", false, 1)]
    [InlineData("audit", false, 1)]
    [InlineData("packument", true, 2)]
    [InlineData("tarball", true, 2)]
    public async Task A_request_closed_without_a_byte_is_sent_once_for_each_of_our_tries(string kind, bool isKept, int sent)
    {
        var isOver = !isKept;
        await using var peer = new LoopbackPeer(async (_, stream, token) =>
        {
            if (isOver)
            {
                return;
            }

            await AnswerAsync(stream, token);
            await DropNextAsync(stream, isReset: false, token);
        });
        using var client = RegistryClientTests.Client(peer);
        if (isKept)
        {
            await AskAsync(client, peer, "packument");
            isOver = true;
        }

        Assert.Equal(MirrorFault.UpstreamUnavailable, (await Assert.ThrowsAsync<MirrorException>(() => AskAsync(client, peer, kind))).Fault);
        // The one that is dropped on the kept connection is read by the peer too, and not counted.
        Assert.Equal(isKept ? sent : 1, peer.Requests.Count);
    }

    [Fact]
    public async Task A_body_that_cannot_be_read_twice_is_not_sent_again()
    {
        await using var peer = new LoopbackPeer(async (_, stream, token) =>
        {
            await AnswerAsync(stream, token);
            await DropNextAsync(stream, isReset: true, token);
        });
        using var client = RegistryClientTests.Client(peer);
        await AskAsync(client, peer, "packument");
        using var content = new StreamContent(new MemoryStream([1]));
        await Assert.ThrowsAsync<MirrorException>(() => client.ForwardAsync(RequestPurpose.Audit, HttpMethod.Post, "/-/npm/v1/security/advisories/bulk", content, TimeSpan.FromSeconds(30), Cancelled));
        Assert.Single(peer.Requests);
    }

    [Fact]
    public async Task Silence_on_a_kept_connection_is_no_reason_to_send_again()
    {
        await using var peer = new LoopbackPeer(async (_, stream, token) =>
        {
            await AnswerAsync(stream, token);
            await PeerRequest.ReadAsync(stream, token);
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
        });
        using var client = RegistryClientTests.Client(peer, options => options with { Timeout = TimeSpan.FromSeconds(1) });
        await AskAsync(client, peer, "packument");
        await Assert.ThrowsAsync<MirrorException>(() => AskAsync(client, peer, "packument"));
        Assert.Single(peer.Requests);
    }

    private static async Task AskAsync(RegistryClient client, LoopbackPeer peer, string kind)
    {
        switch (kind)
        {
            case "packument":
                Assert.IsType<PackumentAnswer.Fetched>(await client.GetPackumentAsync(PackageName.Parse("x"), default, false, Cancelled)).Document.Dispose();
                break;
            case "tarball":
                Assert.IsType<TarballAnswer.Opened>(await client.OpenTarballAsync(new Uri(peer.Url, "x/-/x-1.0.0.tgz"), Cancelled)).Response.Dispose();
                break;
            default:
                using (var content = new ReadOnlyMemoryContent("{\"a\":[\"1.0.0\"]}"u8.ToArray()))
                {
                    using var answer = await client.ForwardAsync(RequestPurpose.Audit, HttpMethod.Post, "/-/npm/v1/security/advisories/bulk", content, TimeSpan.FromSeconds(30), Cancelled);
                    Assert.Equal(200, (int)answer.StatusCode);
                }

                break;
        }
    }

    private static ValueTask AnswerAsync(Stream stream, CancellationToken cancellationToken)
    {
        const string body = """{"name":"x"}""";
        return stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"), cancellationToken);
    }

    /// <summary>Takes the next request of the connection and ends it without an answer.</summary>
    private static async Task DropNextAsync(Stream stream, bool isReset, CancellationToken cancellationToken, Action<string>? seen = null)
    {
        if (await PeerRequest.ReadAsync(stream, cancellationToken) is { } request)
        {
            var body = await BodyAsync(request, stream, cancellationToken);
            seen?.Invoke(body);
            if (isReset)
            {
                Reset(stream);
            }
        }
    }

    private static async Task<string> BodyAsync(PeerRequest request, Stream stream, CancellationToken cancellationToken)
    {
        var body = new byte[int.Parse(request["Content-Length"] ?? "0", System.Globalization.CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(body, cancellationToken);
        return Encoding.ASCII.GetString(body);
    }

    private static void Reset(Stream stream)
    {
        var socket = ((NetworkStream)stream).Socket;
        socket.LingerState = new LingerOption(true, 0);
        socket.Close();
        throw new IOException("Reset.");
    }
}
