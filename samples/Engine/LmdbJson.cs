using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror;

namespace Engine;

/// <summary>Rows are JSON: times as milliseconds, names and digests as text.</summary>
internal static class LmdbJson
{
    internal static readonly JsonSerializerOptions Options = new()
    {
        IgnoreReadOnlyProperties = true,
        Converters =
        {
            new As<DateTimeOffset, long>(time => time.ToUnixTimeMilliseconds(), DateTimeOffset.FromUnixTimeMilliseconds),
            new As<LogPosition, long>(position => position.Value, value => new LogPosition(value)),
            new As<PackageName, string>(name => name.Value, PackageName.Parse),
            new As<Digest, string>(digest => digest.Hex, Digest.FromHex),
        },
    };

    private sealed class As<T, TJson>(Func<T, TJson> write, Func<TJson, T> read) : JsonConverter<T>
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => read(JsonSerializer.Deserialize<TJson>(ref reader)!);

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => JsonSerializer.Serialize(writer, write(value));
    }
}
