using System.Buffers;
using System.Text.Json;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Packuments;
using NpmMirror.Renditions;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>The documents that go with rows of feeds and lists: what a reader of the package would get, not kept.</summary>
internal sealed class ServedDocuments(RenditionCache cache, DocumentRepair repair)
{
    private const int PieceBytes = 256 * 1024;

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
    /// Writes the document with what replication needs in front: id, revision and the revisions before it; without <c>_attachments</c>, whose files nobody
    /// could fetch here. False when it is not there any more.
    /// </summary>
    internal Task<bool> WriteReplicatedAsync(FeedBody body, PackageRow row, string baseUrl, CancellationToken cancellationToken) =>
        WriteAsync(body, "{\"ok\":"u8.ToArray(), row, baseUrl, isReplicated: true, cancellationToken);

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

            var own = isReplicated ? MembersOf(document) : new TopMembers();
            body.Text(before);
            var at = Begin(body, row, own);
            foreach (var (start, end) in own.Attachments)
            {
                body.Document(document.AsSpan((int)at, (int)(start - at)));
                at = end;
            }

            body.Document(document.AsSpan((int)at));
            return true;
        }

        if (await repair.ReadAsync(row.Name, () => new ValueTask<SpilledRendition?>(cache.SpillAsync(row, key, cancellationToken)), cancellationToken) is not { } spilled)
        {
            return false;
        }

        await using (spilled)
        {
            var own = isReplicated ? await MembersOfAsync(spilled, cancellationToken) : new TopMembers();
            body.Text(before);
            var at = Begin(body, row, own);
            foreach (var (start, end) in own.Attachments)
            {
                await body.DocumentAsync(spilled, at, start);
                at = end;
            }

            await body.DocumentAsync(spilled, at, spilled.LengthBytes);
        }

        return true;
    }

    private static TopMembers MembersOf(ReadOnlySpan<byte> document)
    {
        var own = new TopMembers();
        own.Read(document);
        return own;
    }

    private static async Task<TopMembers> MembersOfAsync(SpilledRendition document, CancellationToken cancellationToken)
    {
        var own = new TopMembers();
        var piece = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            int read;
            for (var at = 0L; (read = await document.ReadAsync(at, piece, cancellationToken)) > 0; at += read)
            {
                own.Read(piece.AsSpan(0, read));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }

        return own;
    }

    /// <summary>Writes the beginning of a document that was looked through, with what replication needs in front; returns where its own members begin.</summary>
    private static long Begin(FeedBody body, PackageRow row, TopMembers own)
    {
        if (own.Begin is not { } begin)
        {
            return 0;
        }

        var members = Members(row, own);
        body.Text(members.AsSpan(0, members.Length - 1));
        // "{}" adds nothing.
        if (members.Length > 2 && own.HasOthers)
        {
            body.Text(","u8);
        }

        return begin;
    }

    /// <summary>What replication needs and the document does not say itself: each member once, for who takes the first of two, or refuses them.</summary>
    private static byte[] Members(PackageRow row, TopMembers own) => Object(json =>
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
