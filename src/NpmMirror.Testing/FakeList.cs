using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary><c>_all_docs</c>: every live id with its rev, in the collation of CouchDB, not by bytes.</summary>
internal sealed class FakeList(FakeExchange exchange)
{
    private static readonly Comparer<string> Collation = Comparer<string>.Create(Compare);

    public async Task AnswerAsync(CancellationToken cancellationToken)
    {
        var registry = exchange.Registry;
        var isDescending = exchange.Query("descending") == "true";
        var all = registry.Database.All().Where(document => !registry.Knobs.Unlisted.ContainsKey(document.Name)).OrderBy(document => document.Name, Collation).ToList();
        if (isDescending)
        {
            all.Reverse();
        }

        var sign = isDescending ? -1 : 1;
        var rows = all.AsEnumerable();
        if (Key("key") is { } key)
        {
            rows = rows.Where(document => document.Name == key);
        }

        if ((Key("startkey") ?? Key("start_key")) is { } start)
        {
            rows = rows.Where(document => sign * Compare(document.Name, start) >= 0);
        }

        if ((Key("endkey") ?? Key("end_key")) is { } end)
        {
            var isInclusive = exchange.Query("inclusive_end") != "false";
            rows = rows.Where(document => sign * Compare(document.Name, end) is var order && (order < 0 || (isInclusive && order == 0)));
        }

        if (exchange.Query("keys") is { } keys && JsonNode.Parse(keys) is JsonArray names)
        {
            var wanted = names.Select(name => name?.GetValue<string>()).ToHashSet();
            rows = rows.Where(document => wanted.Contains(document.Name));
        }

        var skip = int.TryParse(exchange.Query("skip"), out var skipped) ? skipped : 0;
        var limit = int.TryParse(exchange.Query("limit"), out var asked) ? asked : int.MaxValue;
        var hasDocuments = exchange.Query("include_docs") == "true";
        var text = new StringBuilder($"{{\"total_rows\":{registry.Knobs.DocumentCount ?? all.Count},\"offset\":{skip},\"rows\":[\n");
        var isFirst = true;
        foreach (var document in rows.Skip(skip).Take(limit))
        {
            text.Append(isFirst ? "" : ",\n").Append(FakeJson.Text(Row(document, hasDocuments)));
            isFirst = false;
        }

        text.Append("\n]}\n");
        await exchange.SendJsonAsync(200, Encoding.UTF8.GetBytes(text.ToString()), FakeFraming.Chunked, cancellationToken);
    }

    public static JsonNode? DocumentNode(FakeDocument document)
    {
        if (document.IsDeleted)
        {
            return new JsonObject { ["_id"] = document.Name, ["_rev"] = document.Revision, ["_deleted"] = true };
        }

        var packument = FakeJson.TryParse(document.Json);
        packument?["_rev"] = document.Revision;
        return packument;
    }

    private static JsonObject Row(FakeDocument document, bool hasDocument)
    {
        var row = new JsonObject { ["id"] = document.Name, ["key"] = document.Name, ["value"] = new JsonObject { ["rev"] = document.Revision } };
        if (hasDocument)
        {
            row["doc"] = DocumentNode(document);
        }

        return row;
    }

    private string? Key(string name)
    {
        if (exchange.Query(name) is not { } text)
        {
            return null;
        }

        try
        {
            return JsonNode.Parse(text) switch
            {
                null => null,
                JsonValue value when value.TryGetValue<string>(out var id) => id,
                _ => text,
            };
        }
        catch (JsonException)
        {
            return text;
        }
    }

    // Like ICU's root collation, as far as names go: signs, then digits, then letters of either case; small letters before capitals.
    private static int Compare(string left, string right)
    {
        var length = Math.Min(left.Length, right.Length);
        for (var i = 0; i < length; i++)
        {
            var order = Weight(left[i]).CompareTo(Weight(right[i]));
            if (order != 0)
            {
                return order;
            }
        }

        return left.Length != right.Length ? left.Length.CompareTo(right.Length) : -string.CompareOrdinal(left, right);
    }

    private static int Weight(char c) => char.IsAsciiLetter(c) ? 1_000 + char.ToLowerInvariant(c) : char.IsAsciiDigit(c) ? 500 + c : c < 128 ? c : 2_000 + c;
}
