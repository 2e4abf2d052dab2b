using System.ComponentModel;

namespace NpmMirror.Options;

/// <summary>The handling of packages and versions that the upstream removed, by kind.</summary>
public sealed class RemovedOptions
{
    /// <summary>The publisher unpublished it.</summary>
    [Description("For what the publisher unpublished: hide, keep or purge")]
    public RemovedMode Unpublished { get; set; } = RemovedMode.Hide;

    /// <summary>The upstream does not know it any more.</summary>
    [Description("For what the upstream does not know any more: hide, keep or purge")]
    public RemovedMode Gone { get; set; } = RemovedMode.Hide;

    /// <summary>A security holding package stands in its place. Hide: the holder is served, the older versions answer 451.</summary>
    [Description("For what a security holding package replaced: hide, keep or purge")]
    public RemovedMode SecurityHolder { get; set; } = RemovedMode.Hide;

    /// <summary>Refused for legal reasons. Hide: it answers 451.</summary>
    [Description("For what was blocked for legal reasons: hide, keep or purge")]
    public RemovedMode Blocked { get; set; } = RemovedMode.Hide;

    /// <summary>The mode for this kind.</summary>
    internal RemovedMode ModeOf(Log.RemovalKind kind) => kind switch
    {
        Log.RemovalKind.Unpublished => Unpublished,
        Log.RemovalKind.Gone => Gone,
        Log.RemovalKind.SecurityHolder => SecurityHolder,
        _ => Blocked,
    };
}
