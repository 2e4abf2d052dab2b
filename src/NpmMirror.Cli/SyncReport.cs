using NpmMirror.Syncing;

namespace NpmMirror.Cli;

/// <summary>Shows how far a sync is, and how it ended.</summary>
internal static class SyncReport
{
    private const int FailuresShownMax = 50;

    /// <summary>How a sync ended, for JSON.</summary>
    public static SyncJson ToJson(SyncSummary summary) =>
        new(summary.Changed, summary.Unchanged, summary.Removed, summary.RawBytes, summary.InDoubt, summary.Failures.ToDictionary(failure => failure.Key.Value, failure => failure.Value));

    /// <summary>Prints how a sync ended: a line on standard output, failures on standard error.</summary>
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
        var start = time.GetTimestamp();
        var line = new ProgressLine(isSilent, time);
        line.Begin("asking the upstream");
        try
        {
            return await sync(new DirectProgress(progress => line.Show(() => Describe(progress, time.GetElapsedTime(start)), isLast: progress is { Left: 0, Failed: 0 })));
        }
        finally
        {
            line.Clear();
        }
    }

    /// <summary>One line: of all packages, each is done, left or failing.</summary>
    internal static string Describe(SyncProgress progress, TimeSpan elapsed)
    {
        var all = progress.Done + progress.Left + progress.Failed;
        var percent = all == 0 ? 0 : 100 * progress.Done / all;
        var packages = $"{percent} %: {progress.Done} done, {progress.Left} left, {progress.Failed} failing, {progress.Done / Math.Max(1, elapsed.TotalSeconds):0}/s, {Amounts.Bytes(progress.RawBytes)}";
        return progress is { Tarballs: 0, TarballBytes: 0, TarballsLeft: 0 }
            ? packages
            : $"{packages}; tarballs: {progress.Tarballs} stored, {progress.TarballsLeft} left of those known, {Amounts.Bytes(progress.TarballBytes)}";
    }

    // Progress<T> would post to the thread pool, where reports overtake each other.
    private sealed class DirectProgress(Action<SyncProgress> report) : IProgress<SyncProgress>
    {
        public void Report(SyncProgress value) => report(value);
    }
}

/// <summary>What a sync prints as JSON.</summary>
internal sealed record SyncJson(int Changed, int Unchanged, int Removed, long RawBytes, int InDoubt, IReadOnlyDictionary<string, string> Failures);
