using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace NpmMirror.Tests.Cli;

/// <summary>The built program in a process of its own, bounded in time; its environment knows no NPM_MIRROR__ settings but those given.</summary>
internal sealed class CliProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();

    private CliProcess(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Add(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Add(_errors, line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public string Output => Read(_output);

    public string Errors => Read(_errors);

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Starts the program; environment values of null are removed.</summary>
    public static CliProcess Start(string folder, string[] arguments, params (string Name, string? Value)[] environment) =>
        Start(TestProgram.Command, folder, arguments, environment);

    /// <summary>Starts the program that runs on the .NET runtime, for what a native one cannot do.</summary>
    public static CliProcess StartManaged(string folder, string[] arguments) => Start(TestProgram.Managed, folder, arguments, []);

    /// <summary>Starts the program below another one (a shell that sets limits, a mount).</summary>
    public static CliProcess StartBelow(string[] wrapper, string folder, string[] arguments, params (string Name, string? Value)[] environment) =>
        Start([.. wrapper, .. TestProgram.Command], folder, arguments, environment);

    /// <summary>Runs a script of this tree that ends up as the program.</summary>
    public static CliProcess StartScript(string script, string folder, string[] arguments) => Start(["/bin/bash", Path.Combine(TestTools.Root, script)], folder, arguments, []);

    /// <summary>Runs the program to its end.</summary>
    public static async Task<(int Code, string Output, string Errors)> RunAsync(string folder, string[] arguments, params (string Name, string? Value)[] environment)
    {
        await using var process = Start(folder, arguments, environment);
        return await process.ToEndAsync();
    }

    /// <summary>Runs the program on the .NET runtime to its end.</summary>
    public static async Task<(int Code, string Output, string Errors)> RunManagedAsync(string folder, string[] arguments)
    {
        await using var process = StartManaged(folder, arguments);
        return await process.ToEndAsync();
    }

    /// <summary>Waits until a line of standard output contains the text, and returns it.</summary>
    public Task<string> WaitForOutputAsync(string part, int seconds = 60) => WaitForAsync(_output, part, seconds);

    /// <summary>Waits until a line of standard error contains the text, and returns it.</summary>
    public Task<string> WaitForErrorAsync(string part, int seconds = 60) => WaitForAsync(_errors, part, seconds);

    /// <summary>Waits for the end, and for the last lines of output.</summary>
    public async Task<int> WaitForExitAsync(int seconds = 60)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"The program still runs after {seconds} s.\n{Output}\n{Errors}");
        }

        return _process.ExitCode;
    }

    /// <summary>Sends a signal, for example TERM.</summary>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", ["-" + signal, _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private async Task<(int Code, string Output, string Errors)> ToEndAsync() => (await WaitForExitAsync(), Output, Errors);

    private static CliProcess Start(IReadOnlyList<string> command, string folder, string[] arguments, (string Name, string? Value)[] environment)
    {
        var start = new ProcessStartInfo(command[0], [.. command.Skip(1), .. arguments]) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("NPM_MIRROR", StringComparison.OrdinalIgnoreCase)).ToList())
        {
            start.Environment.Remove(name);
        }

        foreach (var (name, value) in environment)
        {
            if (value is null)
            {
                start.Environment.Remove(name);
            }
            else
            {
                start.Environment[name] = value;
            }
        }

        return new CliProcess(start);
    }

    private static string Read(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }

    private static void Add(StringBuilder text, string? line)
    {
        lock (text)
        {
            text.Append(line).Append(line is null ? "" : "\n");
        }
    }

    private async Task<string> WaitForAsync(StringBuilder text, string part, int seconds)
    {
        var end = TimeProvider.System.GetTimestamp() + (seconds * TimeProvider.System.TimestampFrequency);
        while (TimeProvider.System.GetTimestamp() < end)
        {
            var hasExited = _process.HasExited;
            if (hasExited)
            {
                // The last lines may still be on their way.
                await WaitForExitAsync();
            }

            if (Read(text).Split('\n').FirstOrDefault(line => line.Contains(part, StringComparison.Ordinal)) is { } found)
            {
                return found;
            }

            if (hasExited)
            {
                throw new InvalidOperationException($"The program ended with {_process.ExitCode} and without “{part}”.\n{Output}\n{Errors}");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }

        throw new TimeoutException($"No line “{part}” within {seconds} s.\n{Output}\n{Errors}");
    }
}
