using System.IO.Compression;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

public sealed class RegistryClientTests
{
    private static readonly PackageName Name = PackageName.Parse("@scope/näme");

    [Fact]
    public async Task Fetches_a_packument_with_its_validators()
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(200, """{"name":"x"}""", "ETag: \"e1\"\r\nLast-Modified: Tue, 03 Nov 2026 10:00:00 GMT\r\n"));
        using var client = Client(peer);
        var fetched = Assert.IsType<PackumentAnswer.Fetched>(await GetAsync(client));
        using var document = fetched.Document;
        Assert.Equal("""{"name":"x"}"""u8, document.Bytes);
        Assert.Equal(new Validators("\"e1\"", "Tue, 03 Nov 2026 10:00:00 GMT"), fetched.Validators);
        Assert.True(peer.Requests.TryDequeue(out var request));
        Assert.Equal("/@scope%2fn%C3%A4me", request.Target);
        Assert.Equal("application/json", request["Accept"]);
        Assert.StartsWith("npm-mirror/", request["User-Agent"], StringComparison.Ordinal);
        Assert.Equal("this-mirror", request["npm-mirror-instance"]);
    }

    [Fact]
    public async Task Asks_conditionally_and_past_caches_when_told_to()
    {
        await using var peer = new LoopbackPeer(_ => "HTTP/1.1 304 X\r\nConnection: close\r\n\r\n");
        using var client = Client(peer);
        Assert.IsType<PackumentAnswer.NotModified>(await client.GetPackumentAsync(Name, new Validators("\"e\"", "yesterday"), isCacheBusted: true, TestContext.Current.CancellationToken));
        Assert.True(peer.Requests.TryDequeue(out var request));
        Assert.Equal("\"e\"", request["If-None-Match"]);
        Assert.Equal("yesterday", request["If-Modified-Since"]);
        Assert.Contains("?t=", request.Target, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(404, """{"error":"Not found"}""", "“Not found”")]
    [InlineData(410, "\"gone for good\"", "“gone for good”")]
    [InlineData(451, """{"error":"blocked","reason":"court order"}""", "“court order”")]
    [InlineData(404, "", null)]
    [InlineData(404, "<html>", null)]
    public async Task Absence_is_an_answer_with_its_reason(int status, string body, string? reason)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, body));
        using var client = Client(peer);
        Assert.Equal(new PackumentAnswer.Absent(status, reason), await GetAsync(client));
    }

    [Theory]
    [InlineData(401, MirrorFault.UpstreamRefused, false)]
    [InlineData(403, MirrorFault.UpstreamRefused, false)]
    [InlineData(429, MirrorFault.UpstreamBusy, true)]
    [InlineData(500, MirrorFault.UpstreamUnavailable, true)]
    [InlineData(503, MirrorFault.UpstreamUnavailable, true)]
    [InlineData(522, MirrorFault.UpstreamUnavailable, true)]
    [InlineData(508, MirrorFault.Configuration, false)]
    [InlineData(400, MirrorFault.UpstreamMalformed, false)]
    [InlineData(304, MirrorFault.UpstreamMalformed, false)]
    public async Task Trouble_says_whether_to_retry(int status, MirrorFault fault, bool isTransient)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, "<!DOCTYPE html><h1>no</h1>", "Content-Type: text/html\r\n"));
        using var client = Client(peer);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client));
        Assert.Equal((fault, isTransient), (failure.Fault, failure.IsTransient));
        Assert.Null(failure.RetryAfter);
        Assert.DoesNotContain("<h1>", failure.Message, StringComparison.Ordinal);
    }

    [Claim("Retry-After (seconds, date, 0, missing, HTML bodies) is obeyed, the first back-off step is a second at least",
        With =
        [
            $"{nameof(BackoffTests)}.{nameof(BackoffTests.The_first_wait_is_never_shorter_than_the_first_step)}",
            $"{nameof(Following.RegistryMonitorTests)}.{nameof(Following.RegistryMonitorTests.The_first_wait_after_an_error_is_a_second_at_least_and_grows)}",
            $"{nameof(Following.RegistryMonitorTests)}.{nameof(Following.RegistryMonitorTests.Waits_as_long_as_the_upstream_asks)}",
        ],
        Red = "Backoff jitters downwards")]
    [Theory]
    [InlineData("7", 7.0)]
    [InlineData("0", 0.0)]
    [InlineData("Sun, 01 Nov 2026 12:00:30 GMT", 30.0)]
    [InlineData("Sun, 01 Nov 2026 11:00:00 GMT", 0.0)]
    [InlineData("soon", null)]
    [InlineData("-5", null)]
    public async Task Hears_how_long_to_wait(string retryAfter, double? seconds)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(429, "<html>slow down</html>", $"Retry-After: {retryAfter}\r\nContent-Type: text/html\r\n"));
        using var client = Client(peer, time: new FakeClock());
        var failure = await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client));
        Assert.Equal(seconds, failure.RetryAfter?.TotalSeconds);
    }

    [Theory]
    [InlineData("", "application/json")]
    [InlineData(" \r\n", "application/json")]
    [InlineData("<html><body>Deploying</body></html>", "text/html")]
    [InlineData("\uFEFF <!DOCTYPE html>", "application/json")]
    public async Task A_200_that_is_no_packument_is_tried_again(string body, string type)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(200, body, $"Content-Type: {type}\r\n"));
        using var client = Client(peer);
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client))).IsTransient);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("deflate")]
    [InlineData("zstd")]
    public async Task Decodes_a_compressed_body(string coding)
    {
        var json = $$"""{"name":"x","padding":"{{new string('x', 300_000)}}"}""";
        await using var peer = Compressed(coding, Compress(coding, json), cutBytes: 0);
        using var client = Client(peer);
        var fetched = Assert.IsType<PackumentAnswer.Fetched>(await GetAsync(client));
        using var document = fetched.Document;
        Assert.Equal(Encoding.UTF8.GetBytes(json), document.Bytes);
    }

    [Claim("A compressed body that was cut is never a short document, wherever it was cut",
        With =
        [
            $"{nameof(BodyCodingTests)}.{nameof(BodyCodingTests.No_cut_is_taken_for_whole)}",
            $"{nameof(BodyCodingTests)}.{nameof(BodyCodingTests.No_cut_of_a_later_member_is_taken_for_whole)}",
            $"{nameof(BodyCodingTests)}.{nameof(BodyCodingTests.A_tarball_whose_coding_was_cut_is_never_whole)}",
        ],
        Red = "`DecodedStream.ReadAsync` gives what the decoder gives without looking at `IsCut`, or the zstd decoder does not check the end of its stream")]
    [Theory]
    [InlineData("gzip", 1)]
    [InlineData("gzip", 8)]
    [InlineData("gzip", 200)]
    [InlineData("br", 3)]
    [InlineData("zstd", 3)]
    [InlineData("deflate", 3)]
    public async Task A_compressed_body_cut_short_is_never_a_short_document(string coding, int cutBytes)
    {
        // The length is right and the connection ends cleanly: only the compressed data itself tells.
        var json = $$"""{"name":"{{string.Concat(Enumerable.Range(0, 2000).Select(i => (i * 7919) % 1000))}}"}""";
        await using var peer = Compressed(coding, Compress(coding, json), cutBytes);
        using var client = Client(peer);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client));
        Assert.True(failure.IsTransient);
    }

    [Fact]
    public async Task A_body_shorter_than_its_length_is_tried_again()
    {
        await using var peer = new LoopbackPeer(_ => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"name\":");
        using var client = Client(peer);
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client))).IsTransient);
    }

    [Claim("A body over the limit is refused by its decoded size",
        Red = "a null of RawDocument.ReadAsync is taken for an empty document")]
    [Theory]
    [InlineData("gzip")]
    [InlineData("zstd")]
    public async Task Refuses_a_bomb_by_its_decoded_size(string coding)
    {
        await using var peer = Compressed(coding, Compress(coding, new string(' ', 50_000_000)), cutBytes: 0);
        using var budget = new ByteBudget(10_000_000);
        using var client = new RegistryClient(Options(peer.Url) with { PackumentMaxBytes = 1_000_000 }, budget, TimeProvider.System, NullLogger.Instance);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client));
        Assert.Equal(MirrorFault.TooLarge, failure.Fault);
        Assert.Contains("packumentMaxBytes", failure.Message, StringComparison.Ordinal);
        Assert.Equal(0, budget.UsedBytes);
    }

    [Fact]
    public async Task An_upstream_that_never_answers_times_out()
    {
        await using var peer = new LoopbackPeer((_, _, cancellationToken) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken));
        var clock = new FakeClock();
        using var client = Client(peer, time: clock);
        var asking = GetAsync(client);
        await Eventually.Async(() => !peer.Requests.IsEmpty);
        Assert.False(client.IsAway);
        clock.Advance(TimeSpan.FromSeconds(31));
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => asking)).IsTransient);
        // It is there, for it let us connect: one slow package is no reason to say so to all that ask for something else.
        Assert.False(client.IsAway);
        Assert.Empty(client.Pauses.List());
    }

    [Fact]
    public async Task A_body_that_stalls_times_out()
    {
        await using var peer = new LoopbackPeer(async (_, stream, cancellationToken) =>
        {
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"u8.ToArray(), cancellationToken);
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        });
        var clock = new FakeClock();
        using var client = Client(peer, time: clock);
        var asking = GetAsync(client);
        await Eventually.Async(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return asking.IsCompleted;
        });
        Assert.Contains("nothing for 30 s", (await Assert.ThrowsAsync<MirrorException>(() => asking)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_that_leaves_is_no_failure_of_the_upstream()
    {
        await using var peer = new LoopbackPeer((_, _, cancellationToken) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken));
        using var client = Client(peer);
        using var leaving = new CancellationTokenSource();
        var asking = client.GetPackumentAsync(Name, default, isCacheBusted: false, leaving.Token);
        await Eventually.Async(() => !peer.Requests.IsEmpty);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        Assert.False(client.IsAway);
    }

    [Fact]
    public async Task A_closed_port_means_away_until_an_answer_comes()
    {
        var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(404, "{}"));
        var clock = new FakeClock();
        using var client = Client(peer, time: clock);
        await peer.DisposeAsync();
        Assert.Equal(MirrorFault.UpstreamUnavailable, (await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client))).Fault);
        Assert.True(client.IsAway);
        clock.Advance(TimeSpan.FromSeconds(6));
        Assert.False(client.IsAway);
    }

    [Fact]
    public async Task Fetches_no_more_packuments_at_once_than_allowed()
    {
        int now = 0, most = 0;
        var gate = new TaskCompletionSource();
        await using var peer = new LoopbackPeer(async (_, stream, cancellationToken) =>
        {
            most = Math.Max(most, Interlocked.Increment(ref now));
            await gate.Task.WaitAsync(cancellationToken);
            Interlocked.Decrement(ref now);
            await stream.WriteAsync(Encoding.UTF8.GetBytes(LoopbackPeer.Answer(404, "{}")), cancellationToken);
        });
        using var client = Client(peer, options => options with { Concurrency = 2 }, new FakeClock());
        using var patience = new Patience();
        var all = Enumerable.Range(0, 5).Select(_ => client.GetPackumentAsync(Name, default, isCacheBusted: false, patience, TestContext.Current.CancellationToken)).ToArray();
        await Eventually.Async(() => Volatile.Read(ref most) == 2);
        gate.SetResult();
        await Task.WhenAll(all);
        Assert.Equal((2, 5), (most, peer.Requests.Count));
    }

    [Fact]
    public async Task A_request_that_gets_a_waiting_client_leaves_the_queue()
    {
        await using var peer = new LoopbackPeer((request, stream, cancellationToken) => request.Target == "/awaited"
            ? stream.WriteAsync(Encoding.UTF8.GetBytes(LoopbackPeer.Answer(404, "{}")), cancellationToken).AsTask()
            : Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken));
        using var client = Client(peer, options => options with { Concurrency = 1 }, new FakeClock());
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        using var others = new Patience();
        var hanging = client.GetPackumentAsync(Name, default, isCacheBusted: false, others, leaving.Token);
        await Eventually.Async(() => peer.Requests.Count == 1);

        using var patience = new Patience();
        var awaited = client.GetPackumentAsync(PackageName.Parse("awaited"), default, isCacheBusted: false, patience, leaving.Token);
        Assert.False(awaited.IsCompleted);
        patience.End();
        Assert.IsType<PackumentAnswer.Absent>(await awaited);
        Assert.False(hanging.IsCompleted);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hanging);
    }

    [Fact]
    public async Task Forwards_a_request_and_gives_the_answer_as_it_comes()
    {
        var body = Compress("gzip", """{"objects":[]}""");
        await using var peer = Compressed("gzip", body, cutBytes: 0);
        using var client = Client(peer);
        using var answer = await client.ForwardAsync(RequestPurpose.Search, HttpMethod.Get, "/-/v1/search?text=a%20b", null, TimeSpan.FromSeconds(3), TestContext.Current.CancellationToken);
        Assert.Equal("""{"objects":[]}""", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Empty(answer.Content.Headers.ContentEncoding);
        Assert.True(peer.Requests.TryDequeue(out var request));
        Assert.Equal("/-/v1/search?text=a%20b", request.Target);
    }

    internal static RegistryClient Client(LoopbackPeer peer, Func<RegistryClientOptions, RegistryClientOptions>? change = null, TimeProvider? time = null) =>
        new((change ?? (options => options))(Options(peer.Url)), new ByteBudget(100_000_000), time ?? TimeProvider.System, NullLogger.Instance);

    private static RegistryClientOptions Options(Uri url) => new() { BaseUrl = url, InstanceId = "this-mirror" };

    private static Task<PackumentAnswer> GetAsync(RegistryClient client) =>
        client.GetPackumentAsync(Name, default, isCacheBusted: false, TestContext.Current.CancellationToken);

    private static byte[] Compress(string coding, string text)
    {
        using var buffer = new MemoryStream();
        using (Stream encoder = coding switch
        {
            "gzip" => new GZipStream(buffer, CompressionLevel.Fastest),
            "br" => new BrotliStream(buffer, CompressionLevel.Fastest),
            "zstd" => new ZstdSharp.CompressionStream(buffer),
            _ => new ZLibStream(buffer, CompressionLevel.Fastest),
        })
        {
            encoder.Write(Encoding.UTF8.GetBytes(text));
        }

        return buffer.ToArray();
    }

    private static LoopbackPeer Compressed(string coding, byte[] body, int cutBytes) => new(async (_, stream, cancellationToken) =>
    {
        var cut = body[..^cutBytes];
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Type: application/json\r\nContent-Length: {cut.Length}\r\nConnection: close\r\n\r\n"), cancellationToken);
        await stream.WriteAsync(cut, cancellationToken);
    });
}
