using System.Diagnostics;

namespace NpmMirror.Mutations;

/// <summary>The woven tests as a program, which is started many times, at the lowest priority.</summary>
/// <param name="tree">The woven tree.</param>
internal sealed class TestProgram(string tree)
{
    private static readonly TimeSpan OutputMax = TimeSpan.FromSeconds(20);

    private readonly string _tests = Path.Combine(tree, "artifacts/bin/NpmMirror.Tests/debug/NpmMirror.Tests.dll");

    /// <summary>The method of a line that tells of a failed test, or null for another line.</summary>
    internal static string? FailedTest(string line) => line.Contains("[FAIL]", StringComparison.Ordinal) ? line.Trim().Split(' ', '(')[0] : null;

    /// <summary>Runs the tests that the arguments choose, and ends them after <paramref name="max"/>.</summary>
    /// <returns>The exit code, -1 for a run that had to be ended; and all that was printed.</returns>
    internal async Task<(int Code, string Output)> RunAsync(IEnumerable<string> arguments, Dictionary<string, string> environment, TimeSpan max)
    {
        var start = new ProcessStartInfo("nice", ["-n", "19", "dotnet", _tests, "-noLogo", "-noColor", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = tree };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var deadline = new CancellationTokenSource(max);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            return (-1, "");
        }

        // A process that the tests left running may hold the output open.
        var all = Task.WhenAll(output, errors);
        return (process.ExitCode, await Task.WhenAny(all, Task.Delay(OutputMax, TimeProvider.System, CancellationToken.None)) == all ? string.Concat(await all) : "");
    }
}
