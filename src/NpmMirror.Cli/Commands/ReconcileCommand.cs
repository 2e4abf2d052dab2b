using System.CommandLine;
using System.Text.Json;
using NpmMirror.Cli.Settings;
using NpmMirror.Notes;
using NpmMirror.Removals;
using NpmMirror.Syncing;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror reconcile</c>: compare everything held with everything the upstream lists, mend the differences, exit.</summary>
internal static class ReconcileCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var json = CommandRun.JsonOption();
        var command = new Command("reconcile", "Compare what is held with everything the upstream lists, fetch what is missing or stale, ask for what vanished; works beside a running serve") { json };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings => RunAsync(settings, parsed.GetValue(json), cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, bool asJson, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        Setup.RequireOnline(options, "reconcile");
        using var logging = Setup.CreateLogging(options.Log);
        Setup.RequireExistingStore(options);
        await using var mirror = await Setup.OpenAsync(options, logging, cancellationToken);
        try
        {
            var (found, mended) = await mirror.Registry.ReconcileOnceAsync(cancellationToken);
            Print(found, mended, asJson);
            var isHeld = (await RemovalState.ReadAsync(mirror.Store, cancellationToken)).IsHeld(TimeProvider.System.GetUtcNow());
            if (isHeld)
            {
                Console.WriteLine("Removals of the last hour are held back too; npm-mirror status tells the reason, --accept-removals lets them go on.");
            }

            return found.HeldBack is not null || isHeld ? ExitCode.HeldBack : mended.Failures.Count == 0 ? ExitCode.Ok : ExitCode.Failed;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted; what was queued stays queued: run reconcile again to compare the rest.");
            return ExitCode.Failed;
        }
    }

    private static void Print(Reconciliation found, SyncSummary mended, bool asJson)
    {
        if (asJson)
        {
            Console.Write(JsonSerializer.Serialize(new ReconcileReport(found, SyncReport.ToJson(mended)), ReportJson.Indented.ReconcileReport) + Environment.NewLine);
            return;
        }

        Console.WriteLine($"{found.Listed} listed, {found.Held} held: {found.Missing} missing, {found.Stale} stale, {found.Vanished} vanished.");
        if (found.HeldBack is { } reason)
        {
            Console.WriteLine($"{(found.Vanished > 0 ? "No vanished package is removed" : "The comparison is not whole")}: {reason}. If that is right, run it again with --accept-removals.");
        }
        else if (found.Vanished > 0)
        {
            Console.WriteLine("A vanished package is removed after two 404s of the upstream, ten minutes apart: leave serve or mirror running, or run sync again then.");
        }

        SyncReport.Print(mended);
    }
}

/// <summary>What a reconciliation prints as JSON.</summary>
internal sealed record ReconcileReport(Reconciliation Found, SyncJson Mended);
