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
    /// <summary>The document as JSON; empty when it is not there any more.</summary>
    internal async ValueTask<ReadOnlyMemory<byte>> ReadAsync(PackageRow row, string baseUrl, CancellationToken cancellationToken)
    {
        if (row.Facts.IsRemoved)
        {
            return Tombstone(row);
        }

        var key = new RenditionKey(View.Live, PackumentForm.Full, null, baseUrl, ContentCoding.Identity);
        return await cache.MakeOnceAsync(row, key, cancellationToken) ?? ReadOnlyMemory<byte>.Empty;
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
