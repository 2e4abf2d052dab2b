using System.CommandLine;
using NpmMirror.Cli.Settings;
using NpmMirror.Hosting;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror monitor</c>: print changes upstream; keeps nothing.</summary>
internal static class MonitorCommand
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var json = CommandRun.JsonOption();
        var command = new Command("monitor", "Print what changes upstream: + new, > updated, - deleted, @ sequence; keeps nothing") { json };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings => RunAsync(settings, parsed.GetValue(json), cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, bool asJson, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        Setup.RequireOnline(options, "monitor");
        if (!settings.IsGiven("log.level"))
        {
            // Failures are printed as events already.
            options.Log.Level = LogLevel.Critical;
        }

        using var logging = Setup.CreateLogging(options.Log);
        var lines = new MonitorLines(asJson, Console.Out, Console.Error);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watching = EndWithReaderAsync(ending);
        try
        {
            // The log is silent here, so a warning is printed.
            await foreach (var told in RegistryWatch.FollowAsync(options, logging, Console.Error.WriteLine, ending.Token))
            {
                lines.Print(told);
            }

            return ExitCode.Ok;
        }
        finally
        {
            await ending.CancelAsync();
            await watching;
        }
    }

    /// <summary>No write tells that the reader has gone while nothing changes upstream.</summary>
    private static async Task EndWithReaderAsync(CancellationTokenSource ending)
    {
        using var timer = new PeriodicTimer(LookEvery);
        try
        {
            while (await timer.WaitForNextTickAsync(ending.Token) && !StandardOutput.IsClosed)
            {
            }

            await ending.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // The command ended first.
        }
    }
}
