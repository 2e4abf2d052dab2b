using System.CommandLine;
using NpmMirror.Cli.Settings;

namespace NpmMirror.Cli.Commands;

/// <summary>The common work of every command: read the settings, tell all faults, turn failures into a sentence and an exit code.</summary>
internal static class CommandRun
{
    /// <summary>The switch for output that programs read.</summary>
    public static Option<bool> JsonOption() => new("--json") { Description = "Print JSON" };

    /// <summary>Runs the work with settings that have no fault.</summary>
    public static Task<int> RunAsync(IEnumerable<string> flags, Func<EffectiveSettings, Task<int>> work) => RunAsync(flags, work, Console.Error);

    /// <summary>The same, with another place for what went wrong.</summary>
    internal static async Task<int> RunAsync(IEnumerable<string> flags, Func<EffectiveSettings, Task<int>> work, TextWriter errors)
    {
        var (settings, faults) = EffectiveSettings.Load(flags);
        if (faults.Count > 0)
        {
            foreach (var fault in faults)
            {
                await errors.WriteLineAsync(fault);
            }

            return ExitCode.Usage;
        }

        try
        {
            return await work(settings);
        }
        catch (MirrorException failure)
        {
            await errors.WriteLineAsync(failure.IsTransient ? $"{failure.Message} Run it again later." : failure.Message);
            return ExitCode.For(failure);
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Failed;
        }
        catch (Exception unexpected) when (unexpected is not ClosedOutputException)
        {
            await errors.WriteLineAsync($"Unexpected error, please report it: {unexpected}");
            return ExitCode.Failed;
        }
    }
}
