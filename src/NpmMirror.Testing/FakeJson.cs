using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary>JSON as the registry writes it: compact, non-ASCII text as it is, times in UTC with milliseconds.</summary>
internal static class FakeJson
{
    private static readonly JsonSerializerOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Real documents nest deeper than the default of 64.
    private static readonly JsonDocumentOptions Deep = new() { MaxDepth = 2_000 };

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public static byte[] Bytes(JsonNode node) => Encoding.UTF8.GetBytes(node.ToJsonString(Options));

    public static string Text(JsonNode node) => node.ToJsonString(Options);

    /// <summary>The object in the bytes, or null when they are not one that can be edited (doubled keys, broken JSON).</summary>
    public static JsonObject? TryParse(ReadOnlySpan<byte> json)
    {
        try
        {
            if (json.StartsWith("\uFEFF"u8))
            {
                json = json[3..];
            }

            var root = JsonNode.Parse(json, documentOptions: Deep) as JsonObject;
            _ = root?.Count;
            return root;
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException or InvalidOperationException)
        {
            return null;
        }
    }

    public static JsonObject Map(IEnumerable<KeyValuePair<string, string>> pairs)
    {
        var map = new JsonObject();
        foreach (var (key, value) in pairs)
        {
            map[key] = value;
        }

        return map;
    }

    public static JsonArray List(IEnumerable<string> values) => new([.. values.Select(value => (JsonNode)value)]);
}
