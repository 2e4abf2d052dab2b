using System.Text.Json;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <content>The routes below <c>/-/</c>.</content>
internal sealed partial class FakeExchange
{
    private Task AnswerApiAsync(string path, CancellationToken cancellationToken)
    {
        switch (path)
        {
            case "/-/ping":
                return SendJsonAsync(200, new JsonObject(), cancellationToken);
            case "/-/whoami":
                return SendJsonAsync(401, new JsonObject { ["error"] = "Unauthorized" }, cancellationToken);
            case "/-/npm/v1/keys" when registry.Knobs.HasKeys:
                return SendJsonAsync(200, new JsonObject { ["keys"] = new JsonArray(registry.ExpiredKey.ToJson(), registry.SigningKey.ToJson()) }, cancellationToken);
            case "/-/v1/search":
                return SearchAsync(cancellationToken);
            case "/-/all":
                return SendJsonAsync(404, new JsonObject { ["code"] = "ResourceNotFound", ["message"] = "/-/all does not exist" }, cancellationToken);
        }

        const string attestations = "/-/npm/v1/attestations/";
        if (path.StartsWith(attestations, StringComparison.Ordinal))
        {
            return registry.Attestations.TryGetValue(path[attestations.Length..], out var document) ? SendJsonAsync(200, document, cancellationToken) : NotFoundAsync(cancellationToken);
        }

        const string package = "/-/package/", tags = "/dist-tags";
        if (path.StartsWith(package, StringComparison.Ordinal) && path.EndsWith(tags, StringComparison.Ordinal))
        {
            var name = path[package.Length..^tags.Length];
            return FindServed(name) is { } document && FakeJson.TryParse(document.Json)?["dist-tags"] is { } map ? SendJsonAsync(200, map, cancellationToken) : NotFoundAsync(cancellationToken);
        }

        // A package whose name is a dash exists, and so does /-/<version>.
        return registry.Database.Find("-") is null ? NotFoundAsync(cancellationToken) : AnswerPackageAsync(path[1..], cancellationToken);
    }

    private Task AnswerPostAsync(string path, CancellationToken cancellationToken)
    {
        switch (path)
        {
            case "/-/npm/v1/security/advisories/bulk":
                return AuditAsync(cancellationToken);
            case "/-/npm/v1/security/audits" or "/-/npm/v1/security/audits/quick":
                return SendJsonAsync(410, new JsonObject { ["error"] = "This endpoint is being retired. Use the bulk advisory endpoint instead." }, cancellationToken);
            default:
                return FakeFeed.Serves(registry, path) ? new FakeFeed(this).AnswerAsync(cancellationToken) : MethodNotAllowedAsync(cancellationToken);
        }
    }

    private Task AuditAsync(CancellationToken cancellationToken)
    {
        JsonObject? asked = null;
        try
        {
            asked = JsonNode.Parse(_request.Body.Span) as JsonObject;
        }
        catch (JsonException)
        {
            // Answered below, as a body that is no object.
        }

        if (asked is null)
        {
            return SendJsonAsync(400, new JsonObject { ["error"] = "Bad Request" }, cancellationToken);
        }

        var answer = new JsonObject();
        foreach (var (name, _) in asked)
        {
            if (registry.Advisories.TryGetValue(name, out var advisories))
            {
                answer[name] = advisories.DeepClone();
            }
        }

        return SendJsonAsync(200, answer, cancellationToken);
    }

    private Task SearchAsync(CancellationToken cancellationToken)
    {
        if (Query("text") is not { } text)
        {
            return SendJsonAsync(400, new JsonObject { ["error"] = "Missing text" }, cancellationToken);
        }

        var sizeMax = int.TryParse(Query("size"), out var size) ? Math.Clamp(size, 0, 250) : 20;
        var found = registry.Database.All().Where(document => document.Name.Contains(text, StringComparison.OrdinalIgnoreCase)).OrderBy(document => document.Name, StringComparer.Ordinal).ToList();
        var objects = new JsonArray();
        foreach (var document in found.Take(sizeMax))
        {
            var packument = FakeJson.TryParse(document.Json);
            objects.Add((JsonNode)new JsonObject
            {
                ["package"] = new JsonObject
                {
                    ["name"] = document.Name,
                    ["version"] = packument?["dist-tags"]?["latest"]?.DeepClone(),
                    ["description"] = packument?["description"]?.DeepClone(),
                    ["keywords"] = packument?["keywords"]?.DeepClone() ?? new JsonArray(),
                    ["date"] = packument?["time"]?["modified"]?.DeepClone(),
                    ["links"] = new JsonObject(),
                    ["publisher"] = new JsonObject { ["username"] = "alice", ["email"] = "alice@example.org" },
                    ["maintainers"] = new JsonArray(new JsonObject { ["username"] = "alice", ["email"] = "alice@example.org" }),
                },
                ["score"] = new JsonObject { ["final"] = 1, ["detail"] = new JsonObject { ["quality"] = 1, ["popularity"] = 1, ["maintenance"] = 1 } },
                ["searchScore"] = 1,
            });
        }

        return SendJsonAsync(200, new JsonObject { ["objects"] = objects, ["total"] = found.Count, ["time"] = FakeJson.Time(registry.Time.GetUtcNow()) }, cancellationToken);
    }
}
