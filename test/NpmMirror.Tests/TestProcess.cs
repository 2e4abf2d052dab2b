using System.Diagnostics;
using System.Text;

namespace NpmMirror.Tests;

/// <summary>A program that was run to its end: its exit code and all it printed.</summary>
public sealed record TestRun(int ExitCode, string Output);

/// <summary>Runs other programs, each with a deadline; ends only its own.</summary>
public static class TestProcess
{
    /// <summary>Starts a program with exactly these variables in its environment, both its outputs redirected.</summary>
    public static Process Start(IReadOnlyList<string> command, string folder, IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo(command[0])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach (var argument in command.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment.Clear();
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        foreach (var (name, value) in TestChildren.Inherited())
        {
            start.Environment[name] = value;
        }

        var process = Process.Start(start) ?? throw new InvalidOperationException($"Could not start {command[0]}.");
        process.StandardInput.Close();
        return process;
    }

    /// <summary>Runs a program to its end.</summary>
    public static async Task<TestRun> RunAsync(IReadOnlyList<string> command, string folder, IReadOnlyDictionary<string, string> environment, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var process = Start(command, folder, environment);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(timeout);
        var output = new StringBuilder();
        try
        {
            await Task.WhenAll(GatherAsync(process.StandardOutput, output, deadline.Token), GatherAsync(process.StandardError, output, deadline.Token));
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{string.Join(' ', command)} took longer than {timeout}. It printed:\n{output}");
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        lock (output)
        {
            return new TestRun(process.ExitCode, output.ToString());
        }
    }

    /// <summary>Adds a program's output to <paramref name="output"/>, line by line, until it ends.</summary>
    public static async Task GatherAsync(StreamReader reader, StringBuilder output, CancellationToken cancellationToken)
    {
        while (await reader.ReadLineAsync(cancellationToken) is { } line)
        {
            lock (output)
            {
                output.AppendLine(line);
            }
        }
    }
}
