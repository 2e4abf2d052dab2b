using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary>One revision of one id: the content of a database row. Never changed, only replaced.</summary>
internal sealed class FakeDocument(string name, long sequence, string revision, Func<byte[]> load)
{
    private readonly ConcurrentDictionary<FakeForm, Lazy<FakeBody>> _bodies = new();

    public string Name { get; } = name;

    public long Sequence { get; } = sequence;

    public string Revision { get; } = revision;

    public bool IsDeleted { get; init; }

    /// <summary>True if the JSON has its own <c>_rev</c>, which is then served as it is.</summary>
    public bool HasOwnRevision { get; init; }

    /// <summary>True when the bytes are not to be kept in memory.</summary>
    public bool IsLazy { get; init; }

    /// <summary>When its row appears in the feed; <see cref="DateTimeOffset.MaxValue"/>: never.</summary>
    public DateTimeOffset AppearsAt { get; init; } = DateTimeOffset.MinValue;

    /// <summary>From when on its packument is served; before, the one before.</summary>
    public DateTimeOffset ServedFrom { get; init; } = DateTimeOffset.MinValue;

    /// <summary>The revision before, for caches that lag.</summary>
    public FakeDocument? Previous { get; set; }

    public long RevisionNumber => NumberOf(Revision);

    /// <summary>The JSON as it was put in.</summary>
    public byte[] Json => load();

    /// <summary>The JSON to edit.</summary>
    public JsonObject Parse() => FakeJson.TryParse(Json) ?? throw new InvalidOperationException($"The packument of {Name} is no JSON that can be edited; replace it whole.");

    /// <summary>The body in one form, made once and kept compressed.</summary>
    public FakeBody Body(FakeForm form) =>
        _bodies.GetOrAdd(form, static (form, document) => new Lazy<FakeBody>(() => FakeBody.Render(document, form)), this).Value;

    public static long NumberOf(string revision) => long.TryParse(revision.Split('-')[0], out var number) ? number : 0;

    /// <summary>The document's own <c>_rev</c>, or null.</summary>
    public static string? OwnRevision(ReadOnlySpan<byte> json)
    {
        try
        {
            if (json.StartsWith("\uFEFF"u8))
            {
                json = json[3..];
            }

            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 2_000 });
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 1)
                {
                    var isRevision = reader.ValueTextEquals("_rev");
                    reader.Read();
                    if (isRevision)
                    {
                        return reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
                    }

                    reader.Skip();
                }
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Broken documents are served too.
        }

        return null;
    }
}

/// <summary>Which body of a document is meant.</summary>
internal readonly record struct FakeForm(bool IsAbbreviated, bool HasRevision, bool HasModified);
