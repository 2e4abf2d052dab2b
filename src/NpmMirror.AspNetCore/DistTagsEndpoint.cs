using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.Packuments;

namespace NpmMirror.AspNetCore;

/// <summary>Answers <c>{m}/-/package/{pkg}/dist-tags</c>.</summary>
internal sealed class DistTagsEndpoint(PackageFinder packages)
{
    internal async Task HandleAsync(HttpContext context, PackageName name)
    {
        var (package, absent) = await packages.FindAsync(name, context.RequestAborted);
        if (package is null)
        {
            await RegistryErrors.WriteAsync(context, absent!);
            return;
        }

        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            foreach (var (tag, version) in PackumentIndex.FromBytes(package.Row.Index.Span).DistTags)
            {
                json.WriteString(tag, version);
            }

            json.WriteEndObject();
        }

        await RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, body.WrittenMemory);
    }
}
