using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace NpmMirror.Tests.Redis;

/// <summary>A redis-server of a test class's own, on a free port, with its files in a folder of its own.</summary>
public sealed class RedisServer : IAsyncLifetime
{
    private static readonly TimeSpan StartMax = TimeSpan.FromSeconds(60);
    private readonly TempFolder _folder = new();
    private readonly StringBuilder _output = new();
    private readonly IReadOnlyList<string> _options;
    private Process? _process;
    private int _prefixes;

    public RedisServer()
        : this([])
    {
    }

    internal RedisServer(IReadOnlyList<string> options) => _options = options;

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
        List<string> command =
        [
            "redis-server", IsSecure ? "--tls-port" : "--port", Port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--dir", _folder.Path, "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction",
            .. IsSecure ? (string[])["--port", "0"] : [], .. _options,
        ];
        var process = TestProcess.Start(command, _folder.Path, new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "" });
        _ = TestProcess.GatherAsync(process.StandardError, _output, CancellationToken.None);
        using var limit = new CancellationTokenSource(StartMax);
        while (await process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
        {
            lock (_output)
            {
                _output.AppendLine(line);
            }

            if (line.Contains("Ready to accept connections", StringComparison.Ordinal))
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

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _folder.Dispose();
    }
}
