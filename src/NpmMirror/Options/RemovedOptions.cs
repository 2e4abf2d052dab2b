namespace NpmMirror.Options;

/// <summary>The handling of packages and versions that the upstream removed, by kind.</summary>
public sealed class RemovedOptions
{
    /// <summary>The publisher unpublished it.</summary>
    public RemovedMode Unpublished { get; set; } = RemovedMode.Hide;

    /// <summary>The upstream does not know it any more.</summary>
    public RemovedMode Gone { get; set; } = RemovedMode.Hide;

    /// <summary>A security holding package stands in its place. Hide: the holder is served, the older versions answer 451.</summary>
    public RemovedMode SecurityHolder { get; set; } = RemovedMode.Hide;

    /// <summary>Refused for legal reasons. Hide: it answers 451.</summary>
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
