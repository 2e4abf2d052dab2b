using System.Text.Json;
using System.Text.Json.Serialization;

namespace NpmMirror.Log;

/// <summary>Events as the log stores them: a type name and a JSON payload. The names are for ever; so are the members.</summary>
public static class EventPayload
{
    /// <summary>The stored form of an event. Position, package and generation are columns of their own.</summary>
    public static PendingEvent ToPending(RegistryEvent registryEvent, int ordinal) => new()
    {
        Ordinal = ordinal,
        Type = TypeOf(registryEvent),
        At = registryEvent.At,
        SeenAt = registryEvent.SeenAt,
        UpstreamRev = registryEvent.UpstreamRev,
        Payload = Serialize(registryEvent),
    };

    /// <summary>The event of a log row, or null when its payload was purged.</summary>
    /// <exception cref="MirrorException">The row was written by a newer program, or is damaged.</exception>
    public static RegistryEvent? FromRow(LogRow row)
    {
        if (row.Payload is not { } payload)
        {
            return null;
        }

        try
        {
            return Deserialize(row.Type, payload.Span) with
            {
                Position = row.Position,
                Package = row.Package,
                Generation = row.Generation,
                At = row.At,
                SeenAt = row.SeenAt,
                UpstreamRev = row.UpstreamRev,
            };
        }
        catch (JsonException e)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"Log row {row.Position} ({row.Type} of {row.Package}) has a damaged payload; restore the store from a backup.", inner: e);
        }
    }

    private static string TypeOf(RegistryEvent registryEvent) => registryEvent switch
    {
        PackageAdded => EventTypes.PackageAdded,
        VersionPublished => EventTypes.VersionPublished,
        VersionChanged => EventTypes.VersionChanged,
        VersionRemoved => EventTypes.VersionRemoved,
        DistTagMoved => EventTypes.DistTagMoved,
        MaintainersChanged => EventTypes.MaintainersChanged,
        MetadataChanged => EventTypes.MetadataChanged,
        Deprecated => EventTypes.Deprecated,
        InstallScriptAppeared => EventTypes.InstallScriptAppeared,
        ProvenanceLost => EventTypes.ProvenanceLost,
        PackageRemoved => EventTypes.PackageRemoved,
        PackageRestored => EventTypes.PackageRestored,
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static byte[] Serialize(RegistryEvent registryEvent)
    {
        var json = EventJson.Default;
        return registryEvent switch
        {
            PackageAdded e => JsonSerializer.SerializeToUtf8Bytes(e, json.PackageAdded),
            VersionPublished e => JsonSerializer.SerializeToUtf8Bytes(e, json.VersionPublished),
            VersionChanged e => JsonSerializer.SerializeToUtf8Bytes(e, json.VersionChanged),
            VersionRemoved e => JsonSerializer.SerializeToUtf8Bytes(e, json.VersionRemoved),
            DistTagMoved e => JsonSerializer.SerializeToUtf8Bytes(e, json.DistTagMoved),
            MaintainersChanged e => JsonSerializer.SerializeToUtf8Bytes(e, json.MaintainersChanged),
            MetadataChanged e => JsonSerializer.SerializeToUtf8Bytes(e, json.MetadataChanged),
            Deprecated e => JsonSerializer.SerializeToUtf8Bytes(e, json.Deprecated),
            InstallScriptAppeared e => JsonSerializer.SerializeToUtf8Bytes(e, json.InstallScriptAppeared),
            ProvenanceLost e => JsonSerializer.SerializeToUtf8Bytes(e, json.ProvenanceLost),
            PackageRemoved e => JsonSerializer.SerializeToUtf8Bytes(e, json.PackageRemoved),
            PackageRestored e => JsonSerializer.SerializeToUtf8Bytes(e, json.PackageRestored),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
    }

    private static RegistryEvent Deserialize(string type, ReadOnlySpan<byte> payload)
    {
        var json = EventJson.Default;
        RegistryEvent? registryEvent = type switch
        {
            EventTypes.PackageAdded => JsonSerializer.Deserialize(payload, json.PackageAdded),
            EventTypes.VersionPublished => JsonSerializer.Deserialize(payload, json.VersionPublished),
            EventTypes.VersionChanged => JsonSerializer.Deserialize(payload, json.VersionChanged),
            EventTypes.VersionRemoved => JsonSerializer.Deserialize(payload, json.VersionRemoved),
            EventTypes.DistTagMoved => JsonSerializer.Deserialize(payload, json.DistTagMoved),
            EventTypes.MaintainersChanged => JsonSerializer.Deserialize(payload, json.MaintainersChanged),
            EventTypes.MetadataChanged => JsonSerializer.Deserialize(payload, json.MetadataChanged),
            EventTypes.Deprecated => JsonSerializer.Deserialize(payload, json.Deprecated),
            EventTypes.InstallScriptAppeared => JsonSerializer.Deserialize(payload, json.InstallScriptAppeared),
            EventTypes.ProvenanceLost => JsonSerializer.Deserialize(payload, json.ProvenanceLost),
            EventTypes.PackageRemoved => JsonSerializer.Deserialize(payload, json.PackageRemoved),
            EventTypes.PackageRestored => JsonSerializer.Deserialize(payload, json.PackageRestored),
            _ => throw new MirrorException(MirrorFault.StoreSchema, $"The log holds an event of type {MirrorException.Quote(type)}, which this version does not know; run a newer npm-mirror."),
        };
        return registryEvent ?? throw new JsonException("null");
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault, UseStringEnumConverter = true)]
[JsonSerializable(typeof(PackageAdded))]
[JsonSerializable(typeof(VersionPublished))]
[JsonSerializable(typeof(VersionChanged))]
[JsonSerializable(typeof(VersionRemoved))]
[JsonSerializable(typeof(DistTagMoved))]
[JsonSerializable(typeof(MaintainersChanged))]
[JsonSerializable(typeof(MetadataChanged))]
[JsonSerializable(typeof(Deprecated))]
[JsonSerializable(typeof(InstallScriptAppeared))]
[JsonSerializable(typeof(ProvenanceLost))]
[JsonSerializable(typeof(PackageRemoved))]
[JsonSerializable(typeof(PackageRestored))]
internal sealed partial class EventJson : JsonSerializerContext;
