using System.Buffers;
using System.Text.Json;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Packuments;
using NpmMirror.Renditions;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>The documents of rows of feeds and lists: as a reader of the package would get them, not kept.</summary>
internal sealed class ServedDocuments(RenditionCache cache, DocumentRepair repair)
{
    /// <summary>Writes the document as the member <c>doc</c> of a row; nothing when it is not there any more. Of a damaged one the row says so, and the list goes on.</summary>
    internal async Task WriteAsync(FeedBody body, PackageRow row, string baseUrl, CancellationToken cancellationToken)
    {
        try
        {
            await WriteAsync(body, ",\"doc\":"u8.ToArray(), row, baseUrl, isReplicated: false, cancellationToken);
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            body.Text(",\"doc\":null,\"error\":\"damaged\",\"reason\":"u8);
            body.String(damage.Message);
        }
    }

    /// <summary>
    /// Writes the document with replication's members in front: id, revision and the revisions before it; without <c>_attachments</c>, whose files cannot
    /// be fetched here. False if the document is gone.
    /// </summary>
    internal Task<bool> WriteReplicatedAsync(FeedBody body, byte[] before, PackageRow row, string baseUrl, CancellationToken cancellationToken) =>
        WriteAsync(body, [.. before, .. "{\"ok\":"u8], row, baseUrl, isReplicated: true, cancellationToken);

    private async Task<bool> WriteAsync(FeedBody body, byte[] before, PackageRow row, string baseUrl, bool isReplicated, CancellationToken cancellationToken)
    {
        var key = new RenditionKey(View.Live, PackumentForm.Full, null, baseUrl, ContentCoding.Identity);
        if (row.Facts.IsRemoved)
        {
            body.Text(before);
            body.Text(Object(json => Tombstone(json, row, isReplicated)));
            return true;
        }

        if (!RenditionCache.IsSpilled(row, key))
        {
            if (await repair.ReadAsync(row.Name, () => new ValueTask<byte[]?>(cache.MakeOnceAsync(row, key, cancellationToken)), cancellationToken) is not { } document)
            {
                return false;
            }

            var own = isReplicated ? ReplicatedMembers.Of(document) : null;
            body.Text(before);
            if (own is null)
            {
                body.Document(document);
                return true;
            }

            var isFirst = Begin(body, row, own);
            foreach (var (start, end) in own.Runs)
            {
                Separate(body, ref isFirst);
                body.Document(document.AsSpan(start..end));
            }

            body.End();
            return true;
        }

        if (await repair.ReadAsync(row.Name, () => new ValueTask<SpilledRendition?>(cache.SpillAsync(row, key, cancellationToken)), cancellationToken) is not { } spilled)
        {
            return false;
        }

        await using (spilled)
        {
            var own = isReplicated ? spilled.Read(ReplicatedMembers.Of) : null;
            body.Text(before);
            if (own is null)
            {
                await body.DocumentAsync(spilled, 0, spilled.LengthBytes);
                return true;
            }

            var isFirst = Begin(body, row, own);
            foreach (var (start, end) in own.Runs)
            {
                Separate(body, ref isFirst);
                await body.DocumentAsync(spilled, start, end);
            }

            body.End();
            return true;
        }
    }

    /// <summary>
    /// Writes the beginning of a document: its id, revision and earlier revisions, as far as it does not say them itself (readers differ in which of two
    /// equal members they take). True when it says them all.
    /// </summary>
    private static bool Begin(FeedBody body, PackageRow row, ReplicatedMembers own)
    {
        var members = Object(json =>
        {
            if (!own.HasRevisions)
            {
                ServedRevision.WriteChain(json, row);
            }

            if (!own.HasId)
            {
                json.WriteString("_id"u8, row.Name.Value);
            }

            if (!own.HasRev)
            {
                json.WriteString("_rev"u8, ServedRevision.Of(row));
            }
        });
        body.Text(members.AsSpan(..^1));
        return members.Length == "{}"u8.Length;
    }

    private static void Separate(FeedBody body, ref bool isFirst)
    {
        if (!isFirst)
        {
            body.Text(","u8);
        }

        isFirst = false;
    }

    private static void Tombstone(Utf8JsonWriter json, PackageRow row, bool isReplicated)
    {
        if (isReplicated)
        {
            ServedRevision.WriteChain(json, row);
        }

        json.WriteString("_id"u8, row.Name.Value);
        json.WriteString("_rev"u8, ServedRevision.Of(row));
        json.WriteBoolean("_deleted"u8, true);
    }

    private static byte[] Object(Action<Utf8JsonWriter> write)
    {
        var body = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(body, WireJson.Written);
        json.WriteStartObject();
        write(json);
        json.WriteEndObject();
        json.Flush();
        return body.WrittenSpan.ToArray();
    }
}
