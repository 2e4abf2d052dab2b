using System.Globalization;
using System.Net;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary>A disk that fills up, and a folder that cannot be written: held packages are still served.</summary>
/// <remarks>The disk is a small file system in a mount namespace of the mirror's own, so it needs no root where users may have namespaces, and goes with the process.</remarks>
[Trait("Duration", "long")]
public sealed class DiskTests : IAsyncLifetime
{
    private static readonly string[] Namespace = Environment.IsPrivilegedProcess ? ["unshare", "--mount"] : ["unshare", "--user", "--map-root-user", "--mount"];

    private readonly TestFolder _folder = new();
    private readonly HttpClient _client = new();
    private FakeRegistry _upstream = null!;

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(_folder.File("data"));
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("2.1.3"));
        // Large and random: a small one may still fit into what the database has of the disk already.
        var noise = new byte[2_000_000];
        new Random(7).NextBytes(noise);
        _upstream.Publish(new FakePackage("ms-next") { Readme = Convert.ToBase64String(noise) }.Version("1.0.0"));
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _client.Dispose();
        _folder.Dispose();
    }

    [Claim("Full disk: reads go on, one log line, readiness and status say so, recovers",
        Red = "WritableWatch is not registered; every worker logs it too")]
    [Fact]
    public async Task A_full_disk_is_logged_once_stops_no_read_and_recovers_by_itself()
    {
        await using var mirror = StartOn("mount -t tmpfs -o size=24m tmpfs data", "--ttl=0");
        var address = (await mirror.WaitForOutputAsync("Serving ")).Split(' ')[1];
        await _client.GetByteArrayAsync(address + "ms/-/ms-2.1.3.tgz", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(address, "/health/ready")).Status);

        await using var filler = new Filler(string.Create(CultureInfo.InvariantCulture, $"/proc/{mirror.Id}/root{_folder.File("data/filler")}"));
        await filler.Filled;
        var (status, body) = await GetAsync(address, "/npm/ms-next");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains("full", body, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(address, "/npm/ms")).Status);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(address, "/npm/ms/-/ms-2.1.3.tgz")).Status);
        Assert.Contains("full", await WaitForAsync(address, "/health/ready", HttpStatusCode.ServiceUnavailable), StringComparison.OrdinalIgnoreCase);
        Assert.Contains("Writable  no: ", await StatusAsync(mirror), StringComparison.Ordinal);
        await mirror.WaitForErrorAsync("Nothing can be written: ");

        await filler.DisposeAsync();
        await WaitForAsync(address, "/health/ready", HttpStatusCode.OK);
        await WaitForAsync(address, "/npm/ms-next", HttpStatusCode.OK);
        Assert.Contains("Writable  yes", await StatusAsync(mirror), StringComparison.Ordinal);
        await mirror.WaitForErrorAsync("Everything can be written again");
        Assert.Single(mirror.Errors.Split('\n'), line => line.Contains("full", StringComparison.OrdinalIgnoreCase));
    }

    [Claim("Read-only folder: held packages are served, readiness tells the reason",
        Red = "`FollowLock.Take` does not take a folder without write access for unlocked")]
    [Fact]
    public async Task A_read_only_folder_is_served_and_readiness_tells_the_reason()
    {
        await using (var first = CliProcess.Start(_folder.Path, Serve()))
        {
            var written = (await first.WaitForOutputAsync("Serving ")).Split(' ')[1];
            await _client.GetByteArrayAsync(written + "ms/-/ms-2.1.3.tgz", TestContext.Current.CancellationToken);
            await first.SignalAsync("TERM");
            await first.WaitForExitAsync();
        }

        await using var mirror = StartOn("mount --bind data data && mount -o remount,bind,ro data");
        var address = (await mirror.WaitForOutputAsync("Serving ")).Split(' ')[1];
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(address, "/npm/ms")).Status);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(address, "/npm/ms/-/ms-2.1.3.tgz")).Status);
        var (ready, why) = await GetAsync(address, "/health/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready);
        Assert.Contains("cannot be written", why, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(address, "/npm/ms-next")).Status);
        await mirror.SignalAsync("TERM");
        Assert.Equal(0, await mirror.WaitForExitAsync(20));
    }

    private string[] Serve(params string[] options) => ["serve", $"--upstream={_upstream.Url}", "--feed=none", "--listen=http://127.0.0.1:0", "--data=data", .. options];

    private CliProcess StartOn(string mount, params string[] options) =>
        CliProcess.StartBelow([.. Namespace, "sh", "-c", mount + " && exec \"$@\"", "sh"], _folder.Path, Serve(options));

    private async Task<string> StatusAsync(CliProcess mirror)
    {
        string[] inside = ["nsenter", "--target", mirror.Id.ToString(CultureInfo.InvariantCulture), .. Environment.IsPrivilegedProcess ? Array.Empty<string>() : ["--user", "--preserve-credentials"], "--mount", $"--wd={_folder.Path}"];
        await using var status = CliProcess.StartBelow(inside, _folder.Path, ["status", "--data=data"]);
        Assert.Equal(0, await status.WaitForExitAsync());
        return status.Output;
    }

    private async Task<(HttpStatusCode Status, string Body)> GetAsync(string address, string path)
    {
        using var response = await _client.GetAsync(new Uri(new Uri(address), path), TestContext.Current.CancellationToken);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private async Task<string> WaitForAsync(string address, string path, HttpStatusCode wanted)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var (status, body) = await GetAsync(address, path);
            if (status == wanted)
            {
                return body;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(60), $"{path} still answers {status} after a minute.");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Takes the last byte of the mirror's disk, in the mirror's own namespace, and each byte that is freed meanwhile.</summary>
    private sealed class Filler : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stopping = new();
        private readonly TaskCompletionSource _filled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly string _path;
        private readonly Task _filling;

        public Filler(string path)
        {
            _path = path;
            _filling = Task.Run(FillAsync);
        }

        public Task Filled => _filled.Task;

        public async ValueTask DisposeAsync()
        {
            if (!_stopping.IsCancellationRequested)
            {
                await _stopping.CancelAsync();
                await _filling;
                File.Delete(_path);
            }
        }

        private async Task FillAsync()
        {
            await using var file = new FileStream(_path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
            while (!_stopping.IsCancellationRequested)
            {
                try
                {
                    file.Write(new byte[4096]);
                }
                catch (IOException)
                {
                    _filled.TrySetResult();
                    await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
                }
            }
        }
    }
}
