using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using NpmMirror.Options;

namespace NpmMirror.Testing;

/// <summary>One setting of a fake registry for the command line or a control route; an invalid value is told with a valid one.</summary>
internal sealed class FakeSetting
{
    private readonly PropertyInfo _property;

    private FakeSetting(PropertyInfo property) => _property = property;

    /// <summary>Its name in JSON: <c>lateRowsMax</c>.</summary>
    public string Name => JsonNamingPolicy.CamelCase.ConvertName(_property.Name);

    /// <summary>Its flag: <c>--late-rows-max</c>.</summary>
    public string Flag => "--" + JsonNamingPolicy.KebabCaseLower.ConvertName(_property.Name);

    /// <summary>Its valid values, as the end of a sentence.</summary>
    public string Wanted => Type switch
    {
        var type when type == typeof(bool) => "true or false",
        var type when type == typeof(int) || type == typeof(long) => "a whole number",
        var type when type == typeof(double) => "a number from 0 to 1",
        var type when type == typeof(TimeSpan) => DurationText.Wanted,
        { IsEnum: true } type => string.Join(" or ", Enum.GetNames(type)),
        var type when type == typeof(string) => "a text",
        _ => "an object of texts",
    };

    private Type Type => Nullable.GetUnderlyingType(_property.PropertyType) ?? _property.PropertyType;

    /// <summary>All that can be set of a type.</summary>
    public static IReadOnlyList<FakeSetting> Of<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties)] T>() =>
        [.. typeof(T).GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.SetMethod is not null && property.PropertyType != typeof(FakeGate)).Select(property => new FakeSetting(property))];

    /// <summary>Sets all members of an object.</summary>
    /// <exception cref="ArgumentException">There is no such thing, or it takes something else.</exception>
    public static void SetAll<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties)] T>(T target, JsonObject members)
        where T : class
    {
        var settings = Of<T>();
        foreach (var (name, value) in members)
        {
            var setting = settings.FirstOrDefault(one => one.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                ?? throw new ArgumentException($"There is no “{name}”; there are {string.Join(", ", settings.Select(one => one.Name))}.");
            setting.Set(target, value);
        }
    }

    /// <summary>Sets it from a command line.</summary>
    public bool TrySet(object target, string text)
    {
        JsonNode? value = text;
        if (Type == typeof(double) || Type == typeof(int) || Type == typeof(long))
        {
            value = double.TryParse(text, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? JsonNode.Parse(number.ToString("R", CultureInfo.InvariantCulture)) : text;
        }

        try
        {
            Set(target, value);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private void Set(object target, JsonNode? value)
    {
        try
        {
            // A header of seconds is a text, but it is usually written as a number.
            var given = Type == typeof(string) && value?.GetValueKind() == JsonValueKind.Number ? JsonValue.Create(value.ToJsonString()) : value;
            var read = given.Deserialize(FakeSettingJson.Default.GetTypeInfo(_property.PropertyType)!);
            if (read is not double chance || chance is >= 0 and <= 1)
            {
                _property.SetValue(target, read);
                return;
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            // Told below, in words of the user.
        }

        throw new ArgumentException($"{Name} is {value?.ToJsonString() ?? "null"}; give {Wanted}.");
    }
}

/// <summary>The types that settings have.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    NumberHandling = JsonNumberHandling.Strict,
    Converters = [typeof(DurationConverter), typeof(Words<FakeFeedDialect>), typeof(Words<FakeFraming>), typeof(Words<FakeSequenceStyle>)])]
[JsonSerializable(typeof(bool))]
[JsonSerializable(typeof(double))]
[JsonSerializable(typeof(FakeFeedDialect))]
[JsonSerializable(typeof(FakeFraming?))]
[JsonSerializable(typeof(FakeSequenceStyle))]
[JsonSerializable(typeof(int?))]
[JsonSerializable(typeof(IReadOnlyDictionary<string, string>))]
[JsonSerializable(typeof(long?))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(TimeSpan?))]
internal sealed partial class FakeSettingJson : JsonSerializerContext
{
    internal sealed class DurationConverter : JsonConverter<TimeSpan>
    {
        public override TimeSpan Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.String && DurationText.Parse(reader.GetString()!) is { } duration ? duration : throw new JsonException("No duration.");

        public override void Write(Utf8JsonWriter writer, TimeSpan value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
    }

    internal sealed class Words<T>() : JsonStringEnumConverter<T>(namingPolicy: null, allowIntegerValues: false)
        where T : struct, Enum;
}
