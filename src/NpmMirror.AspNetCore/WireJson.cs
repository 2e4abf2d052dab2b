using System.Text.Json.Serialization;

namespace NpmMirror.AspNetCore;

/// <summary>The small bodies that are written whole.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(RefreshAnswer))]
internal sealed partial class WireJson : JsonSerializerContext;
