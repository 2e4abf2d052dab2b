using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>What a comparison of everything held with everything the upstream lists came to.</summary>
/// <param name="StartedAt">When it began.</param>
/// <param name="EndedAt">When all it found was queued; null while it goes on, or when it was cut short.</param>
/// <param name="Listed">Ids on the upstream's list.</param>
/// <param name="Held">Packages held, without the graveyard.</param>
/// <param name="Missing">Listed, wanted and not held: queued.</param>
/// <param name="Stale">Held in another revision, or without one to compare: queued.</param>
/// <param name="Vanished">Held and not listed: queued to be asked for, unless <paramref name="HeldBack"/>.</param>
/// <param name="HeldBack">Why nothing of what vanished was queued; null when it was.</param>
public sealed record Reconciliation(DateTimeOffset StartedAt, DateTimeOffset? EndedAt, long Listed, long Held, long Missing, long Stale, long Vanished, string? HeldBack)
{
    /// <summary>The last one of a store, finished or not; null when there was none.</summary>
    public static async ValueTask<Reconciliation?> ReadAsync(IMetadataStore store, CancellationToken cancellationToken) =>
        await store.GetCursorAsync(MirrorCursors.Reconciliation, cancellationToken) is { } text ? JsonSerializer.Deserialize(text, ReconciliationJson.Default.Reconciliation) : null;

    /// <summary>Keeps it as the store's last one.</summary>
    internal ValueTask KeepAsync(IMetadataStore store, CancellationToken cancellationToken) =>
        store.SetCursorAsync(MirrorCursors.Reconciliation, JsonSerializer.Serialize(this, ReconciliationJson.Default.Reconciliation), cancellationToken);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Reconciliation))]
internal sealed partial class ReconciliationJson : JsonSerializerContext;
