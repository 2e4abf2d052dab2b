namespace NpmMirror.Log;

/// <summary>The names of events in the log. They never change, whatever the classes are called: old logs are read by them.</summary>
public static class EventTypes
{
    /// <summary>The name of <see cref="Log.Deprecated"/>.</summary>
    public const string Deprecated = "Deprecated";

    /// <summary>The name of <see cref="Log.DistTagMoved"/>.</summary>
    public const string DistTagMoved = "DistTagMoved";

    /// <summary>The name of <see cref="Log.InstallScriptAppeared"/>.</summary>
    public const string InstallScriptAppeared = "InstallScriptAppeared";

    /// <summary>The name of <see cref="Log.MaintainersChanged"/>.</summary>
    public const string MaintainersChanged = "MaintainersChanged";

    /// <summary>The name of <see cref="Log.MetadataChanged"/>.</summary>
    public const string MetadataChanged = "MetadataChanged";

    /// <summary>The name of <see cref="Log.PackageAdded"/>.</summary>
    public const string PackageAdded = "PackageAdded";

    /// <summary>The name of <see cref="Log.PackageRemoved"/>.</summary>
    public const string PackageRemoved = "PackageRemoved";

    /// <summary>The name of <see cref="Log.PackageRestored"/>.</summary>
    public const string PackageRestored = "PackageRestored";

    /// <summary>The name of <see cref="Log.ProvenanceLost"/>.</summary>
    public const string ProvenanceLost = "ProvenanceLost";

    /// <summary>The name of <see cref="Log.VersionChanged"/>.</summary>
    public const string VersionChanged = "VersionChanged";

    /// <summary>The name of <see cref="Log.VersionPublished"/>.</summary>
    public const string VersionPublished = "VersionPublished";

    /// <summary>The name of <see cref="Log.VersionRemoved"/>.</summary>
    public const string VersionRemoved = "VersionRemoved";
}
