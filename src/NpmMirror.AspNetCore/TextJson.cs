using System.Text.Json.Serialization;

namespace NpmMirror.AspNetCore;

/// <summary>Plain texts as JSON.</summary>
[JsonSerializable(typeof(string))]
internal sealed partial class TextJson : JsonSerializerContext;
