using System.CommandLine;
using System.Globalization;
using NpmMirror.Cli.Settings;
using NpmMirror.Hosting;
using NpmMirror.Maintenance;
using NpmMirror.Storage;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror verify</c>: look at everything that is held, beside a running <c>serve</c>; mend it where asked to.</summary>
internal static class VerifyCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var json = CommandRun.JsonOption();
        var olderThan = new Option<TimeSpan>("--older-than") { Description = "Believe what was verified within this time (7d); default: look at everything", CustomParser = DurationArgument.Parse };
        var head = new Option<LogHead?>("--head") { Description = "A head of the log that you noted, as POSITION:HASH: the log must still lead through it", CustomParser = HeadArgument.Parse };
        var restart = new Option<bool>("--restart") { Description = "Begin anew although an earlier run was cut short" };
        var repair = new Option<bool>("--repair") { Description = "Fetch from the upstream what is damaged or missing" };
        var against = new Option<bool>("--against-upstream") { Description = "Compare with everything the upstream lists, too" };
        var command = new Command("verify", "Check the log's hash chain, every stored document and every tarball's bytes; works beside a running serve") { json, olderThan, head, restart, repair, against };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings =>
        {
            var request = new VerifyRequest { OlderThan = parsed.GetValue(olderThan), NotedHead = parsed.GetValue(head), StartsAnew = parsed.GetValue(restart) };
            var (isRepairing, isComparing) = (parsed.GetValue(repair), parsed.GetValue(against));
            return isRepairing || isComparing
                ? AskAsync(settings, request, isRepairing, isComparing, parsed.GetValue(json), cancellationToken)
                : LookAsync(settings, request, parsed.GetValue(json), cancellationToken);
        }));
        return command;
    }

    // Verifying needs no upstream: an air-gapped copy is verified too.
    private static async Task<int> LookAsync(EffectiveSettings settings, VerifyRequest request, bool asJson, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        using var logging = Setup.CreateLogging(options.Log);
        await using var store = await Setup.OpenExistingStoreAsync(options, logging, cancellationToken);
        using var budget = new ByteBudget(options.BudgetBytes);
        return await RunAsync(new Verifier(store, Setup.CreateBlobs(options, logging), budget, options, TimeProvider.System), request, asJson, cancellationToken);
    }

    private static async Task<int> AskAsync(EffectiveSettings settings, VerifyRequest request, bool isRepairing, bool isComparing, bool asJson, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        Setup.RequireOnline(options, isRepairing ? "verify --repair" : "verify --against-upstream");
        using var logging = Setup.CreateLogging(options.Log);
        Setup.RequireExistingStore(options);
        await using var mirror = await Setup.OpenAsync(options, logging, cancellationToken);
        request = request with { Repairs = isRepairing ? mirror.Repairs : null, Completeness = isComparing ? mirror.Completeness : null };
        return await RunAsync(mirror.Verifier, request, asJson, cancellationToken);
    }

    private static async Task<int> RunAsync(Verifier verifier, VerifyRequest request, bool asJson, CancellationToken cancellationToken)
    {
        var progress = new ProgressLine(asJson, TimeProvider.System);
        var report = new JsonReport(Console.Out, "findings");
        request = request with
        {
            Progress = at => progress.Show(() => string.Create(CultureInfo.InvariantCulture, $"{at.Done} of {at.Total} {at.Part}, {at.Found} findings")),
            Found = finding =>
            {
                progress.Clear();
                if (asJson)
                {
                    report.Add(finding, ReportJson.Lines.VerifyFinding);
                }
                else
                {
                    Console.WriteLine($"{(finding.IsRepaired ? "mended " : "")}{finding.Fault} {finding.Subject}: {finding.Problem}");
                }
            },
        };
        try
        {
            var summary = await report.FillAsync(() => verifier.RunAsync(request, cancellationToken));
            progress.Clear();
            Print(summary, asJson ? report : null);
            return summary.HeldBack is not null ? ExitCode.HeldBack : summary.Left == 0 ? ExitCode.Ok : ExitCode.Found;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted; run verify again to go on where it was.");
            return ExitCode.Failed;
        }
    }

    private static void Print(VerifySummary summary, JsonReport? report)
    {
        if (report is not null)
        {
            var ended = new VerifyReport(
                summary.BegunAt,
                summary.IsContinued,
                summary.LogRows,
                summary.Documents,
                summary.DocumentBytes,
                summary.Tarballs,
                summary.TarballBytes,
                summary.Skipped,
                summary.Found,
                summary.Repaired,
                summary.HeldBack,
                new MirrorStatus.LogStatus(summary.Head.Position.Value, summary.Head.Hash.Hex));
            report.End(ended, ReportJson.Lines.VerifyReport);
            return;
        }

        if (summary.IsContinued)
        {
            Console.WriteLine($"Went on with the verification begun {summary.BegunAt.ToString("u", CultureInfo.InvariantCulture)}.");
        }

        Console.WriteLine(
            $"{summary.LogRows} log rows, {summary.Documents} documents ({Amounts.Bytes(summary.DocumentBytes)} raw) and {summary.Tarballs} tarballs ({Amounts.Bytes(summary.TarballBytes)}) verified, {summary.Skipped} tarballs verified before; {summary.Found} findings, {summary.Repaired} mended.");
        if (summary.HeldBack is { } reason)
        {
            Console.WriteLine($"The upstream's list is not believed: {reason}. If it is right, run npm-mirror reconcile --accept-removals.");
        }

        Console.WriteLine($"The log's head is {summary.Head.Position.Value}:{summary.Head.Hash.Hex}; note it elsewhere, and verify --head finds out whether the past was changed.");
    }
}

/// <summary>What a verification prints as JSON.</summary>
internal sealed record VerifyReport(
    DateTimeOffset BegunAt,
    bool IsContinued,
    long LogRows,
    long Documents,
    long DocumentBytes,
    long Tarballs,
    long TarballBytes,
    long Skipped,
    long Found,
    long Repaired,
    string? HeldBack,
    MirrorStatus.LogStatus Log);
