using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NpmMirror.Cli.Settings;
using NpmMirror.Log;
using NpmMirror.Removals;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror removed</c>: the upstream's takedowns, when, which kind, and which clients had fetched them before.</summary>
internal static class RemovedCommand
{
    private const int ClientsShownMax = 10;

    /// <summary>The log is never trimmed, and has all changes of all packages: an option asks for more of it than this.</summary>
    private static readonly TimeSpan Lately = TimeSpan.FromDays(30);

    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var json = CommandRun.JsonOption();
        var since = new Option<TimeSpan?>("--since") { Description = "Only what was seen within this time (365d); default: 30d, and with --package all", CustomParser = result => DurationArgument.Parse(result) };
        var package = new Option<string?>("--package") { Description = "Only this package and its versions" };
        var command = new Command("removed", "List packages and versions that the upstream took down, and which clients had fetched them before; works beside a running serve") { json, since, package };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings =>
            RunAsync(settings, parsed.GetValue(since), parsed.GetValue(package) is { } name ? PackageName.Parse(name) : null, parsed.GetValue(json), cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, TimeSpan? since, PackageName? package, bool asJson, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        using var logging = Setup.CreateLogging(options.Log);
        await using var store = await Setup.OpenExistingStoreAsync(options, logging, cancellationToken);
        var report = new JsonReport(Console.Out, "removed");
        since ??= package is null ? Lately : null;
        var count = await report.FillAsync(() => ListAsync(new Takedowns(store.Packages, store.Log, store.Tarballs).ListAsync(TimeProvider.System.GetUtcNow() - since, package, cancellationToken), asJson ? report : null));
        if (asJson)
        {
            report.End(new RemovedReport(count), ReportJson.Lines.RemovedReport);
        }
        else
        {
            Console.WriteLine(since is { } time ? $"{count} removed within {Amounts.Duration(time)} (--since says how far back)." : $"{count} removed.");
        }

        return ExitCode.Ok;
    }

    private static async Task<long> ListAsync(IAsyncEnumerable<Takedown> takedowns, JsonReport? report)
    {
        var count = 0L;
        await foreach (var takedown in takedowns)
        {
            count++;
            if (report is not null)
            {
                report.Add(ToJson(takedown), ReportJson.Lines.TakedownReport);
            }
            else
            {
                Print(takedown);
            }
        }

        return count;
    }

    private static TakedownReport ToJson(Takedown takedown) => new(
        takedown.Package.Value,
        takedown.Version,
        takedown.Kind,
        takedown.At,
        takedown.SeenAt,
        takedown.Reason,
        takedown.Position.Value,
        takedown.IsBack,
        takedown.IsPurged,
        takedown.ClientCount,
        takedown.Clients);

    private static void Print(Takedown takedown)
    {
        var subject = takedown switch
        {
            { Version: { } version } => $"{takedown.Package}@{version}",
            { IsPurged: true } => $"{takedown.Package} (a version, purged)",
            _ => takedown.Package.Value,
        };
        var at = takedown.At is { } told ? $", {Time(told)} as the upstream says" : "";
        Console.WriteLine($"{Time(takedown.SeenAt)}  {JsonNamingPolicy.KebabCaseLower.ConvertName(takedown.Kind.ToString()),-15}  {subject}{(takedown.IsBack ? " (back since)" : "")}{(takedown.Reason is { } reason ? $": {reason}" : "")}{at}");
        foreach (var client in takedown.Clients.Take(ClientsShownMax))
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"    {client.Client} fetched it {client.Before} times up to that day and {client.After} after it, first {client.FirstDay:yyyy-MM-dd}, last {client.LastDay:yyyy-MM-dd}"));
        }

        if (takedown.ClientCount > ClientsShownMax)
        {
            Console.WriteLine($"    … and {takedown.ClientCount - ClientsShownMax} more clients: --json lists them.");
        }
    }

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture);
}

/// <summary>What the list of takedowns ends with as JSON.</summary>
internal sealed record RemovedReport(long Count);

/// <summary>A takedown as JSON.</summary>
internal sealed record TakedownReport(
    string Package,
    string? Version,
    RemovalKind Kind,
    DateTimeOffset? At,
    DateTimeOffset SeenAt,
    string? Reason,
    long Position,
    bool IsBack,
    bool IsPurged,
    long ClientCount,
    IReadOnlyList<TakedownClient> Clients);
