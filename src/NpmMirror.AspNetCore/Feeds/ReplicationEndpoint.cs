using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>
/// Answers replicators (PouchDB, CouchDB) that fetch documents by their revisions: <c>POST {m}/_bulk_get</c>, and <c>{m}/{pkg}?open_revs=…</c> of older
/// ones. They get the held document, whichever revision they ask for: it is the newest, or its row is on its way to them.
/// </summary>
internal sealed class ReplicationEndpoint(IPackageTable packages, VisibilityRules visibility, ServedDocuments documents, AskedBody asked, TimeProvider time)
{
    /// <summary>Whether a packument is asked for as replicators do.</summary>
    internal static bool IsAsked(HttpContext context) => context.Request.QueryString.HasValue && context.Request.Query.ContainsKey("open_revs");

    /// <summary>Answers <c>{m}/{pkg}?open_revs=…</c>.</summary>
    internal async Task OpenRevsAsync(HttpContext context, PackageName package, string baseUrl)
    {
        if (await packages.FindAsync(package, context.RequestAborted) is not { } row)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status404NotFound, $"{package} is not held by this mirror.");
            return;
        }

        using var body = FeedBody.Of(context, "application/json", time);
        // Nothing is written before the document is there: a damaged one is told with a status of its own.
        if (!await WriteAsync(body, row, baseUrl, "["u8.ToArray(), context.RequestAborted))
        {
            body.Text("["u8);
        }

        body.Text("]\n"u8);
        await body.FlushAsync(isUrgent: true);
    }

    /// <summary>Answers <c>POST {m}/_bulk_get</c>.</summary>
    internal async Task BulkGetAsync(HttpContext context, string baseUrl)
    {
        if (await asked.ReadAsync(context, IdsOf) is not { } ids)
        {
            return;
        }

        using var body = FeedBody.Of(context, "application/json", time);
        body.Text("{\"results\":[\n"u8);
        for (var i = 0; i < ids.Count; i++)
        {
            body.Text(i == 0 ? "{\"id\":"u8 : ",\n{\"id\":"u8);
            body.String(ids[i]);
            body.Text(",\"docs\":["u8);
            if (await TryWriteAsync(body, ids[i], baseUrl, context.RequestAborted) is var (error, reason))
            {
                body.Text("{\"error\":{\"id\":"u8);
                body.String(ids[i]);
                body.Text(",\"rev\":\"undefined\",\"error\":"u8);
                body.String(error);
                body.Text(",\"reason\":"u8);
                body.String(reason);
                body.Text("}}"u8);
            }

            body.Text("]}"u8);
            if (!await body.FlushAsync(isUrgent: false))
            {
                return;
            }
        }

        body.Text("\n]}\n"u8);
        await body.FlushAsync(isUrgent: true);
    }

    /// <summary>Writes a document; or why there is none, and others go on.</summary>
    private async Task<(string Error, string Reason)?> TryWriteAsync(FeedBody body, string id, string baseUrl, CancellationToken cancellationToken)
    {
        try
        {
            return PackageName.TryParse(id, out var name) && await packages.FindAsync(name, cancellationToken) is { } row && await WriteAsync(body, row, baseUrl, [], cancellationToken)
                ? null
                : ("not_found", "missing");
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            return ("damaged", damage.Message);
        }
    }

    private async Task<bool> WriteAsync(FeedBody body, PackageRow row, string baseUrl, byte[] before, CancellationToken cancellationToken)
    {
        if (!await documents.WriteReplicatedAsync(body, before, visibility.AsShown(row), baseUrl, cancellationToken))
        {
            return false;
        }

        body.Text("}"u8);
        return true;
    }

    private static List<string> IdsOf(JsonElement? body)
    {
        var ids = new List<string>();
        foreach (var document in body is { ValueKind: JsonValueKind.Object } given && given.TryGetProperty("docs", out var docs) && docs.ValueKind == JsonValueKind.Array ? docs.EnumerateArray() : throw Misunderstood())
        {
            ids.Add(document.ValueKind == JsonValueKind.Object && document.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String && ids.Count < AskedBody.IdsMax ? AskedBody.Text(id) : throw Misunderstood());
        }

        return ids;
    }

    private static MirrorException Misunderstood() => AskedBody.Refused($"The body must be {{\"docs\": [{{\"id\": …, \"rev\": …}}, …]}}, with at most {AskedBody.IdsMax} documents.");
}
