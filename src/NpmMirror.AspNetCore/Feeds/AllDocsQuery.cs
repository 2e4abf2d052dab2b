using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>A request for <c>_all_docs</c>, as CouchDB spells it. Keys are JSON strings, as there; bare text is taken as it is.</summary>
internal sealed record AllDocsQuery
{
    /// <summary>The limit of rows that are read backwards at once: they are gathered before they are turned round.</summary>
    internal const int DescendingMax = 10_000;

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

    /// <summary>Whether the end of the log is told too (<c>update_seq=true</c>).</summary>
    internal bool TellsSequence { get; private init; }

    internal bool IncludesDocs { get; private init; }

    /// <summary>Whether the graveyard is listed instead of the held packages (<c>removed=true</c>): our own option, which CouchDB does not know.</summary>
    internal bool IsRemoved { get; private init; }

    /// <summary>Reads the query; null with the fault when it cannot be served.</summary>
    internal static AllDocsQuery? Parse(IQueryCollection query, JsonElement? body, out string fault)
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

        IReadOnlyList<string>? keys;
        try
        {
            keys = KeysOf(query, body);
        }
        catch (MirrorException refused)
        {
            fault = refused.Message;
            return null;
        }

        var start = KeyOf(query, "startkey", "start_key");
        var end = KeyOf(query, "endkey", "end_key");
        var key = KeyOf(query, "key", "key");
        if ((keys, key) is (not null, not null) || ((keys is not null || key is not null) && (start is not null || end is not null)))
        {
            fault = "Give keys, key, or startkey and endkey.";
            return null;
        }

        // No document here has conflicts, so conflicts=true adds nothing; its other values are not known.
        foreach (var name in (ReadOnlySpan<string>)["conflicts", "update_seq", "descending", "include_docs", "inclusive_end", "removed"])
        {
            if (query[name].ToString() is not ("" or "true" or "false"))
            {
                fault = $"{name} must be true or false.";
                return null;
            }
        }

        (start, end) = key is null ? (start, end) : (key, key);
        var isEndIncluded = key is not null || query["inclusive_end"].ToString() is not "false";
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
            TellsSequence = query["update_seq"].ToString() is "true",
            IncludesDocs = query["include_docs"].ToString() is "true",
            IsRemoved = query["removed"].ToString() is "true",
        };
    }

    private static IReadOnlyList<string>? KeysOf(IQueryCollection query, JsonElement? body)
    {
        IReadOnlyList<string>? keys = null;
        if (query["keys"].ToString() is { Length: > 0 } text)
        {
            try
            {
                using var json = JsonDocument.Parse(text);
                keys = AskedBody.Ids(json.RootElement, "keys");
            }
            catch (JsonException)
            {
                throw AskedBody.Refused("keys must be a JSON array of ids.");
            }
        }

        if (body is not { } given)
        {
            return keys;
        }

        foreach (var member in given.ValueKind == JsonValueKind.Object ? given.EnumerateObject() : throw AskedBody.Refused("The body must be {\"keys\": [id, …]}."))
        {
            keys = member.Name == "keys" && keys is null
                ? AskedBody.Ids(member.Value, "keys")
                : throw AskedBody.Refused($"The body has {MirrorException.Quote(member.Name)}; it may have keys, once and not in the query too. Everything else belongs in the query.");
        }

        return keys;
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
