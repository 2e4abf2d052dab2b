using System.ComponentModel.DataAnnotations;
using System.ComponentModel;

namespace NpmMirror.Options;

/// <summary>Which stretches before the cursor are read again, where rows of the feed may appear late (npm's paged feed). Zero: not.</summary>
public sealed class RereadOptions
{
    /// <summary>At each idle poll.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    [Description("How far back the paged feed is read again at each idle poll, for rows that came late; 0s: not")]
    public TimeSpan Poll { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Every hour.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "30.00:00:00")]
    [Description("How far back the paged feed is read again every hour; 0s: not")]
    public TimeSpan Hourly { get; set; } = TimeSpan.FromHours(6);

    /// <summary>Every day.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    [Description("How far back the paged feed is read again every day; 0s: not")]
    public TimeSpan Daily { get; set; } = TimeSpan.FromHours(24);

    internal TimeSpan Longest => new[] { Poll, Hourly, Daily }.Max();
}
