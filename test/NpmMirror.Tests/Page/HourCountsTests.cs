using System.Globalization;
using System.Text.RegularExpressions;
using NpmMirror.Page.State;
using NpmMirror.Storage;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Page;

/// <summary>What is counted for the charts.</summary>
public sealed partial class HourCountsTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("The charts' counts of 30 days survive a restart and a clock that is wrong for a while, add up within an hour, and stay small",
        With = [nameof(A_chart_of_30_days_is_small)],
        Red = "`HourCounts.Shown` leaves no old hour out; an hour that lies ahead pushes the others out: each was red")]
    [Fact]
    public async Task Hours_are_kept_over_a_restart_and_for_30_days()
    {
        var clock = new FakeClock();
        var store = new MemoryStore(clock);
        await using (var first = await ServedMirror.StartAsync(store, time: clock, hasPage: true))
        {
            await first.TextAsync("/api/ping");
            await first.TextAsync("/api/ping");
            await AdvanceUntilAsync(clock, store, hours => hours.Count == 1 && hours[^1][1] >= 2);
        }

        await using var second = await ServedMirror.StartAsync(store, time: clock, hasPage: true);
        await second.TextAsync("/api/ping");
        await AdvanceUntilAsync(clock, store, hours => hours.Sum(hour => hour[1]) >= 3);
        var began = clock.GetUtcNow().ToUnixTimeSeconds() / 3600;
        clock.SetWallAhead(TimeSpan.FromDays(400));
        await AdvanceUntilAsync(clock, store, hours => hours[^1][0] > began + 9_000);
        clock.SetWallAhead(TimeSpan.Zero);
        await AdvanceUntilAsync(clock, store, hours => hours[^1][0] < began + 9_000 && hours.Sum(hour => hour[1]) >= 3);
        Assert.Matches("aria-label=\"Requests an hour: at most \\d+", await HtmlAsync(second));
    }

    [Fact]
    public void A_chart_of_30_days_is_small()
    {
        Assert.Equal([2L, HourCounts.HoursMax + 1], HourCounts.Shown([.. new[] { 1L, 2L, HourCounts.HoursMax + 1 }.Select(hour => new HourCount(hour, 1, 1, 1, 1, 1, 1))]).Select(one => one.Hour));
        HourCount[] hours = [.. Enumerable.Range(0, HourCounts.HoursMax).Select(hour => new HourCount(hour, hour * 1_000_003L, 1L << 50, 5, 2, 1L << 45, 4_400_000))];
        var charts = Chart.Of(hours);
        Assert.All(charts, chart => Assert.True(chart.Path.Length < 25_000));
        Assert.Equal(HourCounts.HoursMax, Bars().Count(charts[1].Path));
        Assert.Contains("M719 100v-100h1v100z", charts[0].Path);
    }

    private static async Task AdvanceUntilAsync(FakeClock clock, MemoryStore store, Func<List<long[]>, bool> condition) => await Eventually.Async(async () =>
    {
        clock.Advance(HourCounts.NoteEvery);
        var note = await store.Notes.FindNoteAsync(HourCounts.NoteKey, Cancelled);
        return note is not null && condition([.. Row().Matches(note).Select(match => match.Groups[1].Value.Split(',').Select(number => long.Parse(number, CultureInfo.InvariantCulture)).ToArray())]);
    });

    private static async Task<string> HtmlAsync(ServedMirror mirror)
    {
        using var answer = await mirror.GetAsync("/", ("Accept", "text/html"));
        return await answer.Content.ReadAsStringAsync(Cancelled);
    }

    [GeneratedRegex(@"\[([0-9,]+)\]")]
    private static partial Regex Row();

    [GeneratedRegex("M")]
    private static partial Regex Bars();
}
