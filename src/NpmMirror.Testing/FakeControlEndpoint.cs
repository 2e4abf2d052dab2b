using System.Text.Json;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary>
/// Lets another process change this registry: <c>POST /-/fake/{what}</c> with a JSON object. Its requests are neither noted nor disturbed.
/// </summary>
internal sealed class FakeControlEndpoint(FakeExchange exchange)
{
    public const string Prefix = "/-/fake/";

    /// <summary>The routes, each with the members that its body may have; null if it has none, or is read elsewhere.</summary>
    private static readonly OrderedDictionary<string, string[]?> Routes = new()
    {
        ["state"] = null,
        ["requests"] = null,
        ["document"] = null,
        ["rules"] = null,
        ["knobs"] = null,
        ["mishaps"] = null,
        ["life"] = ["changes", "perSecond"],
        ["reset"] = ["first", "databaseId"],
        ["jump"] = ["by"],
        ["publish"] = ["name", "version", "paddingBytes", "dependencies"],
        ["deprecate"] = ["name", "version", "message"],
        ["tag"] = ["name", "tag", "version"],
        ["remove-tag"] = ["name", "tag"],
        ["maintainers"] = ["name", "maintainers"],
        ["unpublish-version"] = ["name", "version"],
        ["unpublish"] = ["name"],
        ["delete"] = ["name"],
        ["take-down"] = ["name"],
        ["touch"] = ["name"],
        ["republish"] = ["name", "version"],
    };

    private readonly FakeRegistry _registry = exchange.Registry;

    public async Task AnswerAsync(CancellationToken cancellationToken)
    {
        try
        {
            await exchange.SendJsonAsync(200, Answer(exchange.Request.Path[Prefix.Length..]), cancellationToken);
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException)
        {
            await exchange.SendJsonAsync(400, new JsonObject { ["error"] = exception.Message }, cancellationToken);
        }
    }

    private JsonNode Answer(string what)
    {
        if (!Routes.TryGetValue(what, out var members))
        {
            throw new ArgumentException($"There is no control “{what}”; {Prefix} is followed by {string.Join(", ", Routes.Keys)}.");
        }

        switch (what)
        {
            case "state":
                return State();
            case "requests":
                return new JsonArray([.. _registry.Requests.All.Select(request => (JsonNode)$"{request.Method} {request.Target} {request.Status}")]);
            case "document":
                return Told(_registry.PutDocument(exchange.Query("name") ?? throw new ArgumentException("Say ?name=."), exchange.Request.Body.ToArray()));
            case "rules" when exchange.Request.Method == "DELETE":
                _registry.Knobs.Clear();
                return new JsonObject();
        }

        var body = ReadBody();
        if (members is not null && body.FirstOrDefault(member => !members.Contains(member.Key)).Key is { } unknown)
        {
            throw new ArgumentException($"There is no “{unknown}” in {what}; there are {string.Join(", ", members)}.");
        }

        switch (what)
        {
            case "rules":
                var rule = new FakeRule();
                FakeSetting.SetAll(rule, body);
                _registry.Knobs.Add(rule);
                return new JsonObject();
            case "knobs":
                FakeSetting.SetAll(_registry.Knobs, body);
                return new JsonObject();
            case "mishaps":
                FakeSetting.SetAll(_registry.Knobs.Mishaps, body);
                return Counts(_registry.Knobs.Mishaps);
            case "life":
                return Live(body);
            case "reset":
                _registry.ResetFeed(body["databaseId"] is null ? _registry.Knobs.DatabaseId : Text(body, "databaseId"), Whole(body, "first") ?? 1);
                return State();
            case "jump":
                _registry.JumpFeed(Whole(body, "by") ?? 1_000_000);
                return State();
        }

        var name = Text(body, "name");
        return Told(what switch
        {
            "publish" => Publish(name, Text(body, "version"), body),
            "deprecate" => _registry.Deprecate(name, Text(body, "version"), Text(body, "message")),
            "tag" => _registry.Tag(name, Text(body, "tag"), Text(body, "version")),
            "remove-tag" => _registry.RemoveTag(name, Text(body, "tag")),
            "maintainers" => _registry.SetMaintainers(name, [.. Texts(body, "maintainers")]),
            "unpublish-version" => _registry.UnpublishVersion(name, Text(body, "version")),
            "unpublish" => _registry.Unpublish(name),
            "delete" => Delete(name),
            "take-down" => _registry.TakeDown(name),
            "touch" => _registry.Touch(name),
            _ => _registry.Republish(name, Text(body, "version")),
        });
    }

    private FakeChange Publish(string name, string version, JsonObject body)
    {
        void Configure(FakeVersion added)
        {
            added.PaddingBytes = (int)(Whole(body, "paddingBytes") ?? 0);
            foreach (var (dependency, _) in body["dependencies"] as JsonObject ?? [])
            {
                added.Dependencies[dependency] = Text((JsonObject)body["dependencies"]!, dependency);
            }
        }

        return _registry.Database.Find(name) is { IsDeleted: false }
            ? _registry.PublishVersion(name, version, Configure)
            : _registry.Publish(new FakePackage(name).Version(version, Configure));
    }

    /// <summary>A tombstone of a package that never was would be a typing error's.</summary>
    private FakeChange Delete(string name) => _registry.Database.Find(name) is { IsDeleted: false }
        ? _registry.Delete(name)
        : throw new InvalidOperationException($"There is no package {name}; publish it first.");

    private static JsonObject Counts(FakeMishaps mishaps) => new()
    {
        ["lateRows"] = mishaps.LateRowCount,
        ["lostRows"] = mishaps.LostRowCount,
        ["lostDeletions"] = mishaps.LostDeletionCount,
        ["troubles"] = mishaps.TroubleCount,
    };

    private JsonObject State()
    {
        var (rows, head) = (_registry.Database.Everything(), _registry.Database.Head);
        return new JsonObject
        {
            ["head"] = head,
            ["requestCount"] = _registry.Requests.TotalCount,
            ["inFlight"] = _registry.InFlight,
            ["rows"] = new JsonArray([.. rows.Select(row => new JsonObject { ["name"] = row.Name, ["sequence"] = row.Sequence, ["rev"] = row.Revision, ["deleted"] = row.IsDeleted })]),
        };
    }

    private static JsonObject Told(FakeChange change) => new() { ["name"] = change.Name, ["sequence"] = change.Sequence, ["rev"] = change.Revision };

    private JsonObject Live(JsonObject body)
    {
        if (body["perSecond"] is { } perSecond)
        {
            _registry.Life.ChangesPerSecond = perSecond is JsonValue value && value.TryGetValue<double>(out var rate) && rate is >= 0 and < FakeLife.ChangesPerSecondMax
                ? rate
                : throw Wrong("perSecond", perSecond, $"a number from 0 to {FakeLife.ChangesPerSecondMax}");
        }

        for (var changes = Whole(body, "changes") ?? (body.ContainsKey("perSecond") ? 0 : 1); changes > 0; changes--)
        {
            _registry.Life.Change();
        }

        return new JsonObject { ["changes"] = _registry.Life.ChangeCount, ["removals"] = _registry.Life.RemovalCount };
    }

    private JsonObject ReadBody()
    {
        try
        {
            if (JsonNode.Parse(exchange.Request.Body.Span) is JsonObject body)
            {
                return body;
            }
        }
        catch (JsonException)
        {
            // Told below.
        }

        throw new ArgumentException("The body is no JSON object; give {} at least.");
    }

    private static string Text(JsonObject body, string member) => body[member] switch
    {
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        var other => throw Wrong(member, other, "a text"),
    };

    private static IEnumerable<string> Texts(JsonObject body, string member) => body[member] is JsonArray array && array.All(item => item?.GetValueKind() == JsonValueKind.String)
        ? array.Select(item => item!.GetValue<string>())
        : throw Wrong(member, body[member], "an array of texts");

    private static long? Whole(JsonObject body, string member) => body[member] switch
    {
        null => null,
        JsonValue value when value.TryGetValue<long>(out var number) => number,
        var other => throw Wrong(member, other, "a whole number"),
    };

    private static ArgumentException Wrong(string member, JsonNode? value, string wanted) =>
        new(value is null ? $"{member} is not there; give {wanted}." : $"{member} is {value.ToJsonString()}; give {wanted}.");
}
