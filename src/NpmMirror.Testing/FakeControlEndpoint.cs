using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace NpmMirror.Testing;

/// <summary>
/// Lets another process change this registry: <c>POST /-/fake/{what}</c> with a JSON object. Its requests are neither noted nor disturbed.
/// </summary>
internal sealed class FakeControlEndpoint(FakeExchange exchange)
{
    public const string Prefix = "/-/fake/";

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    private readonly FakeRegistry _registry = exchange.Registry;

    public async Task AnswerAsync(CancellationToken cancellationToken)
    {
        try
        {
            await exchange.SendJsonAsync(200, Answer(exchange.Request.Path[Prefix.Length..]), cancellationToken);
        }
        catch (Exception exception) when (exception is InvalidOperationException or JsonException or ArgumentException or NullReferenceException)
        {
            await exchange.SendJsonAsync(400, new JsonObject { ["error"] = exception.Message }, cancellationToken);
        }
    }

    private JsonNode Answer(string what)
    {
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

        var body = JsonNode.Parse(exchange.Request.Body.Span) as JsonObject ?? throw new ArgumentException("The body is no JSON object.");
        switch (what)
        {
            case "rules":
                _registry.Knobs.Add(body.Deserialize<FakeRule>(Options)!);
                return new JsonObject();
            case "knobs":
                Turn(_registry.Knobs, body);
                return new JsonObject();
            case "mishaps":
                Turn(_registry.Knobs.Mishaps, body);
                return Counts(_registry.Knobs.Mishaps);
            case "life":
                for (var changes = body["changes"]?.GetValue<int>() ?? 1; changes > 0; changes--)
                {
                    _registry.Life.Change();
                }

                return new JsonObject { ["changes"] = _registry.Life.ChangeCount, ["removals"] = _registry.Life.RemovalCount };
            case "reset":
                _registry.ResetFeed(body["databaseId"]?.GetValue<string>() ?? _registry.Knobs.DatabaseId, body["first"]?.GetValue<long>() ?? 1);
                return State();
            case "jump":
                _registry.JumpFeed(body["by"]?.GetValue<long>() ?? 1_000_000);
                return State();
        }

        var name = Text(body, "name");
        return Told(what switch
        {
            "publish" => Publish(name, Text(body, "version"), body),
            "deprecate" => _registry.Deprecate(name, Text(body, "version"), Text(body, "message")),
            "tag" => _registry.Tag(name, Text(body, "tag"), Text(body, "version")),
            "remove-tag" => _registry.RemoveTag(name, Text(body, "tag")),
            "maintainers" => _registry.SetMaintainers(name, body["maintainers"].Deserialize<string[]>() ?? []),
            "unpublish-version" => _registry.UnpublishVersion(name, Text(body, "version")),
            "unpublish" => _registry.Unpublish(name),
            "delete" => _registry.Delete(name),
            "take-down" => _registry.TakeDown(name),
            "touch" => _registry.Touch(name),
            "republish" => _registry.Republish(name, Text(body, "version")),
            _ => throw new ArgumentException($"There is no control {what}."),
        });
    }

    private FakeChange Publish(string name, string version, JsonObject body)
    {
        void Configure(FakeVersion added)
        {
            added.PaddingBytes = body["paddingBytes"]?.GetValue<int>() ?? 0;
            foreach (var (dependency, range) in body["dependencies"] as JsonObject ?? [])
            {
                added.Dependencies[dependency] = range!.GetValue<string>();
            }
        }

        return _registry.Database.Find(name) is { IsDeleted: false }
            ? _registry.PublishVersion(name, version, Configure)
            : _registry.Publish(new FakePackage(name).Version(version, Configure));
    }

    private static JsonObject Counts(FakeMishaps mishaps) => new()
    {
        ["lateRows"] = mishaps.LateRowCount,
        ["lostRows"] = mishaps.LostRowCount,
        ["lostDeletions"] = mishaps.LostDeletionCount,
        ["troubles"] = mishaps.TroubleCount,
    };

    private static void Turn(object knobs, JsonObject body)
    {
        foreach (var (name, value) in body)
        {
            var knob = knobs.GetType().GetProperty(name, BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase);
            if (knob?.SetMethod is null)
            {
                throw new ArgumentException($"There is no knob {name}.");
            }

            knob.SetValue(knobs, value.Deserialize(knob.PropertyType, Options));
        }
    }

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

    private static string Text(JsonObject body, string member) => body[member]?.GetValue<string>() ?? throw new ArgumentException($"Say {member}.");
}
