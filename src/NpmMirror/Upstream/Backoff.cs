namespace NpmMirror.Upstream;

/// <summary>How long to wait before the next try: doubling, jittered, at least as long as the server asked, never more than the cap.</summary>
/// <param name="first">The first wait, before jitter.</param>
/// <param name="longest">The longest wait, even if the server asks for more.</param>
/// <param name="random">Spreads many mirrors that lost the same upstream at the same moment; seeded by tests.</param>
internal sealed class Backoff(TimeSpan first, TimeSpan longest, Random random)
{
    // 2^40 times any wait is beyond every cap; the power must not grow to infinity.
    private const int DoublingsMax = 40;

    /// <summary>Failures since the last success; set where they are counted elsewhere.</summary>
    public int Failures { get; set; }

    /// <summary>The wait after one more failure; <paramref name="retryAfter"/> is the server's Retry-After, if it sent one.</summary>
    public TimeSpan Next(TimeSpan? retryAfter = null)
    {
        var ceiling = Math.Min(longest.Ticks, first.Ticks * Math.Pow(2, Math.Min(Failures, DoublingsMax)));
        Failures++;
        // Upwards only: the first step is a promise ("never under a second"), not an average.
        var wait = TimeSpan.FromTicks((long)Math.Min(longest.Ticks, ceiling * (1 + (random.NextDouble() / 2))));
        return retryAfter > wait ? (retryAfter < longest ? retryAfter.Value : longest) : wait;
    }

    /// <summary>Starts over after a success.</summary>
    public void Reset() => Failures = 0;
}
