using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore.Operations;

/// <summary>
/// Answers <c>{m}/</c>, the database as CouchDB describes one; <c>{m}/-/log/head</c>, the end of the log, to be noted; and <c>{m}/-/log/{position}</c>, with which
/// a reader of an earlier end checks that the past before it is unchanged.
/// </summary>
internal sealed class InfoEndpoint(IMetadataStore store, MirrorInstance instance)
{
    internal async Task InfoAsync(HttpContext context, string mount)
    {
        var head = await store.Log.ReadHeadAsync(context.RequestAborted);
        var counts = await store.CountAsync(context.RequestAborted);
        var id = await instance.IdAsync(context.RequestAborted);
        await WriteAsync(context, json =>
        {
            json.WriteString("db_name", mount.Length == 0 ? "registry" : mount[(mount.LastIndexOf('/') + 1)..]);
            json.WriteString("engine", "npm-mirror");
            json.WriteNumber("doc_count", counts.Packages);
            json.WriteNumber("doc_del_count", counts.Removed);
            json.WriteNumber("update_seq", head.Position.Value);
            json.WriteNumber("committed_update_seq", head.Position.Value);
            json.WriteNumber("purge_seq", 0);
            json.WriteBoolean("compact_running", false);
            // As CouchDB since version 2: the followers follow and cloudant-follow do not accept a database without it.
            json.WriteString("instance_start_time", "0");
            if (id is not null)
            {
                json.WriteString("uuid", id);
            }

            json.WriteString("log_head", head.Hash.Hex);
        });
    }

    internal async Task LogHeadAsync(HttpContext context)
    {
        await WriteAsync(context, await store.Log.ReadHeadAsync(context.RequestAborted));
    }

    internal async Task LogAtAsync(HttpContext context, LogPosition position)
    {
        await foreach (var row in store.Log.ReadLogAsync(new LogPosition(position.Value - 1), context.RequestAborted))
        {
            if (row.Position == position)
            {
                await WriteAsync(context, new LogHead(row.Position, row.Hash));
                return;
            }

            break;
        }

        await RegistryErrors.WriteAsync(context, StatusCodes.Status404NotFound, $"The log has no row at position {position.Value}.");
    }

    private static Task WriteAsync(HttpContext context, LogHead row) => WriteAsync(context, json =>
    {
        json.WriteNumber("position", row.Position.Value);
        json.WriteString("hash", row.Hash.Hex);
    });

    private static Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> members)
    {
        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body, WireJson.Written))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        return RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, body.WrittenMemory);
    }
}
