using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Storage;

namespace NpmMirror.Notes;

/// <summary>The result of a comparison of everything held with everything the upstream lists.</summary>
/// <param name="StartedAt">When it began.</param>
/// <param name="EndedAt">When all differences were queued.</param>
/// <param name="Listed">Ids on the upstream's list.</param>
/// <param name="Held">Packages held, without the graveyard.</param>
/// <param name="Missing">Listed, wanted and not held: queued.</param>
/// <param name="Stale">Held in another revision, or without one to compare: queued.</param>
/// <param name="Vanished">Held and not listed: queued to be asked for, unless <paramref name="HeldBack"/>.</param>
/// <param name="HeldBack">Why no vanished package was queued; null if they were.</param>
public sealed record Reconciliation(DateTimeOffset StartedAt, DateTimeOffset EndedAt, long Listed, long Held, long Missing, long Stale, long Vanished, string? HeldBack)
{
    /// <summary>The last one of a store that came to its end; null when there was none.</summary>
    public static ValueTask<Reconciliation?> ReadAsync(INoteTable notes, CancellationToken cancellationToken) =>
        notes.FindAsync(MirrorCursors.Reconciliation, ReconciliationJson.Default.Reconciliation, cancellationToken);

    /// <summary>Keeps it as the store's last one, with none under way any more.</summary>
    internal async ValueTask KeepAsync(INoteTable notes, CancellationToken cancellationToken)
    {
        await notes.SetNoteAsync(MirrorCursors.Reconciliation, JsonSerializer.Serialize(this, ReconciliationJson.Default.Reconciliation), cancellationToken);
        await notes.SetNoteAsync(MirrorCursors.ReconciliationUnfinished, null, cancellationToken);
    }
}

/// <summary>A reconciliation that goes on, was cut short or failed. The result of the last whole one is kept beside it.</summary>
/// <param name="StartedAt">When it began.</param>
/// <param name="Failure">Why it failed; null while it goes on, or when its process died.</param>
public sealed record UnfinishedReconciliation(DateTimeOffset StartedAt, string? Failure)
{
    /// <summary>That of a store; null when the last one came to its end.</summary>
    public static ValueTask<UnfinishedReconciliation?> ReadAsync(INoteTable notes, CancellationToken cancellationToken) =>
        notes.FindAsync(MirrorCursors.ReconciliationUnfinished, ReconciliationJson.Default.UnfinishedReconciliation, cancellationToken);

    /// <summary>Keeps it as the store's.</summary>
    internal ValueTask KeepAsync(INoteTable notes, CancellationToken cancellationToken) =>
        notes.SetNoteAsync(MirrorCursors.ReconciliationUnfinished, JsonSerializer.Serialize(this, ReconciliationJson.Default.UnfinishedReconciliation), cancellationToken);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Reconciliation))]
[JsonSerializable(typeof(UnfinishedReconciliation))]
internal sealed partial class ReconciliationJson : JsonSerializerContext;
