using System.CommandLine;
using NpmMirror.Cli.Settings;
using NpmMirror.Maintenance;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror gc</c>: list unneeded data, and with <c>--delete</c> delete it; beside a running <c>serve</c>.</summary>
internal static class GcCommand
{
    private const int ItemsShownMax = 50;

    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var json = CommandRun.JsonOption();
        var delete = new Option<bool>("--delete") { Description = "Delete it; default: only print what would go" };
        var recode = new Option<bool>("--recode") { Description = "Instead, give documents that an earlier npm-mirror stored the smaller form of today's" };
        var command = new Command("gc", "Find unneeded data: bytes without a package, unfinished files, tarballs over gc.maxBytes, removals that removed.* purges; works beside a running serve") { json, delete, recode };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings => (parsed.GetValue(recode), parsed.GetValue(delete)) switch
        {
            (true, true) => throw new MirrorException(MirrorFault.BadInput, "--recode deletes nothing, and --delete recodes nothing; run gc once with each."),
            (true, false) => RecodeAsync(settings, parsed.GetValue(json), cancellationToken),
            (false, var isDeleting) => RunAsync(settings, isDeleting, parsed.GetValue(json), cancellationToken),
        }));
        return command;
    }

    private static async Task<int> RecodeAsync(EffectiveSettings settings, bool asJson, CancellationToken cancellationToken)
    {
        using var logging = Setup.CreateLogging(settings.Options.Log);
        await using var store = await Setup.OpenExistingStoreAsync(settings.Options, logging, cancellationToken);
        var report = new JsonReport(Console.Out, "damaged");
        var damaged = 0;
        var recoded = await report.FillAsync(() => new DocumentRecoding(store, TimeProvider.System).RunAsync(
            name =>
            {
                damaged++;
                if (asJson)
                {
                    report.Add(name.Value, ReportJson.Lines.String);
                }
                else
                {
                    Console.WriteLine($"damaged {name}: npm-mirror verify --repair fetches it again");
                }
            },
            cancellationToken));
        if (asJson)
        {
            report.End(recoded, ReportJson.Lines.Recoded);
        }
        else
        {
            Console.WriteLine($"{recoded.Documents} documents recoded: {Amounts.Bytes(recoded.BytesBefore)} before, {Amounts.Bytes(recoded.BytesAfter)} now.");
        }

        return damaged == 0 ? ExitCode.Ok : ExitCode.Found;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, bool isDeleting, bool asJson, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        using var logging = Setup.CreateLogging(options.Log);
        await using var store = await Setup.OpenExistingStoreAsync(options, logging, cancellationToken);
        var report = new JsonReport(Console.Out, "items");
        var shown = 0L;
        var collector = new GarbageCollector(store, Setup.CreateBlobs(options, logging), options, TimeProvider.System);
        var collected = await report.FillAsync(() => collector.RunAsync(
            !isDeleting,
            item =>
            {
                if (asJson)
                {
                    report.Add(item, ReportJson.Lines.CollectedItem);
                }
                else if (++shown <= ItemsShownMax)
                {
                    Console.WriteLine($"{Word(item.Kind)} {item.Subject} ({Amounts.Bytes(item.SizeBytes)})");
                }
            },
            cancellationToken));
        if (asJson)
        {
            var ended = new GcReport(
                collected.IsDryRun,
                collected.FreedBytes,
                collected.Kinds.ToDictionary(kind => Word(kind.Key), kind => new GcKindReport(kind.Value.Count, kind.Value.SizeBytes)),
                collected.HeldBytes,
                collected.IrreplaceableBytes,
                collected.OverBudgetBytes,
                collected.ForgottenAccesses);
            report.End(ended, ReportJson.Lines.GcReport);
        }
        else
        {
            Print(collected, shown);
        }

        return ExitCode.Ok;
    }

    private static void Print(Collected collected, long items)
    {
        if (items > ItemsShownMax)
        {
            Console.WriteLine($"… and {items - ItemsShownMax} more: --json lists all.");
        }

        foreach (var (kind, (count, bytes)) in collected.Kinds.OrderBy(kind => kind.Key))
        {
            Console.WriteLine($"{Word(kind)}: {count}, {Amounts.Bytes(bytes)}");
        }

        Console.WriteLine(collected.IsDryRun
            ? $"{Amounts.Bytes(collected.FreedBytes)} would be freed; nothing was changed: npm-mirror gc --delete does it."
            : $"{Amounts.Bytes(collected.FreedBytes)} freed; {Amounts.Bytes(collected.HeldBytes)} of tarballs are held.");
        if (collected.OverBudgetBytes > 0)
        {
            Console.WriteLine($"Still {Amounts.Bytes(collected.OverBudgetBytes)} over gc.maxBytes: {Amounts.Bytes(collected.IrreplaceableBytes)} are of versions that the upstream does not list any more and are never evicted; others were in use a moment ago.");
        }
    }

    private static string Word(GarbageKind kind) => kind.ToString().ToLowerInvariant();
}

/// <summary>What a collection prints as JSON.</summary>
internal sealed record GcReport(bool IsDryRun, long FreedBytes, IReadOnlyDictionary<string, GcKindReport> Kinds, long HeldBytes, long IrreplaceableBytes, long OverBudgetBytes, long ForgottenAccesses);

/// <summary>What was collected of one kind, as JSON.</summary>
internal sealed record GcKindReport(long Count, long Bytes);
