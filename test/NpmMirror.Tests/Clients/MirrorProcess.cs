using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace NpmMirror.Tests.Clients;

/// <summary>The product as its users run it: <c>npm-mirror serve</c> in a process of its own, on a free port of 127.0.0.1.</summary>
public sealed partial class MirrorProcess : IAsyncDisposable
{
    private const int SignalTerminate = 15;
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly Task _gathering;
    private Uri? _url;

    private MirrorProcess(Process process)
    {
        _process = process;
        _gathering = Task.WhenAll(
            TestProcess.GatherAsync(process.StandardOutput, _output, CancellationToken.None),
            TestProcess.GatherAsync(process.StandardError, _output, CancellationToken.None));
    }

    /// <summary>Where it listens. The registry is at <see cref="Registry"/>.</summary>
    public Uri Url => _url ?? throw new InvalidOperationException("It has not said yet where it listens.");

    /// <summary>The registry's address, with a trailing slash.</summary>
    public Uri Registry => new(Url, "npm/");

    /// <summary>Its process id.</summary>
    public int ProcessId => _process.Id;

    /// <summary>All it printed until now.</summary>
    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Starts it and waits until it answers.</summary>
    /// <param name="upstream">The upstream's address.</param>
    /// <param name="dataFolder">Its data.</param>
    /// <param name="options">Further options.</param>
    /// <param name="environment">Further variables of its environment.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<MirrorProcess> StartAsync(Uri upstream, string dataFolder, IEnumerable<string>? options = null, IReadOnlyDictionary<string, string>? environment = null, CancellationToken cancellationToken = default)
    {
        string[] arguments = ["serve", $"--upstream={upstream.AbsoluteUri}", $"--data={dataFolder}", "--listen=http://127.0.0.1:0", .. options ?? []];
        var variables = new Dictionary<string, string>(BaseEnvironment(dataFolder), StringComparer.Ordinal);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            variables[name] = value;
        }

        var mirror = new MirrorProcess(TestProcess.Start([.. TestProgram.Command, .. arguments], dataFolder, variables));
        try
        {
            await mirror.WaitUntilItAnswersAsync(cancellationToken);
            return mirror;
        }
        catch
        {
            await mirror.KillAsync();
            throw;
        }
    }

    /// <summary>Asks it to end, as an init system does, and waits for that.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync()
    {
        if (!_process.HasExited)
        {
            _ = kill(_process.Id, SignalTerminate);
            await _process.WaitForExitAsync().WaitAsync(StopTimeout);
        }

        await _gathering.WaitAsync(StopTimeout);
        return _process.ExitCode;
    }

    /// <summary>Waits until it ended by itself.</summary>
    /// <returns>False when it still runs after the time given.</returns>
    public async Task<bool> WaitForExitAsync(TimeSpan timeout)
    {
        using var deadline = new CancellationTokenSource(timeout);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Kills it without warning.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync().WaitAsync(StopTimeout);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process.Dispose();
    }

    /// <summary>The variables of this process's environment that a program needs: no proxies, no npm settings.</summary>
    public static Dictionary<string, string> BaseEnvironment(string home)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["HOME"] = home, ["LANG"] = "C.UTF-8", ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1", ["DOTNET_NOLOGO"] = "1" };
        foreach (var name in new[] { "PATH", "DOTNET_ROOT", "TMPDIR" })
        {
            if (Environment.GetEnvironmentVariable(name) is { Length: > 0 } value)
            {
                environment[name] = value;
            }
        }

        return environment;
    }

    private async Task WaitUntilItAnswersAsync(CancellationToken cancellationToken)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(2) };
        var deadline = Stopwatch.StartNew();
        while (deadline.Elapsed < StartTimeout)
        {
            if (_process.HasExited)
            {
                throw new InvalidOperationException($"npm-mirror ended with exit code {_process.ExitCode}:\n{Output}");
            }

            try
            {
                // The system chooses the port: the program binds it, and tells it then.
                if (Serving().Match(Output) is { Success: true } line)
                {
                    _url = new Uri(line.Groups[1].Value);
                    using var response = await client.GetAsync(new Uri(Registry, "-/ping"), cancellationToken);
                    if (response.IsSuccessStatusCode)
                    {
                        return;
                    }
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
            {
                // Not yet.
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellationToken);
        }

        throw new TimeoutException($"npm-mirror did not answer within {StartTimeout}:\n{Output}");
    }

    [GeneratedRegex(@"^Serving (http://127\.0\.0\.1:\d+/)", RegexOptions.Multiline)]
    private static partial Regex Serving();

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int kill(int processId, int signal);
}
