using System.Diagnostics;
using System.Globalization;

namespace NpmMirror.ScaleBenchmarks;

/// <summary>A child process: its output, its memory, its end. Ended by its own id when it is disposed.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly Task _watching;
    private readonly CancellationTokenSource _ended = new();

    private ChildProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => Note(line.Data);
        process.ErrorDataReceived += (_, line) => Note(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _watching = WatchAsync();
    }

    /// <summary>The most memory it had in its life, in bytes, as of some milliseconds ago.</summary>
    internal long PeakBytes { get; private set; }

    /// <summary>The memory it has now.</summary>
    internal long ResidentBytes => Memory("VmRSS:") ?? 0;

    /// <summary>All it printed.</summary>
    internal string Output
    {
        get
        {
            lock (_lines)
            {
                return string.Join('\n', _lines);
            }
        }
    }

    internal bool HasExited => _process.HasExited;

    internal static ChildProcess Start(string program, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        return new ChildProcess(Process.Start(start)!);
    }

    /// <summary>Starts the mirror's program: a native one, or one that dotnet runs.</summary>
    internal static ChildProcess StartMirror(string program, params IEnumerable<string> arguments) =>
        program.EndsWith(".dll", StringComparison.Ordinal) ? Start("dotnet", [program, .. arguments]) : Start(program, arguments);

    /// <summary>Waits for its end; its exit code.</summary>
    internal async Task<int> WaitAsync(TimeSpan longest)
    {
        await _process.WaitForExitAsync().WaitAsync(longest, TimeProvider.System);
        return _process.ExitCode;
    }

    /// <summary>Waits until it prints a line that begins so.</summary>
    internal async Task<string> WaitForLineAsync(string beginning, TimeSpan longest)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            if (Output.Split('\n').FirstOrDefault(line => line.StartsWith(beginning, StringComparison.Ordinal)) is { Length: > 0 } line)
            {
                return line;
            }

            if (_process.HasExited || clock.Elapsed > longest)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"{_process.StartInfo.FileName} did not print {beginning}: {Output}");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(2), TimeProvider.System);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            using var kill = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]);
            try
            {
                await WaitAsync(TimeSpan.FromSeconds(30));
            }
            catch (TimeoutException)
            {
                _process.Kill();
            }
        }

        await _ended.CancelAsync();
        await _watching;
        _ended.Dispose();
        _process.Dispose();
    }

    private async Task WatchAsync()
    {
        while (!_ended.IsCancellationRequested)
        {
            PeakBytes = Math.Max(PeakBytes, Memory("VmHWM:") ?? 0);
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, _ended.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private long? Memory(string field)
    {
        try
        {
            var line = File.ReadLines($"/proc/{_process.Id}/status").FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal));
            return line is null ? null : long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2].Trim(), CultureInfo.InvariantCulture) * 1024;
        }
        catch (Exception failure) when (failure is IOException or InvalidOperationException)
        {
            // It has ended.
            return null;
        }
    }

    private void Note(string? line)
    {
        if (line is not null)
        {
            lock (_lines)
            {
                _lines.Add(line);
            }
        }
    }
}
