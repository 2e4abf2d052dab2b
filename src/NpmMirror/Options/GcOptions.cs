namespace NpmMirror.Options;

/// <summary>The rules and times of collections.</summary>
public sealed class GcOptions
{
    /// <summary>Bytes of tarballs to keep; those served longest ago go first, those that the upstream could not give again never. Zero: no limit.</summary>
    public long MaxBytes { get; set; }

    /// <summary>How long bytes without a package are kept.</summary>
    public TimeSpan Grace { get; set; } = TimeSpan.FromHours(24);

    /// <summary>How often <c>serve</c> and <c>mirror</c> collect by themselves. Zero: only <c>npm-mirror gc</c> does.</summary>
    public TimeSpan Every { get; set; }

    /// <summary>How long it is known which clients fetched which tarballs.</summary>
    public TimeSpan AccessRetention { get; set; } = TimeSpan.FromDays(365);
}
