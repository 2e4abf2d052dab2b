using NpmMirror.Log;

namespace NpmMirror.Tests.Chain;

/// <summary>The names of events, which logs that were written before are read by.</summary>
public sealed class EventTypesTests
{
    [Fact]
    public void The_names_in_the_log_stay_as_they_are()
    {
        string[] names =
        [
            "Deprecated", "DistTagMoved", "InstallScriptAppeared", "MaintainersChanged", "MetadataChanged", "PackageAdded", "PackageRemoved", "PackageRestored", "ProvenanceLost",
            "VersionChanged", "VersionPublished", "VersionRemoved",
        ];
        Assert.Equal(names, typeof(EventTypes).GetFields().Select(field => (string)field.GetRawConstantValue()!).Order(StringComparer.Ordinal));
    }
}
