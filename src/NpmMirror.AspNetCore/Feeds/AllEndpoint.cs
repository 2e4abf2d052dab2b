using Microsoft.AspNetCore.Http;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>
/// Answers <c>{m}/-/all</c>, the list that registries had before they had feeds: the searchable members of each package, one document in memory
/// at a time.
/// </summary>
internal sealed class AllEndpoint(IPackageTable packages, PackageVisibility visibility, DocumentRepair repair, ByteBudget budget, TimeProvider time)
{
    /// <summary>The members of a document in the list, besides name, tags, time and versions; taken from the latest version if the top lacks them.</summary>
    private static readonly string[] Members = ["description", "maintainers", "author", "repository", "readmeFilename", "homepage", "keywords", "bugs", "license", "users"];

    internal async Task HandleAsync(HttpContext context)
    {
        using var body = FeedBody.Of(context, "application/json", time);
        body.Text("{\"_updated\":"u8);
        body.Number(time.GetUtcNow().ToUnixTimeMilliseconds());
        await foreach (var row in visibility.ListAsync(null, isHidden: false, context.RequestAborted))
        {
            try
            {
                await repair.ReadAsync(row.Name, () => WriteAsync(body, row, context.RequestAborted), context.RequestAborted);
            }
            catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
            {
                WriteDamaged(body, row.Name, damage.Message);
            }

            if (!await body.FlushAsync(isUrgent: false))
            {
                return;
            }
        }

        body.Text("}\n"u8);
        await body.FlushAsync(isUrgent: true);
    }

    private async ValueTask<bool> WriteAsync(FeedBody body, PackageRow row, CancellationToken cancellationToken)
    {
        if (await packages.ReadAsync(row.Name, cancellationToken) is not { Document: { Codec: not DocumentCodec.Purged } document } stored)
        {
            Write(body, row, PackumentIndex.FromBytes(row.Index.Span, row.Name), default);
            return true;
        }

        using var raw = await DocumentCodecs.DecodeAsync(row.Name, document, budget, cancellationToken);
        Write(body, stored.Row, PackumentIndex.FromBytes(stored.Row.Index.Span, stored.Row.Name), raw.Bytes);
        return true;
    }

    /// <summary>The list goes on, and tells the missing package.</summary>
    private static void WriteDamaged(FeedBody body, PackageName name, string reason)
    {
        body.Text(",\n"u8);
        body.Name(name.Value);
        body.Object(json =>
        {
            json.WriteStartObject();
            json.WriteString("name"u8, name.Value);
            json.WriteString("error"u8, "damaged"u8);
            json.WriteString("reason"u8, reason);
            json.WriteEndObject();
        });
    }

    private static void Write(FeedBody body, PackageRow row, PackumentIndex index, ReadOnlySpan<byte> document)
    {
        // A span stays out of the lambda that writes the object.
        var members = document.IsEmpty ? [] : Find(index, document);
        body.Text(",\n"u8);
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
            foreach (var (name, value) in members)
            {
                json.WritePropertyName(name);
                json.WriteRawValue(value, skipInputValidation: true);
            }

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

    private static List<(string Name, byte[] Value)> Find(PackumentIndex index, ReadOnlySpan<byte> document)
    {
        var top = JsonMembers.ReadTop(document, index.VersionsValue);
        var latest = index.DistTags.TryGetValue("latest", out var version) && index.Find(version) is { } entry ? JsonMembers.Read(document, entry.Manifest) : [];
        var found = new List<(string, byte[])>(Members.Length);
        foreach (var name in Members)
        {
            if (top.TryGetValue(name, out var value) || latest.TryGetValue(name, out value))
            {
                found.Add((name, value.Of(document).ToArray()));
            }
        }

        return found;
    }
}
