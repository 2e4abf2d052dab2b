using Microsoft.AspNetCore.Http;
using NpmMirror.Log;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>The events that a reader wants: of some kinds (<c>type=VersionPublished,PackageRemoved</c>), of packages whose name has a text in it (<c>package=react</c>).</summary>
internal sealed class EventsFilter
{
    private readonly HashSet<string>? _types;
    private readonly string _name;

    private EventsFilter(HashSet<string>? types, string name) => (_types, _name) = (types, name);

    /// <summary>All kinds.</summary>
    internal static IReadOnlyList<string> Types { get; } =
    [
        EventTypes.PackageAdded, EventTypes.VersionPublished, EventTypes.VersionChanged, EventTypes.VersionRemoved, EventTypes.DistTagMoved, EventTypes.MaintainersChanged, EventTypes.MetadataChanged,
        EventTypes.Deprecated, EventTypes.InstallScriptAppeared, EventTypes.ProvenanceLost, EventTypes.PackageRemoved, EventTypes.PackageRestored,
    ];

    /// <summary>That of a request; null if it names a kind that does not exist.</summary>
    internal static EventsFilter? Of(HttpRequest request)
    {
        var types = request.Query["type"].ToString().Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return types.All(type => Types.Contains(type)) ? new EventsFilter(types.Length == 0 ? null : [.. types], request.Query["package"].ToString()) : null;
    }

    /// <summary>Whether the reader wants the event.</summary>
    internal bool Takes(LogRow row) => _types?.Contains(row.Type) is not false && (_name.Length == 0 || row.Package.Value.Contains(_name, StringComparison.OrdinalIgnoreCase));
}
