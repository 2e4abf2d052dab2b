using System.Buffers;
using System.Text.Json;
using NpmMirror.Packuments;
using NpmMirror.Registry;
using NpmMirror.Storage;
using NpmMirror.Views;

namespace NpmMirror.AspNetCore;

/// <summary>The documents that go with rows of feeds and lists: what a reader of the package would get, not kept.</summary>
internal sealed class ServedDocuments(RenditionCache cache)
{
    /// <summary>Writes the document as the member <c>doc</c> of a row; nothing when it is not there any more.</summary>
    internal async Task WriteAsync(FeedBody body, PackageRow row, string baseUrl, CancellationToken cancellationToken)
    {
        var key = new RenditionKey(View.Live, PackumentForm.Full, null, baseUrl, ContentCoding.Identity);
        if (row.Facts.IsRemoved)
        {
            body.Document(Tombstone(row).Span);
        }
        else if (!RenditionCache.IsSpilled(row, key))
        {
            if (await cache.MakeOnceAsync(row, key, cancellationToken) is { } document)
            {
                body.Document(document);
            }
        }
        else if (await cache.SpillAsync(row, key, cancellationToken) is { } spilled)
        {
            await using (spilled)
            {
                await body.DocumentAsync(spilled);
            }
        }
    }

    private static ReadOnlyMemory<byte> Tombstone(PackageRow row)
    {
        var body = new ArrayBufferWriter<byte>(128);
        using var json = new Utf8JsonWriter(body);
        json.WriteStartObject();
        json.WriteString("_id", row.Name.Value);
        json.WriteString("_rev", ServedRevision.Of(row));
        json.WriteBoolean("_deleted", true);
        json.WriteEndObject();
        json.Flush();
        return body.WrittenMemory;
    }
}
