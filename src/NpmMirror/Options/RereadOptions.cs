namespace NpmMirror.Options;

/// <summary>Which stretches before the cursor are read again, where rows of the feed may appear late (npm's paged feed). Zero: not.</summary>
public sealed class RereadOptions
{
    /// <summary>At each idle poll.</summary>
    public TimeSpan Poll { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Every hour.</summary>
    public TimeSpan Hourly { get; set; } = TimeSpan.FromHours(6);

    /// <summary>Every day.</summary>
    public TimeSpan Daily { get; set; } = TimeSpan.FromHours(24);

    internal TimeSpan Longest => new[] { Poll, Hourly, Daily }.Max();
}
