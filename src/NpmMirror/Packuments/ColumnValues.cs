using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>Reads the values of columns from JSON of any type. Everything has a bound; what is of another type than expected is left out.</summary>
internal static class ColumnValues
{
    internal const int NameMaxChars = 256;
    internal const int ListMax = 1_000;
    internal const int DependenciesMax = 5_000;
    private const int TextMaxChars = 4_096;
    private const int LicensesMax = 20;

    /// <summary>A text, shortened to a bound; null if the value is none, or empty.</summary>
    internal static string? Text(ReadOnlySpan<byte> value, int maxChars = TextMaxChars) =>
        JsonText.ReadWord(value) is not { Length: > 0 } text ? null
        : text.Length <= maxChars ? text
        : text[..(char.IsHighSurrogate(text[maxChars - 1]) ? maxChars - 1 : maxChars)];

    /// <summary>A text that something is found by: one that is too long is none.</summary>
    internal static string? Name(ReadOnlySpan<byte> value) => JsonText.ReadWord(value)?.Trim() is { Length: > 0 and <= NameMaxChars } text ? text : null;

    /// <summary>A list of texts, or one text with commas between, as npm takes both.</summary>
    internal static List<string> Keywords(ReadOnlySpan<byte> document, Slice value)
    {
        if (Text(value.Of(document)) is { } joined)
        {
            return [.. joined.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Where(word => word.Length <= NameMaxChars).Distinct(StringComparer.Ordinal).Take(ListMax)];
        }

        return Items(document, value, static (document, item) => Name(item.Of(document)));
    }

    /// <summary>The names of people: of <c>{"name": …}</c>, or the part of a text before an address.</summary>
    internal static List<string> People(ReadOnlySpan<byte> document, Slice value) => Items(document, value, static (document, item) =>
    {
        var member = JsonMembers.Find(document, item, "name"u8);
        return Name((member.IsEmpty ? item : member).Of(document)) is { } text ? BeforeAddress(text) : null;
    });

    /// <summary>A person of <c>{"name": …, "email": …}</c> or <c>"name &lt;email&gt; (url)"</c>; null if there is no name.</summary>
    internal static PersonColumns? Person(ReadOnlySpan<byte> document, Slice value)
    {
        if (Name(value.Of(document)) is { } text)
        {
            var (open, close) = (text.IndexOf('<', StringComparison.Ordinal), text.IndexOf('>', StringComparison.Ordinal));
            return BeforeAddress(text) is { } before ? new PersonColumns(before, open >= 0 && close > open + 1 ? text[(open + 1)..close].Trim() : null) : null;
        }

        return Name(JsonMembers.Find(document, value, "name"u8).Of(document)) is { } name
            ? new PersonColumns(name, Name(JsonMembers.Find(document, value, "email"u8).Of(document)))
            : null;
    }

    /// <summary>A list of people, each name once; one that is no list is one of one.</summary>
    internal static List<PersonColumns> Persons(ReadOnlySpan<byte> document, Slice value, int countMax)
    {
        var people = new OrderedDictionary<string, PersonColumns>(StringComparer.Ordinal);
        foreach (var item in Slices(document, value))
        {
            if (people.Count < countMax && Person(document, item) is { } person)
            {
                people.TryAdd(person.Name, person);
            }
        }

        return [.. people.Values];
    }

    /// <summary>An address: a text, or the <c>url</c> of an object; one that is too long is none.</summary>
    internal static string? Address(ReadOnlySpan<byte> document, Slice value, int maxChars)
    {
        var member = JsonMembers.Find(document, value, "url"u8);
        return JsonText.ReadWord((member.IsEmpty ? value : member).Of(document))?.Trim() is { Length: > 0 } text && text.Length <= maxChars ? text : null;
    }

    /// <summary>A license in any form that packages have: a text, <c>{"type": …}</c>, or a list of these, joined by " OR ".</summary>
    internal static string? License(ReadOnlySpan<byte> document, Slice license, Slice licenses)
    {
        var value = license.IsEmpty ? licenses : license;
        if (LicenseName(document, value) is { } one)
        {
            return one;
        }

        var several = Items(document, value, LicenseName);
        return several.Count == 0 ? null : string.Join(" OR ", several.Take(LicensesMax));
    }

    private static string? LicenseName(ReadOnlySpan<byte> document, Slice value)
    {
        var type = JsonMembers.Find(document, value, "type"u8);
        return Name((type.IsEmpty ? JsonMembers.Find(document, value, "name"u8) is { IsEmpty: false } name ? name : value : type).Of(document));
    }

    private static string? BeforeAddress(string person)
    {
        var end = person.AsSpan().IndexOfAny('<', '(');
        var name = (end < 0 ? person : person[..end]).Trim();
        return name.Length > 0 ? name : null;
    }

    private static List<string> Items(ReadOnlySpan<byte> document, Slice value, ItemReader read)
    {
        var items = new List<string>();
        if (value.IsEmpty || document[value.Offset] != '[')
        {
            return items;
        }

        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var slice in Slices(document, value))
        {
            if (read(document, slice) is { } item && seen.Add(item))
            {
                items.Add(item);
            }
        }

        return items;
    }

    /// <summary>Where the items of a list lie; of a value that is no list, itself.</summary>
    private static List<Slice> Slices(ReadOnlySpan<byte> document, Slice value)
    {
        var slices = new List<Slice>();
        if (value.IsEmpty || document[value.Offset] != '[')
        {
            return value.IsEmpty ? slices : [value];
        }

        var reader = new Utf8JsonReader(value.Of(document), JsonText.ReaderOptions);
        reader.Read();
        for (var count = 0; count < ListMax && reader.Read() && reader.TokenType != JsonTokenType.EndArray; count++)
        {
            var start = (int)reader.TokenStartIndex;
            reader.TrySkip();
            slices.Add(new Slice(value.Offset + start, (int)reader.BytesConsumed - start));
        }

        return slices;
    }

    private delegate string? ItemReader(ReadOnlySpan<byte> document, Slice item);
}

/// <summary>A person or account, as a document tells it.</summary>
internal readonly record struct PersonColumns(string Name, string? Email);
