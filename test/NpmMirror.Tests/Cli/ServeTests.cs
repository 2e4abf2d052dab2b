using System.Globalization;
using System.Net;
using System.Net.Sockets;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary><c>serve</c> for an operator: its address, its refusals, its end.</summary>
[Trait("Duration", "long")]
public sealed class ServeTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private FakeRegistry _upstream = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("2.1.3"));
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Says_where_it_serves_and_from_where_and_ends_with_zero()
    {
        await using var mirror = Start("--listen=http://127.0.0.1:0");
        var line = await mirror.WaitForOutputAsync("Serving ");
        Assert.Contains($" from {_upstream.Url}", line, StringComparison.Ordinal);
        using var client = new HttpClient();
        Assert.Contains("\"2.1.3\"", await client.GetStringAsync($"{AddressIn(line)}ms", TestContext.Current.CancellationToken), StringComparison.Ordinal);

        await mirror.SignalAsync("TERM");
        Assert.Equal(0, await mirror.WaitForExitAsync(20));
    }

    [Theory]
    [InlineData("0", "Only programs on this machine reach it; --listen=0.0.0.0:")]
    [InlineData(":0", "Other machines reach it at http://|It listens on every address of this machine")]
    public async Task Says_which_machines_reach_it(string listen, string told)
    {
        await using var mirror = Start($"--listen={listen}");
        var line = await mirror.WaitForOutputAsync(" reach");
        Assert.Contains(told.Split('|'), part => line.StartsWith(part, StringComparison.Ordinal));
        using var client = new HttpClient();
        Assert.Contains("\"2.1.3\"", await client.GetStringAsync($"{AddressIn(mirror.Output)}ms", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("localhost")]
    public async Task A_busy_port_is_told_with_the_option_that_changes_it(string host)
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;
        using var otherSix = new TcpListener(IPAddress.IPv6Loopback, port);
        TryStart(otherSix);

        await using var mirror = Start(string.Create(CultureInfo.InvariantCulture, $"--listen=http://{host}:{port}"));
        Assert.Equal(2, await mirror.WaitForExitAsync());
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"Port {port} is in use by another program"), mirror.Errors, StringComparison.Ordinal);
        Assert.Contains("with listen", mirror.Errors, StringComparison.Ordinal);
        Assert.Empty(mirror.Output);
    }

    [Claim("One process follows into a folder, a second is refused in one sentence, exit 3",
        Red = "OpenMirror takes no FollowLock")]
    [Fact]
    public async Task A_second_one_on_the_same_folder_is_refused_in_one_sentence()
    {
        await using var first = Start("--listen=http://127.0.0.1:0");
        await first.WaitForOutputAsync("Serving ");
        await using var second = Start("--listen=http://127.0.0.1:0");

        Assert.Equal(3, await second.WaitForExitAsync());
        Assert.StartsWith("Another npm-mirror serves or follows with the folder ", Assert.Single(second.Errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    [Claim("A killed mirror leaves no lock",
        Red = "`FollowLock` takes the file itself for the lock")]
    [Fact]
    public async Task Serves_again_on_the_folder_of_one_that_was_killed()
    {
        await using (var first = Start("--listen=http://127.0.0.1:0"))
        {
            await first.WaitForOutputAsync("Serving ");
            await first.SignalAsync("KILL");
            await first.WaitForExitAsync();
        }

        await using var second = Start("--listen=http://127.0.0.1:0");
        await second.WaitForOutputAsync("Serving ");
    }

    [Claim("Upstream = itself, npm missing, busy port: one sentence, exit 2",
        With =
        [
            nameof(An_npm_that_is_configured_for_this_mirror_is_told_so),
            nameof(Without_npm_to_ask_and_without_an_upstream_it_says_so_in_one_sentence),
            nameof(A_busy_port_is_told_with_the_option_that_changes_it),
        ],
        Red = "`OwnAddress.Is` is always false: the first two were red")]
    [Theory]
    [InlineData("127.0.0.1", "/npm/")]
    [InlineData("localhost", "/")]
    public async Task An_upstream_that_is_this_mirror_itself_is_refused(string host, string path)
    {
        var port = FreePort.Find();
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["serve", $"--upstream=http://{host}:{port}{path}", $"--listen={port}"]);
        Assert.Equal(2, code);
        Assert.Contains("which is this mirror itself", Assert.Single(errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task An_npm_that_is_configured_for_this_mirror_is_told_so()
    {
        var port = FreePort.Find();
        File.WriteAllText(_folder.File(".npmrc"), $"registry=http://127.0.0.1:{port}/npm/\n");
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["serve", $"--listen={port}"], [.. NoNpm, ("npm_config_userconfig", _folder.File(".npmrc"))]);
        Assert.Equal(2, code);
        Assert.Equal($"npm on this machine is configured to use http://127.0.0.1:{port}/npm, which is this mirror itself; name the registry to mirror with --upstream.\n", errors);
    }

    [Fact]
    public async Task Without_npm_to_ask_and_without_an_upstream_it_says_so_in_one_sentence()
    {
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, ["serve", "--listen=0"], NoNpm);
        Assert.Equal(2, code);
        Assert.Equal("No upstream is known, and npm is not installed here to tell its registry; give --upstream URL.\n", errors);
        Assert.Empty(output);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Claim("Without a named upstream, upstream and token are npm's own",
        Red = "npm's credentials are not read")]
    [Fact]
    public async Task The_upstream_and_its_token_are_those_of_npm_when_none_is_named()
    {
        _upstream.Knobs.RequiredAuthorization = "Bearer t0ken";
        var authority = _upstream.Url.Authority;
        File.WriteAllText(_folder.File(".npmrc"), $"registry={_upstream.Url}\n//{authority}/:_authToken=t0ken\n");
        await using var mirror = CliProcess.Start(_folder.Path, ["serve", "--feed=none", "--listen=http://127.0.0.1:0"], [.. NoNpm, ("npm_config_userconfig", _folder.File(".npmrc"))]);
        var line = await mirror.WaitForOutputAsync("Serving ");
        using var client = new HttpClient();
        Assert.Contains("\"2.1.3\"", await client.GetStringAsync($"{AddressIn(line)}ms", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.DoesNotContain("t0ken", mirror.Output + mirror.Errors, StringComparison.Ordinal);
    }

    [Claim("SIGTERM drains 20 s at most; a second signal ends at once; followers do not hold it up",
        With =
        [
            nameof(A_download_that_never_ends_is_broken_off_after_20_seconds),
            nameof(A_second_signal_ends_it_at_once),
            nameof(A_waiting_follower_does_not_hold_up_the_end),
        ],
        Red = "a drain of 0.1 s: the first was red; of 5 min: the second; `Signals` swallows every signal: the third; `ChangesEndpoint` does not hear of the end: the last")]
    [Fact]
    public async Task Ends_only_when_the_download_in_flight_has_ended()
    {
        using var gate = _upstream.Knobs.Hold("*.tgz");
        await using var mirror = Start("--listen=http://127.0.0.1:0");
        var address = AddressIn(await mirror.WaitForOutputAsync("Serving "));
        using var client = new HttpClient();
        var download = client.GetByteArrayAsync($"{address}ms/-/ms-2.1.3.tgz", TestContext.Current.CancellationToken);
        await gate.WaitForAsync(1, TestContext.Current.CancellationToken);

        await mirror.SignalAsync("TERM");
        // It listens no more, so it has begun to end; the download has not.
        await WaitUntilRefusedAsync(address);
        Assert.False(mirror.HasExited);
        gate.Open();

        Assert.Equal(_upstream.Tarballs["/ms/-/ms-2.1.3.tgz"], await download);
        Assert.Equal(0, await mirror.WaitForExitAsync(20));
    }

    [Fact]
    public async Task A_download_that_never_ends_is_broken_off_after_20_seconds()
    {
        using var gate = _upstream.Knobs.Hold("*.tgz");
        await using var mirror = Start("--listen=http://127.0.0.1:0", "--upstreamTimeout=5m");
        var address = AddressIn(await mirror.WaitForOutputAsync("Serving "));
        using var client = new HttpClient();
        var download = client.GetByteArrayAsync($"{address}ms/-/ms-2.1.3.tgz", TestContext.Current.CancellationToken);
        await gate.WaitForAsync(1, TestContext.Current.CancellationToken);

        var start = TimeProvider.System.GetTimestamp();
        await mirror.SignalAsync("TERM");
        await mirror.WaitForExitAsync(35);
        Assert.InRange(TimeProvider.System.GetElapsedTime(start).TotalSeconds, 15, 28);
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => download);
    }

    [Fact]
    public async Task A_second_signal_ends_it_at_once()
    {
        using var gate = _upstream.Knobs.Hold("*.tgz");
        await using var mirror = Start("--listen=http://127.0.0.1:0");
        var address = AddressIn(await mirror.WaitForOutputAsync("Serving "));
        using var client = new HttpClient();
        var download = client.GetByteArrayAsync($"{address}ms/-/ms-2.1.3.tgz", TestContext.Current.CancellationToken);
        await gate.WaitForAsync(1, TestContext.Current.CancellationToken);
        await mirror.SignalAsync("INT");
        await WaitUntilRefusedAsync(address);
        await mirror.SignalAsync("INT");

        Assert.NotEqual(0, await mirror.WaitForExitAsync(10));
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => download);
    }

    [Claim("Upstream down is ready",
        Red = "`UpstreamSelfCheck` takes trouble of the upstream for its own")]
    [Fact]
    public async Task Is_ready_while_the_upstream_is_away()
    {
        await using var mirror = CliProcess.Start(_folder.Path, ["serve", "--upstream=http://127.0.0.1:9/", "--listen=http://127.0.0.1:0"]);
        var address = AddressIn(await mirror.WaitForOutputAsync("Serving "));
        using var client = new HttpClient();
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(new Uri(new Uri(address), "/health/ready"), TestContext.Current.CancellationToken)).StatusCode);
        await mirror.SignalAsync("TERM");
        Assert.Equal(0, await mirror.WaitForExitAsync(20));
    }

    [Fact]
    public async Task A_waiting_follower_does_not_hold_up_the_end()
    {
        await using var mirror = Start("--listen=http://127.0.0.1:0");
        var address = AddressIn(await mirror.WaitForOutputAsync("Serving "));
        using var client = new HttpClient();
        using var waiting = await client.GetAsync($"{address}_changes?feed=continuous&heartbeat=1000", HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, waiting.StatusCode);

        await mirror.SignalAsync("TERM");
        Assert.True(await mirror.WaitForExitAsync(10) == 0, mirror.Errors);
    }

    /// <summary>A machine without npm, and a user without settings.</summary>
    private static (string, string?)[] NoNpm
    {
        get
        {
            var nothing = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), "npm-mirror-nothing")).FullName;
            var names = Environment.GetEnvironmentVariables().Keys.Cast<string>().Where(name => name.StartsWith("npm_config_", StringComparison.OrdinalIgnoreCase));
            return [("PATH", nothing), ("HOME", nothing), .. names.Select(name => (name, (string?)null))];
        }
    }

    private static string AddressIn(string line) => line.Split(' ')[1];

    private static void TryStart(TcpListener listener)
    {
        try
        {
            listener.Start();
        }
        catch (SocketException)
        {
            // Without IPv6 on this machine "localhost" is only the other address.
        }
    }

    private static async Task WaitUntilRefusedAsync(string address)
    {
        var uri = new Uri(address);
        await Eventually.Async(() =>
        {
            try
            {
                using var socket = new TcpClient(uri.Host, uri.Port);
                return false;
            }
            catch (SocketException)
            {
                return true;
            }
        });
    }

    private CliProcess Start(params string[] options) => CliProcess.Start(_folder.Path, ["serve", $"--upstream={_upstream.Url}", "--feed=none", .. options]);
}
