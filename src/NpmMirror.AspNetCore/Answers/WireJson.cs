using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>
/// How bodies are written as JSON: for programs and terminals, so that an apostrophe stays one. Nothing of it is put into HTML.
/// </summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(string))]
internal sealed partial class WireJson : JsonSerializerContext
{
    /// <summary>For bodies that are serialized whole.</summary>
    internal static WireJson Readable { get; } = new(new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <summary>For bodies that are written member by member.</summary>
    internal static JsonWriterOptions Written => new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A string as JSON has it, quotes included. Requests come back in it: angle brackets stay escaped, in case a client takes an answer for a page.</summary>
    internal static byte[] Text(string text) => Encoding.UTF8.GetBytes(
        JsonSerializer.Serialize(text, Readable.String).Replace("<", "\\u003c", StringComparison.Ordinal).Replace(">", "\\u003e", StringComparison.Ordinal));
}
