using System.ComponentModel.DataAnnotations;
using System.ComponentModel;

namespace NpmMirror.Options;

/// <summary>The rules and times of collections.</summary>
public sealed class GcOptions
{
    /// <summary>Bytes of tarballs to keep; those served longest ago go first, those that the upstream could not give again never. Zero: no limit.</summary>
    [Range(0, 1L << 60)]
    [Description("Bytes of tarballs to keep; those served longest ago are deleted first; 0: no limit")]
    public long MaxBytes { get; set; }

    /// <summary>How long bytes without a package are kept.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "365.00:00:00")]
    [Description("How long bytes without a package are kept")]
    public TimeSpan Grace { get; set; } = TimeSpan.FromHours(24);

    /// <summary>How often <c>serve</c> and <c>mirror</c> collect by themselves. Zero: only <c>npm-mirror gc</c> does.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    [Description("How often serve and mirror collect by themselves; 0s: only npm-mirror gc does")]
    public TimeSpan Every { get; set; }

    /// <summary>How long it is known which clients fetched which tarballs.</summary>
    [Range(typeof(TimeSpan), "1.00:00:00", "3650.00:00:00")]
    [Description("How long records of which client fetched which tarball are kept; gc deletes older ones")]
    public TimeSpan AccessRetention { get; set; } = TimeSpan.FromDays(365);
}
