using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>The packument's <c>time</c>: when which version was published, <c>created</c>, <c>modified</c> and sometimes <c>unpublished</c>.</summary>
internal static class TimeMap
{
    /// <summary>Every entry and where its value lies, in document order; empty if <c>time</c> is missing or no object.</summary>
    public static IReadOnlyDictionary<string, Slice> Read(PackumentIndex index, ReadOnlySpan<byte> document) => JsonMembers.Read(document, index.Time);

    /// <summary>The date that a value of <c>time</c> holds, or null.</summary>
    public static DateTimeOffset? DateOf(ReadOnlySpan<byte> value)
    {
        if (value.Length < 2 || value[0] != '"')
        {
            return null;
        }

        // No date is that long, in any escaping.
        var text = value[1..^1];
        if (text.Length > 256)
        {
            return null;
        }

        if (text.Contains((byte)'\\'))
        {
            text = System.Text.Encoding.UTF8.GetBytes(JsonText.Unescape(text));
        }

        return IsoDate.TryParse(text, out var date) ? date : null;
    }

    /// <summary>The newest date in it, of any entry; null if there is none.</summary>
    internal static DateTimeOffset? Newest(ReadOnlySpan<byte> document, Slice time)
    {
        DateTimeOffset? newest = null;
        foreach (var (_, value) in JsonMembers.Read(document, time))
        {
            if (DateOf(value.Of(document)) is { } date && (newest is null || date > newest))
            {
                newest = date;
            }
        }

        return newest;
    }

    /// <summary>Gives the entries their publish dates and tells the three that belong to the package as a whole.</summary>
    internal static (DateTimeOffset? Created, DateTimeOffset? Modified, bool IsUnpublished) Apply(ReadOnlySpan<byte> document, Slice time, Dictionary<string, int> versions, Span<VersionEntry> entries)
    {
        DateTimeOffset? created = null, modified = null;
        var isUnpublished = false;
        if (time.IsEmpty || document[time.Offset] != '{')
        {
            return default;
        }

        var lookup = versions.GetAlternateLookup<ReadOnlySpan<char>>();
        Span<char> buffer = stackalloc char[256];
        var reader = new Utf8JsonReader(time.Of(document), JsonText.ReaderOptions);
        reader.Read();
        for (var count = 1; reader.Read() && reader.TokenType == JsonTokenType.PropertyName; count++)
        {
            JsonMembers.Check(count, ref reader);
            scoped ReadOnlySpan<char> key;
            if (reader.ValueIsEscaped || reader.ValueSpan.Length > buffer.Length)
            {
                key = JsonText.Read(ref reader);
            }
            else
            {
                key = buffer[..System.Text.Encoding.UTF8.GetChars(reader.ValueSpan, buffer)];
            }

            var value = JsonMembers.ReadValue(ref reader, time.Offset).Of(document);
            var date = DateOf(value);
            switch (key)
            {
                case "created": created = date; break;
                case "modified": modified = date; break;
                case "unpublished": isUnpublished = value[0] == '{'; break;
            }

            if (lookup.TryGetValue(key, out var at))
            {
                entries[at] = entries[at] with { PublishedAt = date };
            }
        }

        return (created, modified, isUnpublished);
    }
}
