using System.IO.Compression;
using System.Net;
using System.Text;
using NpmMirror.Testing;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>How audits are read, how much memory they take and how long they may wait.</summary>
public sealed class AuditTests
{
    private const string Bulk = "-/npm/v1/security/advisories/bulk";

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A content coding of an audit is understood in any case of letters, and only one coding is accepted",
        With = [nameof(Another_coding_is_refused)],
        Red = "codings are compared by case: the first was red; any known coding is taken: the second")]
    [Theory]
    [InlineData("gzip", true)]
    [InlineData("GZIP", true)]
    [InlineData("X-Gzip", true)]
    [InlineData("identity, Gzip", true)]
    [InlineData("Identity", false)]
    [InlineData("", false)]
    public async Task A_coding_is_understood_in_any_case(string coding, bool isGzip)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var answer = await PostAsync(mirror, isGzip ? Gzip("{\"ms\":[\"1.0.0\"]}") : "{\"ms\":[\"1.0.0\"]}"u8.ToArray(), coding);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("{\"ms\":[\"1.0.0\"]}", Encoding.UTF8.GetString(Assert.Single(registry.Requests.All).Body.Span));
    }

    [Theory]
    [InlineData("br")]
    [InlineData("gzip, gzip")]
    [InlineData("gzip;q=1")]
    public async Task Another_coding_is_refused(string coding)
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var answer = await PostAsync(mirror, Gzip("{}"), coding);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, answer.StatusCode);
    }

    [Claim("Audits and large answers stay compressed in memory, in the one budget",
        With = [$"{nameof(ForwardedAnswerTests)}.{nameof(ForwardedAnswerTests.Large_answers_are_held_in_the_budget_and_given_back)}"],
        Red = "`AuditBody` unpacks before it forwards: the first was red; `UpstreamAnswer` does not give its memory back: both")]
    [Fact]
    public async Task Sixty_small_audits_that_unpack_to_megabytes_stay_small()
    {
        var small = Gzip("{\"ms\":[" + string.Join(',', Enumerable.Repeat("\"1.0.0\"", 1_800_000)) + "]}");
        Assert.InRange(small.Length, 0, 100_000);
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var peer = new LoopbackPeer(async (request, stream, cancellationToken) =>
        {
            await stream.ReadExactlyAsync(new byte[int.Parse(request["Content-Length"]!, System.Globalization.CultureInfo.InvariantCulture)], cancellationToken);
            await open.Task.WaitAsync(cancellationToken);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(LoopbackPeer.Answer(200, "{}")), cancellationToken);
        });
        await using var mirror = await ServedMirror.StartAsync(upstream: peer.Url, configure: options => options.AuditTimeout = TimeSpan.FromMinutes(5));
        var audits = Enumerable.Range(0, 60).Select(_ => PostAsync(mirror, small, "gzip")).ToList();
        await Eventually.Async(() => peer.Requests.Count == audits.Count);
        Assert.InRange(mirror.Mirror.Budget.UsedBytes, 60L * small.Length, 60 * 200_000);
        Assert.All(peer.Requests, request => Assert.Equal(("gzip", $"{small.Length}"), (request["Content-Encoding"], request["Content-Length"])));
        open.SetResult();
        foreach (var audit in audits)
        {
            using var answer = await audit;
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        await Eventually.Async(() => mirror.Mirror.Budget.UsedBytes == 0);
    }

    [Claim("An audit of an install waits 3 s, also for an answer that trickles; any other audit waits `auditTimeout`, whatever happened to the first",
        With =
        [
            nameof(An_audit_waits_as_long_as_the_option_says),
            nameof(An_answer_that_trickles_is_late_as_a_whole),
            $"{nameof(Clients.NpmCommandTests)}.{nameof(Clients.NpmCommandTests.An_audit_waits_for_a_slow_upstream_and_an_install_does_not)}",
        ],
        Red = "`ForwardingEndpoint` takes `npm audit` for an install, or pauses both together: the first was red; it does not look at `auditTimeout`: the second; `Forwarder` waits for each piece by itself: the third")]
    [Theory]
    [InlineData("install")]
    [InlineData("ci")]
    [InlineData("update")]
    public async Task Only_an_audit_of_an_install_is_limited_to_three_seconds(string command)
    {
        var clock = new FakeClock();
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        using var gate = registry.Knobs.Hold("*/bulk");
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, time: clock);
        var install = PostAsync(mirror, "{}"u8.ToArray(), "", ("npm-command", command));
        var asked = PostAsync(mirror, "{}"u8.ToArray(), "", ("npm-command", "audit"));
        var other = PostAsync(mirror, "{}"u8.ToArray(), "");
        await gate.WaitForAsync(3, Cancelled);

        clock.Advance(TimeSpan.FromSeconds(3.1));
        using var late = await install.WaitAsync(TimeSpan.FromSeconds(30), Cancelled);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, late.StatusCode);
        Assert.Contains("within 3 s, and an install waits no longer", await late.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);

        // The next install is told at once; no other request is.
        using var next = await PostAsync(mirror, "{}"u8.ToArray(), "", ("npm-command", command));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, next.StatusCode);
        Assert.Equal(3, registry.Requests.All.Count);
        clock.Advance(TimeSpan.FromSeconds(20));
        Assert.False(asked.IsCompleted || other.IsCompleted);
        gate.Open();
        Assert.Equal(HttpStatusCode.OK, (await asked).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await other).StatusCode);
    }

    [Fact]
    public async Task An_audit_waits_as_long_as_the_option_says()
    {
        var clock = new FakeClock();
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        using var gate = registry.Knobs.Hold("*/bulk");
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, time: clock, configure: options => options.AuditTimeout = TimeSpan.FromSeconds(50));
        var asked = PostAsync(mirror, "{}"u8.ToArray(), "");
        await gate.WaitForAsync(1, Cancelled);
        clock.Advance(TimeSpan.FromSeconds(49));
        Assert.False(asked.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1.1));
        using var late = await asked.WaitAsync(TimeSpan.FromSeconds(30), Cancelled);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, late.StatusCode);
        Assert.Contains("within 50 s", await late.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_that_trickles_is_late_as_a_whole()
    {
        var clock = new FakeClock();
        await using var peer = new LoopbackPeer(async (_, stream, cancellationToken) =>
        {
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{"u8.ToArray(), cancellationToken);
            while (!cancellationToken.IsCancellationRequested)
            {
                await stream.WriteAsync(" "u8.ToArray(), cancellationToken);
                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, cancellationToken);
            }
        });
        await using var mirror = await ServedMirror.StartAsync(upstream: peer.Url, time: clock);
        var install = PostAsync(mirror, "{}"u8.ToArray(), "", ("npm-command", "install"));
        for (var seconds = 0; seconds < 3; seconds++)
        {
            // A byte has come, and the wait for the next one has begun: it would go on for three more seconds.
            await Eventually.Async(() => clock.HasTimerBetween(TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(3)));
            Assert.False(install.IsCompleted);
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        using var late = await install.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, late.StatusCode);
    }

    private static async Task<HttpResponseMessage> PostAsync(ServedMirror mirror, byte[] body, string coding, params (string, string)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Bulk) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        if (coding.Length > 0)
        {
            request.Content.Headers.TryAddWithoutValidation("Content-Encoding", coding);
        }

        return await mirror.SendAsync(request, headers);
    }

    private static byte[] Gzip(string text)
    {
        using var coded = new MemoryStream();
        using (var gzip = new GZipStream(coded, CompressionLevel.SmallestSize))
        {
            gzip.Write(Encoding.UTF8.GetBytes(text));
        }

        return coded.ToArray();
    }
}
