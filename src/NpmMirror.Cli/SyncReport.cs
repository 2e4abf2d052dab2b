using System.Text.Json;
using NpmMirror.Mirroring;
using Spectre.Console;

namespace NpmMirror.Cli;

/// <summary>Shows how far a sync is: a live line on a terminal, a plain line every few seconds elsewhere, nothing beside JSON.</summary>
internal static class SyncReport
{
    private const int FailuresShownMax = 50;

    private static readonly TimeSpan PlainEvery = TimeSpan.FromSeconds(5);

    /// <summary>How commands write JSON for people's programs.</summary>
    public static JsonSerializerOptions Indented { get; } = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>How a sync ended, for JSON.</summary>
    public static object ToJson(SyncSummary summary) =>
        new { summary.Changed, summary.Unchanged, summary.Removed, summary.RawBytes, summary.InDoubt, failures = summary.Failures.ToDictionary(failure => failure.Key.Value, failure => failure.Value) };

    /// <summary>Prints how a sync ended: a line on standard output, what failed on standard error.</summary>
    public static void Print(SyncSummary summary)
    {
        Console.WriteLine($"{summary.Changed} changed, {summary.Unchanged} unchanged, {summary.Removed} removed, {summary.Failures.Count} failed{(summary.InDoubt > 0 ? $" ({summary.InDoubt} of them in doubt)" : "")}; {Amounts.Bytes(summary.RawBytes)} of metadata written.");
        foreach (var (name, reason) in summary.Failures.OrderBy(failure => failure.Key).Take(FailuresShownMax))
        {
            Console.Error.WriteLine($"{name}: {reason}");
        }

        if (summary.Failures.Count > FailuresShownMax)
        {
            Console.Error.WriteLine($"… and {summary.Failures.Count - FailuresShownMax} more: --json lists all.");
        }
    }

    /// <summary>Runs the sync and shows its progress on standard error.</summary>
    public static async Task<SyncSummary> ShowAsync(bool isSilent, Func<IProgress<SyncProgress>?, Task<SyncSummary>> sync, TimeProvider time)
    {
        if (isSilent)
        {
            return await sync(null);
        }

        var start = time.GetTimestamp();
        if (Console.IsErrorRedirected)
        {
            var shown = TimeSpan.Zero;
            return await sync(new DirectProgress(progress =>
            {
                var elapsed = time.GetElapsedTime(start);
                if (elapsed - shown >= PlainEvery)
                {
                    shown = elapsed;
                    Console.Error.WriteLine(Describe(progress, elapsed));
                }
            }));
        }

        var terminal = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return await terminal.Progress().AutoClear(true)
            .Columns(new SpinnerColumn(), new ProgressBarColumn(), new PercentageColumn(), new TaskDescriptionColumn { Alignment = Justify.Left })
            .StartAsync(async context =>
            {
                var task = context.AddTask("asking the upstream", maxValue: double.MaxValue);
                return await sync(new DirectProgress(progress =>
                {
                    task.MaxValue = Math.Max(1, progress.Done + progress.Left);
                    task.Value = progress.Done;
                    task.Description = Markup.Escape(Describe(progress, time.GetElapsedTime(start)));
                }));
            });
    }

    private static string Describe(SyncProgress progress, TimeSpan elapsed) =>
        $"{progress.Done} done, {progress.Left} left, {progress.Failed} failing, {progress.Done / Math.Max(1, elapsed.TotalSeconds):0}/s, {Amounts.Bytes(progress.RawBytes)}";

    // Progress<T> would post to the thread pool, where reports overtake each other.
    private sealed class DirectProgress(Action<SyncProgress> report) : IProgress<SyncProgress>
    {
        public void Report(SyncProgress value) => report(value);
    }
}
