using System.Net;
using System.Security.Cryptography;
using System.Text;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>While an upstream is slow with some packages, the others are served. The answers during that time count, not their speed.</summary>
public sealed class SlowUpstreamTests
{
    private static readonly byte[] Tarball = [.. Enumerable.Range(0, 1_000).Select(i => (byte)i)];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Ways to be slow: the requested paths, how many, and the part of the answer that comes at once.</summary>
    public static TheoryData<string, string, int, string, int> Ways => new()
    {
        { "never answers", "slow-{0}", 12, "", 0 },
        { "announces 80 MB", "slow-{0}", 2, "Content-Length: 80000000\r\n", 10 },
        { "announces 80 MB many times", "slow-{0}", 40, "Content-Length: 80000000\r\n", 10 },
        { "stops after 20 MB", "slow-{0}", 4, "Content-Length: 80000000\r\n", 20_000_000 },
        { "stops after 20 MB whose length is not known", "slow-{0}", 4, "", 20_000_000 },
        { "stops after 1 MB", "slow-{0}", 40, "Content-Length: 80000000\r\n", 1_000_000 },
        { "never sends a tarball", "held/-/held-2.0.{0}.tgz", 12, "", 0 },
        { "stops within a tarball", "held/-/held-2.0.{0}.tgz", 12, "Content-Length: 80000000\r\n", 20_000 },
    };

    [Claim("While the upstream hangs, trickles or announces much for some packages, a new package, a new tarball and other forms of a held document are served",
        Red = "`BodyIntake` waits for 4 MB of memory before it reads a body, or `RegistryClient` lets what a client waits for stand in line with what nobody waits for")]
    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Others_are_served_while_the_upstream(string way, string path, int count, string headers, int bytes)
    {
        Assert.NotEmpty(way);
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var sent = 0;
        LoopbackPeer? peer = null;
        await using var upstream = peer = new LoopbackPeer(async (request, stream, cancellationToken) =>
        {
            if (!request.Target.Contains("slow", StringComparison.Ordinal) && !request.Target.Contains("2.0.", StringComparison.Ordinal))
            {
                await AnswerAsync(request, stream, peer!.Url, cancellationToken);
                return;
            }

            if (bytes > 0)
            {
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\n{headers}Connection: close\r\n\r\n{{"), cancellationToken);
                await stream.WriteAsync(Enumerable.Repeat((byte)' ', bytes - 1).ToArray(), cancellationToken);
            }

            Interlocked.Increment(ref sent);
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        });
        await using var mirror = await ServedMirror.StartAsync(upstream: peer.Url, configure: options => options.BudgetBytes = 32_000_000);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(mirror, "held"));
        var slow = Enumerable.Range(0, count).Select(i => mirror.Client.GetAsync(new Uri(string.Format(null, path, i), UriKind.Relative), stopping.Token)).ToList();
        await Eventually.Async(() => Volatile.Read(ref sent) == count);

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(mirror, "new"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(mirror, "held", ("Accept", "application/vnd.npm.install-v1+json"), ("Accept-Encoding", "br")));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(mirror, "held/1.0.0"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(mirror, "held/-/held-1.0.0.tgz"));
        Assert.DoesNotContain(slow, asking => asking.IsCompleted);
        await stopping.CancelAsync();
        await Task.WhenAll(slow).ContinueWith(static _ => { }, TaskScheduler.Default);
    }

    private static async Task<HttpStatusCode> StatusAsync(ServedMirror mirror, string path, params (string Name, string Value)[] headers)
    {
        using var answer = await mirror.GetAsync(path, headers);
        await answer.Content.LoadIntoBufferAsync(Token);
        return answer.StatusCode;
    }

    private static async Task AnswerAsync(PeerRequest request, Stream stream, Uri url, CancellationToken cancellationToken)
    {
        var isTarball = request.Target.EndsWith(".tgz", StringComparison.Ordinal);
        var body = isTarball ? Tarball : Encoding.UTF8.GetBytes(Packument(request.Target.Trim('/').Split('?')[0], url));
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n"), cancellationToken);
        await stream.WriteAsync(body, cancellationToken);
    }

    private static string Packument(string name, Uri url)
    {
        var integrity = $"sha512-{Convert.ToBase64String(SHA512.HashData(Tarball))}";
        var versions = Enumerable.Range(0, 12).Select(i => $"2.0.{i}").Append("1.0.0").Select(version =>
            $$"""
            "{{version}}":{"name":"{{name}}","version":"{{version}}","description":"{{new string('x', 20_000)}}","dist":{"tarball":"{{url}}{{name}}/-/{{name}}-{{version}}.tgz","integrity":"{{integrity}}"} }
            """);
        return $$"""{"name":"{{name}}","dist-tags":{"latest":"1.0.0"},"versions":{ {{string.Join(",", versions)}} } }""";
    }
}
