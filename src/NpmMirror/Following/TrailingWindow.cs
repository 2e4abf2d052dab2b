namespace NpmMirror.Following;

/// <summary>A stretch before the cursor that is read again from time to time, because rows may appear there late.</summary>
/// <param name="Length">How late a row may appear and still be found.</param>
/// <param name="Every">How often; zero: whenever the feed's head was reached.</param>
public readonly record struct TrailingWindow(TimeSpan Length, TimeSpan Every)
{
    /// <summary>Ten minutes at each idle poll, six hours every hour, a day every day.</summary>
    public static IReadOnlyList<TrailingWindow> Usual { get; } = Of(TimeSpan.FromMinutes(10), TimeSpan.FromHours(6), TimeSpan.FromHours(24));

    /// <summary>The three windows with other lengths; one of zero is left out.</summary>
    public static IReadOnlyList<TrailingWindow> Of(TimeSpan atEachPoll, TimeSpan hourly, TimeSpan daily) =>
        [.. new[] { new TrailingWindow(atEachPoll, TimeSpan.Zero), new TrailingWindow(hourly, TimeSpan.FromHours(1)), new TrailingWindow(daily, TimeSpan.FromDays(1)) }.Where(window => window.Length > TimeSpan.Zero)];
}
