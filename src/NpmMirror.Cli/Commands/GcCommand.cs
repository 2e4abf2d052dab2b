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
        var command = new Command("gc", "Find unneeded data: bytes without a package, unfinished files, tarballs over gc.maxBytes, removals that removed.* purges; works beside a running serve") { json, delete };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings => RunAsync(settings, parsed.GetValue(delete), parsed.GetValue(json), cancellationToken)));
        return command;
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
                    report.Add(item);
                }
                else if (++shown <= ItemsShownMax)
                {
                    Console.WriteLine($"{Word(item.Kind)} {item.Subject} ({Amounts.Bytes(item.SizeBytes)})");
                }
            },
            cancellationToken));
        if (asJson)
        {
            report.End(new
            {
                collected.IsDryRun,
                collected.FreedBytes,
                kinds = collected.Kinds.ToDictionary(kind => Word(kind.Key), kind => new { count = kind.Value.Count, bytes = kind.Value.SizeBytes }),
                collected.HeldBytes,
                collected.IrreplaceableBytes,
                collected.OverBudgetBytes,
                collected.ForgottenAccesses,
            });
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
