using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace NpmMirror.Storage;

/// <summary>Reads values kept under a key as JSON.</summary>
internal static class StoredJson
{
    /// <summary>The value; null if there is none, or none that can be read: it is only a note, and is written again.</summary>
    internal static async ValueTask<T?> FindAsync<T>(this INoteTable store, string key, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        if (await store.FindNoteAsync(key, cancellationToken) is not { } text)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(text, type);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
