using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>A package as the index keeps it, for answers and for making its terms again.</summary>
internal sealed record StoredPackage
{
    [JsonPropertyName("v")]
    public string? Version { get; init; }

    [JsonPropertyName("t")]
    public long? PublishedAt { get; init; }

    [JsonPropertyName("d")]
    public string? Description { get; init; }

    [JsonPropertyName("k")]
    public IReadOnlyList<string>? Keywords { get; init; }

    [JsonPropertyName("l")]
    public string? License { get; init; }

    [JsonPropertyName("a")]
    public StoredPerson? Author { get; init; }

    [JsonPropertyName("p")]
    public StoredPerson? Publisher { get; init; }

    [JsonPropertyName("m")]
    public IReadOnlyList<StoredPerson>? Maintainers { get; init; }

    [JsonPropertyName("h")]
    public string? Homepage { get; init; }

    [JsonPropertyName("r")]
    public string? Repository { get; init; }

    [JsonPropertyName("b")]
    public string? Bugs { get; init; }

    [JsonPropertyName("x")]
    public string? Deprecated { get; init; }

    [JsonPropertyName("n")]
    public IReadOnlyList<string>? Dependencies { get; init; }

    internal static byte[] Write(IndexedPackage package)
    {
        var hit = package.Hit;
        var stored = new StoredPackage
        {
            Version = hit.Version,
            PublishedAt = hit.PublishedAt?.ToUnixTimeMilliseconds(),
            Description = hit.Description,
            Keywords = hit.Keywords.Count > 0 ? hit.Keywords : null,
            License = hit.License,
            Author = Of(hit.Author),
            Publisher = Of(hit.Publisher),
            Maintainers = hit.Maintainers.Count > 0 ? [.. hit.Maintainers.Select(person => Of(person)!)] : null,
            Homepage = hit.Homepage,
            Repository = hit.Repository,
            Bugs = hit.Bugs,
            Deprecated = hit.Deprecated,
            Dependencies = package.Dependencies.Count > 0 ? package.Dependencies : null,
        };
        return JsonSerializer.SerializeToUtf8Bytes(stored, StoredJson.Default.StoredPackage);
    }

    internal static StoredPackage Read(ReadOnlySpan<byte> bytes) => JsonSerializer.Deserialize(bytes, StoredJson.Default.StoredPackage)!;

    internal SearchHit ToHit(PackageName name) => new()
    {
        Name = name,
        Version = Version,
        PublishedAt = PublishedAt is { } at ? DateTimeOffset.FromUnixTimeMilliseconds(at) : null,
        Description = Description,
        Keywords = Keywords ?? [],
        License = License,
        Author = Author?.ToPerson(),
        Publisher = Publisher?.ToPerson(),
        Maintainers = Maintainers is null ? [] : [.. Maintainers.Select(person => person.ToPerson())],
        Homepage = Homepage,
        Repository = Repository,
        Bugs = Bugs,
        Deprecated = Deprecated,
    };

    private static StoredPerson? Of(SearchPerson? person) => person is null ? null : new StoredPerson(person.Name, person.Email);
}

/// <summary>A person.</summary>
internal sealed record StoredPerson([property: JsonPropertyName("n")] string Name, [property: JsonPropertyName("e")] string? Email)
{
    internal SearchPerson ToPerson() => new(Name, Email);
}

/// <summary>The form of <see cref="StoredPackage"/>.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(StoredPackage))]
internal sealed partial class StoredJson : JsonSerializerContext;
