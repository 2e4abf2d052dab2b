using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>What ranking reads of a package, in one number: its quality, whether it is deprecated, the day of its version.</summary>
internal readonly record struct Marks(double Quality, bool IsDeprecated, long? Day)
{
    private const int QualityMax = 255;

    internal static Marks Of(SearchHit hit) => new(Grade.Quality(hit), hit.Deprecated is not null, hit.PublishedAt is { } at ? Math.Max((at - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerDay, 0) : null);

    internal static Marks Of(long number) => new((number & QualityMax) / (double)QualityMax, (number & 256) != 0, number >> 9 is > 0 and var day ? day - 1 : null);

    internal long ToNumber() => (long)(Quality * QualityMax) + (IsDeprecated ? 256 : 0) + ((Day is { } day ? day + 1 : 0) * 512);

    internal DateTimeOffset? PublishedAt => Day is { } day and < 3_000_000 ? DateTimeOffset.UnixEpoch.AddDays(day) : null;
}
