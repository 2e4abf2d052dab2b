using System.Buffers;
using System.IO.Pipelines;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.Registry;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore;

/// <summary>Writes rows of feeds and lists as they come: flushed when enough is gathered, never held whole.</summary>
internal sealed class FeedBody : IDisposable
{
    private const int FlushAtBytes = 32 * 1024;

    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly PipeWriter _output;
    private readonly Utf8JsonWriter _json;
    private readonly CancellationToken _cancellationToken;

    internal FeedBody(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.ContentType = "application/json";
        headers.CacheControl = "no-cache";
        headers.AccessControlAllowOrigin = "*";
        _output = context.Response.BodyWriter;
        _json = new Utf8JsonWriter(_output, Options);
        _cancellationToken = context.RequestAborted;
    }

    public void Dispose() => _json.Dispose();

    internal void Text(ReadOnlySpan<byte> text) => _output.Write(text);

    internal void Number(long number)
    {
        _json.Reset(_output);
        _json.WriteNumberValue(number);
        _json.Flush();
    }

    /// <summary>A member's name and its colon.</summary>
    internal void Name(string name)
    {
        _json.Reset(_output);
        _json.WriteStringValue(name);
        _json.Flush();
        Text(":"u8);
    }

    /// <summary>One row of <c>_changes</c>, but for its closing brace: see <see cref="End"/>.</summary>
    internal void BeginChange(PackageRow row)
    {
        _json.Reset(_output);
        _json.WriteStartObject();
        _json.WriteNumber("seq"u8, row.LastPosition.Value);
        _json.WriteString("id"u8, row.Name.Value);
        _json.WriteStartArray("changes"u8);
        _json.WriteStartObject();
        _json.WriteString("rev"u8, ServedRevision.Of(row));
        _json.WriteEndObject();
        _json.WriteEndArray();
        if (row.Facts.IsRemoved)
        {
            _json.WriteBoolean("deleted"u8, true);
        }

        _json.Flush();
    }

    /// <summary>One row of <c>_all_docs</c>, but for its closing brace: see <see cref="End"/>.</summary>
    internal void BeginDocument(PackageName name, string rev)
    {
        _json.Reset(_output);
        _json.WriteStartObject();
        _json.WriteString("id"u8, name.Value);
        _json.WriteString("key"u8, name.Value);
        _json.WriteStartObject("value"u8);
        _json.WriteString("rev"u8, rev);
        _json.WriteEndObject();
        _json.Flush();
    }

    /// <summary>Ends a row.</summary>
    internal void End() => Text("}"u8);

    /// <summary>The member <c>doc</c> of a row, from JSON that is passed on as it is.</summary>
    internal void Document(ReadOnlySpan<byte> json)
    {
        Text(",\"doc\":"u8);
        Text(json);
    }

    /// <summary>As <see cref="Document"/>, from a file that is passed on a piece at a time.</summary>
    internal Task DocumentAsync(SpilledRendition json)
    {
        Text(",\"doc\":"u8);
        return RenditionAnswer.CopyAsync(json, _output, _cancellationToken);
    }

    /// <summary>A key of <c>_all_docs</c> that names nothing.</summary>
    internal void Missing(string key)
    {
        _json.Reset(_output);
        _json.WriteStartObject();
        _json.WriteString("key"u8, key);
        _json.WriteString("error"u8, "not_found"u8);
        _json.WriteEndObject();
        _json.Flush();
    }

    /// <summary>Any object, by the writer's own means.</summary>
    internal void Object(Action<Utf8JsonWriter> write)
    {
        _json.Reset(_output);
        write(_json);
        _json.Flush();
    }

    /// <summary>Sends what was gathered, when it is enough or <paramref name="isUrgent"/>. False when the client has left.</summary>
    internal async ValueTask<bool> FlushAsync(bool isUrgent)
    {
        if (!isUrgent && _output.UnflushedBytes < FlushAtBytes)
        {
            return true;
        }

        var result = await _output.FlushAsync(_cancellationToken);
        return !result.IsCompleted;
    }
}
