using NpmMirror.Feeds;
using NpmMirror.Following;

namespace NpmMirror.Tests.Following;

/// <summary>A handler that remembers which rows it was handed again, and which trails it was to keep.</summary>
internal sealed class KeepingHandler : IChangeHandler
{
    internal List<ChangeRow> Handled { get; } = [];

    internal List<string> Kept { get; } = [];

    /// <summary>How many pages were handed over again.</summary>
    internal int HandOvers { get; private set; }

    internal bool IsNews { get; set; } = true;

    /// <summary>What an earlier process kept.</summary>
    internal string? Earlier { get; init; }

    /// <summary>How many rows that cannot be read were handed over.</summary>
    internal int SkippedCount { get; private set; }

    public Task HandleAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken) => throw new InvalidOperationException();

    public Task<IReadOnlyList<ChangeRow>> HandleAgainAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
    {
        HandOvers++;
        Handled.AddRange(page.Rows);
        SkippedCount += page.Skipped.Count;
        return Task.FromResult<IReadOnlyList<ChangeRow>>(IsNews ? page.Rows : []);
    }

    public ValueTask<string?> ReadTrailAsync(CancellationToken cancellationToken) => ValueTask.FromResult(Earlier);

    public ValueTask KeepTrailAsync(string trail, CancellationToken cancellationToken)
    {
        Kept.Add(trail);
        return ValueTask.CompletedTask;
    }
}
