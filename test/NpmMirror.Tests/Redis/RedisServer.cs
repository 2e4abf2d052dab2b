using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace NpmMirror.Tests.Redis;

/// <summary>A redis-server of a test class's own, on a free port, with its files in a folder of its own.</summary>
public class RedisServer : IAsyncLifetime
{
    private static readonly TimeSpan StartMax = TimeSpan.FromSeconds(60);
    private readonly TempFolder _folder = new();
    private readonly StringBuilder _output = new();
    private Process? _process;
    private int _prefixes;

    public RedisServer()
        : this([])
    {
    }

    internal RedisServer(IReadOnlyList<string> options) => Options = options;

    /// <summary>What this one is started with beside <see cref="Command"/>.</summary>
    protected IReadOnlyList<string> Options { get; }

    internal int Port { get; private set; }

    /// <summary>Servers of a cluster speak with each other on a second port, 10,000 above.</summary>
    internal bool IsInCluster { get; init; }

    internal string Folder => _folder.Path;

    internal bool IsRunning => _process is not null;

    internal string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Whether it speaks TLS only.</summary>
    internal bool IsSecure { get; init; }

    /// <summary>The program and the options that each of its servers has.</summary>
    protected virtual IReadOnlyList<string> Command =>
    [
        "redis-server", IsSecure ? "--tls-port" : "--port", Port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--dir", _folder.Path, "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction",
        .. IsSecure ? (string[])["--port", "0"] : [],
    ];

    /// <summary>What it prints once it answers.</summary>
    protected virtual string ReadyWords => "Ready to accept connections";

    /// <summary>A location that no other test has.</summary>
    internal string NewLocation() => string.Create(CultureInfo.InvariantCulture, $"redis://127.0.0.1:{Port}/0?prefix=t{Interlocked.Increment(ref _prefixes)}:");

    public async ValueTask InitializeAsync()
    {
        // Another program may take the port between the two: then the next one.
        for (var tries = 0; _process is null; tries++)
        {
            Assert.True(tries < 20, $"redis-server does not start:\n{Output}");
            Port = FreePort.Find();
            if (IsInCluster && Port > 55_000)
            {
                Port -= 20_000;
            }

            await StartAsync();
        }
    }

    /// <summary>Starts it on its port and waits until it answers.</summary>
    internal async Task StartAsync()
    {
        var process = TestProcess.Start([.. Command, .. Options], _folder.Path, new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "" });
        _ = TestProcess.GatherAsync(process.StandardError, _output, CancellationToken.None);
        using var limit = new CancellationTokenSource(StartMax);
        while (await process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
        {
            lock (_output)
            {
                _output.AppendLine(line);
            }

            if (line.Contains(ReadyWords, StringComparison.Ordinal))
            {
                _ = TestProcess.GatherAsync(process.StandardOutput, _output, CancellationToken.None);
                _process = process;
                return;
            }
        }

        await process.WaitForExitAsync(limit.Token);
        process.Dispose();
    }

    /// <summary>Ends it at once, as a power cut of its machine's processes would.</summary>
    internal async Task KillAsync()
    {
        if (_process is { } process)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
            _process = null;
        }
    }

    /// <summary>Holds it still: it is there and does not answer.</summary>
    internal Task HoldAsync() => SignalAsync("STOP");

    /// <summary>Lets it go on.</summary>
    internal Task ReleaseAsync() => SignalAsync("CONT");

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", _process!.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }
}
