using System.Globalization;
using System.Net;
using System.Net.Sockets;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary><c>serve</c> under a small limit on open files, and more idle clients than that.</summary>
public sealed class OpenFilesTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private FakeRegistry _upstream = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync(cancellationToken: Token);
        foreach (var i in Enumerable.Range(0, 20))
        {
            _upstream.Publish(new FakePackage($"p{i}").Version("1.0.0"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("More idle sockets than the process may have open stop neither serving nor storing nor fetching; a limit too small to start with is one sentence, exit 2, nothing written",
        With =
        [
            nameof(A_limit_that_is_too_small_is_one_sentence),
            $"{nameof(OpenFileLimitTests)}.{nameof(OpenFileLimitTests.Two_for_each_client_after_the_need_of_the_process_itself)}",
            $"{nameof(OpenFileLimitTests)}.{nameof(OpenFileLimitTests.A_limit_that_is_too_small_is_told_with_the_needed_one)}",
        ],
        Red = "`OpenFileLimit` counts one file a client, or refuses no limit: the first and the last were red")]
    [Trait("Duration", "long")]
    [Fact]
    public async Task Idle_sockets_over_the_limit_stop_no_serving_storing_or_fetching()
    {
        await using var mirror = Start(560);
        var line = await mirror.WaitForOutputAsync("Serving ");
        var address = new Uri(line.Split(' ').First(word => word.StartsWith("http://", StringComparison.Ordinal)));
        var idle = new List<Socket>();
        try
        {
            foreach (var _ in Enumerable.Range(0, 600))
            {
                idle.Add(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false });
                try
                {
                    await idle[^1].ConnectAsync(new IPEndPoint(IPAddress.Loopback, address.Port), CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromMilliseconds(20), TimeProvider.System, Token);
                }
                catch (TimeoutException)
                {
                    // The kernel's queue is full: it goes on trying.
                }
            }

            await mirror.WaitForErrorAsync("60 clients are connected");
            using var client = new HttpClient { Timeout = TimeSpan.FromMinutes(2) };
            foreach (var i in Enumerable.Range(0, 20))
            {
                // Fetched from the upstream and stored, packument and tarball, each over a connection of its own.
                using var request = new HttpRequestMessage(HttpMethod.Get, $"{address}p{i}/-/p{i}-1.0.0.tgz");
                request.Headers.ConnectionClose = i % 4 == 0;
                using var answer = await client.SendAsync(request, Token);
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                Assert.NotEmpty(await answer.Content.ReadAsByteArrayAsync(Token));
            }
        }
        finally
        {
            idle.ForEach(socket => socket.Dispose());
        }

        Assert.DoesNotContain("Too many open files", mirror.Errors, StringComparison.OrdinalIgnoreCase);
        await mirror.SignalAsync("TERM");
        Assert.Equal(0, await mirror.WaitForExitAsync());
        var (code, output, _) = await CliProcess.RunAsync(_folder.Path, ["status", "--json", "--data=data"]);
        Assert.Equal(0, code);
        Assert.Contains("\"tarballs\": 20", output.Replace("\":2", "\": 2", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(128, 256)]
    [InlineData(255, 256)]
    [InlineData(300, 504)]
    public async Task A_limit_that_is_too_small_is_one_sentence(int limit, int needed)
    {
        await using var mirror = Start(limit);
        Assert.Equal(2, await mirror.WaitForExitAsync());
        Assert.Equal(
            string.Create(CultureInfo.InvariantCulture, $"This process may have {limit} files and sockets open at once, and needs {needed}; raise its limit (ulimit -n, or LimitNOFILE of its service).\n"),
            mirror.Errors);
        Assert.Empty(mirror.Output);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    private CliProcess Start(int limit) => CliProcess.StartBelow(
        ["sh", "-c", string.Create(CultureInfo.InvariantCulture, $"ulimit -n {limit} && exec \"$@\""), "sh"],
        _folder.Path,
        ["serve", $"--upstream={_upstream.Url}", "--feed=none", "--data=data", "--listen=http://127.0.0.1:0"]);
}
