using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Syncing;

namespace NpmMirror.AspNetCore.Packages;

/// <summary>Answers <c>{m}/-/package/{pkg}/dist-tags</c>.</summary>
internal sealed class DistTagsEndpoint(PackageFinder packages, DocumentRepair repair)
{
    internal async Task HandleAsync(HttpContext context, PackageName name)
    {
        var (package, absent) = await packages.FindAsync(name, context.RequestAborted);
        if (package is null)
        {
            await RegistryErrors.WriteAsync(context, absent!);
            return;
        }

        var index = await repair.IndexOfAsync(package.Row, context.RequestAborted);
        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body, WireJson.Written))
        {
            json.WriteStartObject();
            foreach (var (tag, version) in index.DistTags)
            {
                json.WriteString(tag, version);
            }

            json.WriteEndObject();
        }

        await RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, body.WrittenMemory);
    }
}
