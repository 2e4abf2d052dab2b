using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace NpmMirror.AspNetCore;

/// <summary>A request for <c>_all_docs</c>, as CouchDB spells it. Keys are JSON strings, as there; bare text is taken as it is.</summary>
internal sealed record AllDocsQuery
{
    /// <summary>What can be asked for backwards at once: it is gathered before it is turned round.</summary>
    internal const int DescendingMax = 10_000;

    private const int KeysMax = 1_000;

    /// <summary>The lowest id, included; null for the first.</summary>
    internal string? Low { get; private init; }

    internal bool IsLowIncluded { get; private init; } = true;

    /// <summary>The highest id; null for the last.</summary>
    internal string? High { get; private init; }

    internal bool IsHighIncluded { get; private init; } = true;

    /// <summary>Exactly these ids, in this order; null for a range.</summary>
    internal IReadOnlyList<string>? Keys { get; private init; }

    internal long Limit { get; private init; }

    internal long Skip { get; private init; }

    internal bool IsDescending { get; private init; }

    internal bool IncludesDocs { get; private init; }

    /// <summary>Whether the graveyard is asked for instead of what is there (<c>removed=true</c>): a question of ours, which CouchDB does not know.</summary>
    internal bool IsRemoved { get; private init; }

    /// <summary>Reads the query; null with the fault when it cannot be served.</summary>
    internal static AllDocsQuery? Parse(IQueryCollection query, out string fault)
    {
        fault = "";
        var isDescending = query["descending"].ToString() is "true";
        if (!TryNumber(query["limit"].ToString(), isDescending ? DescendingMax : long.MaxValue, out var limit) || !TryNumber(query["skip"].ToString(), 0, out var skip))
        {
            fault = "limit and skip must be numbers.";
            return null;
        }

        if (isDescending && limit + skip > DescendingMax)
        {
            fault = $"With descending=true at most {DescendingMax} rows can be asked for at once, skipped ones included.";
            return null;
        }

        if (!TryKeys(query, out var keys))
        {
            fault = $"keys must be a JSON array of at most {KeysMax} strings.";
            return null;
        }

        var start = KeyOf(query, "startkey", "start_key");
        var end = KeyOf(query, "endkey", "end_key");
        var isEndIncluded = query["inclusive_end"].ToString() is not "false";
        return new AllDocsQuery
        {
            Low = isDescending ? end : start,
            IsLowIncluded = !isDescending || isEndIncluded,
            High = isDescending ? start : end,
            IsHighIncluded = isDescending || isEndIncluded,
            Keys = keys,
            Limit = limit,
            Skip = skip,
            IsDescending = isDescending,
            IncludesDocs = query["include_docs"].ToString() is "true",
            IsRemoved = query["removed"].ToString() is "true",
        };
    }

    private static bool TryKeys(IQueryCollection query, out IReadOnlyList<string>? keys)
    {
        keys = KeyOf(query, "key", "key") is { } key ? [key] : null;
        var text = query["keys"].ToString();
        if (text.Length == 0)
        {
            return true;
        }

        try
        {
            keys = JsonSerializer.Deserialize(text, WireJson.Default.StringArray);
            return keys is { Count: <= KeysMax } && keys.All(one => one is not null);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string? KeyOf(IQueryCollection query, string name, string otherName)
    {
        var text = query[name].ToString() is { Length: > 0 } given ? given : query[otherName].ToString();
        if (text.Length == 0)
        {
            return null;
        }

        if (text[0] != '"')
        {
            return text;
        }

        try
        {
            return JsonSerializer.Deserialize(text, WireJson.Default.String);
        }
        catch (JsonException)
        {
            return text;
        }
    }

    private static bool TryNumber(string text, long absent, out long number)
    {
        number = absent;
        return text.Length == 0 || long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }
}
