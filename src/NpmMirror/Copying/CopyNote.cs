using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Notes;
using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>The note of a store that was copied from another: from which mirror, and whether the copy is whole.</summary>
/// <param name="Source">The instance id of the mirror it is from; empty for one without.</param>
/// <param name="BegunAt">When the copy was begun last.</param>
/// <param name="FinishedAt">When the two were found equal; null while the copy is not whole.</param>
/// <param name="Position">The head of the log then.</param>
internal sealed record CopyNote(string Source, DateTimeOffset BegunAt, DateTimeOffset? FinishedAt, long Position)
{
    /// <summary>Refuses to work with a copy that is not whole.</summary>
    /// <exception cref="MirrorException">It is not.</exception>
    internal static async ValueTask RequireFinishedAsync(IMetadataStore store, CancellationToken cancellationToken)
    {
        if (await ReadAsync(store, cancellationToken) is { FinishedAt: null })
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{store.Location} is the target of a copy that is not finished; run npm-mirror copy again, or name an empty place and leave this one.");
        }
    }

    /// <summary>The note of a store; null for one that was not copied.</summary>
    internal static async ValueTask<CopyNote?> ReadAsync(IMetadataStore store, CancellationToken cancellationToken)
    {
        if (await store.Notes.FindNoteAsync(MirrorCursors.Copy, cancellationToken) is not { } text)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(text, CopyNoteJson.Default.CopyNote);
        }
        catch (JsonException e)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"The note {MirrorCursors.Copy} of {store.Location} cannot be read; it was changed by another program: copy into an empty place.", inner: e);
        }
    }

    internal ValueTask KeepAsync(IMetadataStore store, CancellationToken cancellationToken) =>
        store.Notes.SetNoteAsync(MirrorCursors.Copy, JsonSerializer.Serialize(this, CopyNoteJson.Default.CopyNote), cancellationToken);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CopyNote))]
internal sealed partial class CopyNoteJson : JsonSerializerContext;
