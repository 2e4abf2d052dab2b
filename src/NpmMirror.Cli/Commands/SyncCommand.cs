using System.CommandLine;
using System.Text.Json;
using NpmMirror.Cli.Settings;
using NpmMirror.Syncing;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror sync</c>: catch up once and exit.</summary>
internal static class SyncCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var json = CommandRun.JsonOption();
        var names = new Argument<string[]>("packages") { Description = "Packages to bring up to date; none: all that metadata asks for", Arity = ArgumentArity.ZeroOrMore };
        var command = new Command("sync", "Catch up once and exit: everything (metadata=all), the list (listed) or what is held (used)") { json, names };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings =>
            RunAsync(settings, [.. (parsed.GetValue(names) ?? []).Select(Parse)], parsed.GetValue(json), cancellationToken)));
        return command;
    }

    /// <summary>Reads a name. Names that npm once allowed may have an @ inside, but a user does not mean one here.</summary>
    private static PackageName Parse(string text) => text.LastIndexOf('@') is var at and > 0
        ? throw new MirrorException(MirrorFault.BadInput, $"{MirrorException.Quote(text)} names a version, and sync brings a package with all its versions; write the name alone: {MirrorException.Quote(text[..at])}.")
        : PackageName.Parse(text);

    private static async Task<int> RunAsync(EffectiveSettings settings, IReadOnlyList<PackageName> packages, bool asJson, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        Setup.RequireOnline(options, "sync");
        using var logging = Setup.CreateLogging(options.Log);
        await using var mirror = await Setup.OpenAsync(options, logging, cancellationToken);
        try
        {
            var summary = await SyncReport.ShowAsync(asJson, progress => mirror.Registry.SyncOnceAsync(packages, progress, cancellationToken), TimeProvider.System);
            Print(summary, asJson);
            return summary.Failures.Count == 0 ? ExitCode.Ok : ExitCode.Failed;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted; what is left stays queued: run sync again to go on.");
            return ExitCode.Failed;
        }
    }

    private static void Print(SyncSummary summary, bool asJson)
    {
        if (asJson)
        {
            Console.Write(JsonSerializer.Serialize(SyncReport.ToJson(summary), ReportJson.Indented.SyncJson) + Environment.NewLine);
        }
        else
        {
            SyncReport.Print(summary);
        }
    }
}
