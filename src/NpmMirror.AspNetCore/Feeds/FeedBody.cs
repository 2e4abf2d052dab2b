using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.Log;
using NpmMirror.Renditions;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>Writes rows of feeds and lists as they come: flushed when enough is gathered, never held whole.</summary>
internal sealed class FeedBody(PipeWriter output, CancellationToken cancellationToken) : IDisposable
{
    private const int FlushAtBytes = 32 * 1024;
    private const int PieceBytes = 64 * 1024;

    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    // Made for the first row: thousands only wait for one.
    private Utf8JsonWriter? _json;

    private Utf8JsonWriter Json
    {
        get
        {
            _json ??= new Utf8JsonWriter(output, Options);
            _json.Reset(output);
            return _json;
        }
    }

    /// <summary>The connection it goes over, where connections are counted.</summary>
    internal ClientConnection? Client { get; init; }

    /// <summary>The body of an answer, ended for a client that takes nothing for long.</summary>
    internal static FeedBody Of(HttpContext context, string contentType, TimeProvider time)
    {
        var headers = context.Response.Headers;
        headers.ContentType = contentType;
        headers.CacheControl = "no-cache";
        return new FeedBody(PatientWriter.Of(context, time), context.RequestAborted) { Client = context.Features.Get<ClientConnection>() };
    }

    public void Dispose() => _json?.Dispose();

    internal void Text(ReadOnlySpan<byte> text) => output.Write(text);

    internal void Number(long number)
    {
        var json = Json;
        json.WriteNumberValue(number);
        json.Flush();
    }

    internal void String(string text)
    {
        var json = Json;
        json.WriteStringValue(text);
        json.Flush();
    }

    /// <summary>A member's name and its colon.</summary>
    internal void Name(string name)
    {
        String(name);
        Text(":"u8);
    }

    /// <summary>One row of <c>_changes</c>, but for its closing brace: see <see cref="End"/>.</summary>
    internal void BeginChange(PackageRow row)
    {
        var json = Json;
        json.WriteStartObject();
        json.WriteNumber("seq"u8, row.LastPosition.Value);
        json.WriteString("id"u8, row.Name.Value);
        json.WriteStartArray("changes"u8);
        json.WriteStartObject();
        json.WriteString("rev"u8, ServedRevision.Of(row));
        json.WriteEndObject();
        json.WriteEndArray();
        if (row.Facts.IsRemoved)
        {
            json.WriteBoolean("deleted"u8, true);
        }

        json.Flush();
    }

    /// <summary>One server-sent event: a row of the log.</summary>
    internal void Event(LogRow row, bool isQuoted)
    {
        Text("id: "u8);
        Number(row.Position.Value);
        Text("\nevent: "u8);
        Text(Encoding.UTF8.GetBytes(row.Type));
        Text("\ndata: "u8);
        var json = Json;
        json.WriteStartObject();
        json.WriteNumber("position"u8, row.Position.Value);
        json.WriteString("type"u8, row.Type);
        json.WriteString("package"u8, row.Package.Value);
        json.WriteNumber("generation"u8, row.Generation);
        if (row.At is { } at)
        {
            json.WriteString("at"u8, at.UtcDateTime);
        }

        json.WriteString("seenAt"u8, row.SeenAt.UtcDateTime);
        if (row.UpstreamRev is { } rev)
        {
            json.WriteString("rev"u8, rev);
        }

        json.WritePropertyName("payload"u8);
        var isDamaged = row.Damage is not null;
        if (isQuoted && !isDamaged && row.Payload is { } payload && !(isDamaged = !IsObject(payload.Span)))
        {
            json.WriteRawValue(payload.Span, skipInputValidation: true);
        }
        else
        {
            json.WriteNullValue();
        }

        if (isDamaged)
        {
            json.WriteString("error"u8, "damaged"u8);
        }
        else if (!isQuoted)
        {
            json.WriteString("error"u8, "hidden"u8);
        }

        json.WriteEndObject();
        json.Flush();
        Text("\n\n"u8);
    }

    private static bool IsObject(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            return reader.Read() && reader.TokenType == JsonTokenType.StartObject && reader.TrySkip() && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>One row of <c>_all_docs</c>, but for its closing brace: see <see cref="End"/>.</summary>
    internal void BeginDocument(PackageName name, string rev, bool isRemoved)
    {
        var json = Json;
        json.WriteStartObject();
        json.WriteString("id"u8, name.Value);
        json.WriteString("key"u8, name.Value);
        json.WriteStartObject("value"u8);
        json.WriteString("rev"u8, rev);
        if (isRemoved)
        {
            // CouchDB says it so of a deleted document that is asked for by its key.
            json.WriteBoolean("deleted"u8, true);
        }

        json.WriteEndObject();
        json.Flush();
    }

    /// <summary>Ends a row.</summary>
    internal void End() => Text("}"u8);

    /// <summary>A document, or a piece of one, without the line ends between its tokens: a row is one line. The texts in JSON have no line ends.</summary>
    internal void Document(ReadOnlySpan<byte> json)
    {
        for (int end; (end = json.IndexOfAny((byte)'\r', (byte)'\n')) >= 0; json = json[(end + 1)..])
        {
            output.Write(json[..end]);
        }

        output.Write(json);
    }

    /// <summary>Part of a document in a file, as <see cref="Document"/>, a piece at a time.</summary>
    internal async Task DocumentAsync(SpilledRendition file, long start, long end)
    {
        var piece = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            while (start < end)
            {
                var read = await file.ReadAsync(start, piece.AsMemory(0, (int)Math.Min(piece.Length, end - start)), cancellationToken);
                Document(piece.AsSpan(0, read));
                start += read;
                if (read == 0 || (await output.FlushAsync(cancellationToken)).IsCompleted)
                {
                    return;
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }
    }

    /// <summary>A key of <c>_all_docs</c> that names nothing.</summary>
    internal void Missing(string key)
    {
        var json = Json;
        json.WriteStartObject();
        json.WriteString("key"u8, key);
        json.WriteString("error"u8, "not_found"u8);
        json.WriteEndObject();
        json.Flush();
    }

    /// <summary>Any object, by the writer's own means.</summary>
    internal void Object(Action<Utf8JsonWriter> write)
    {
        var json = Json;
        write(json);
        json.Flush();
    }

    /// <summary>Sends the gathered bytes, if they are enough or <paramref name="isUrgent"/>. False if the client has left.</summary>
    internal async ValueTask<bool> FlushAsync(bool isUrgent)
    {
        if (!isUrgent && output.UnflushedBytes < FlushAtBytes)
        {
            return true;
        }

        var result = await output.FlushAsync(cancellationToken);
        return !result.IsCompleted;
    }
}
