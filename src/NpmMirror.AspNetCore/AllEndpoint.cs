using Microsoft.AspNetCore.Http;
using NpmMirror.Mirroring;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore;

/// <summary>Answers <c>{m}/-/all</c>, the list that registries gave before they had feeds: from the indexes alone, no document is read.</summary>
internal sealed class AllEndpoint(IMetadataStore store, DocumentRepair repair, TimeProvider time)
{
    internal async Task HandleAsync(HttpContext context)
    {
        using var body = FeedBody.Of(context, "application/json", time);
        body.Text("{\"_updated\":"u8);
        body.Number(time.GetUtcNow().ToUnixTimeMilliseconds());
        await foreach (var row in store.ListAsync(null, isRemoved: false, context.RequestAborted))
        {
            var index = await repair.IndexOfAsync(row, context.RequestAborted);
            body.Text(",\n"u8);
            Write(body, row, index);
            if (!await body.FlushAsync(isUrgent: false))
            {
                return;
            }
        }

        body.Text("}\n"u8);
        await body.FlushAsync(isUrgent: true);
    }

    private static void Write(FeedBody body, PackageRow row, PackumentIndex index)
    {
        body.Name(row.Name.Value);
        body.Object(json =>
        {
            json.WriteStartObject();
            json.WriteString("name"u8, row.Name.Value);
            json.WriteStartObject("dist-tags"u8);
            foreach (var (tag, version) in index.DistTags)
            {
                json.WriteString(tag, version);
            }

            json.WriteEndObject();
            if (row.Facts.ModifiedAt is { } modified)
            {
                json.WriteStartObject("time"u8);
                json.WriteString("modified"u8, modified.UtcDateTime);
                json.WriteEndObject();
            }

            json.WriteStartObject("versions"u8);
            if (index.DistTags.TryGetValue("latest", out var latest))
            {
                json.WriteString(latest, "latest"u8);
            }

            json.WriteEndObject();
            json.WriteEndObject();
        });
    }
}
