using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>How a follower wants to hear of changes.</summary>
internal enum ChangesFeed
{
    /// <summary>The rows so far, at once.</summary>
    Normal,

    /// <summary>The rows so far, or if there are none, the next change.</summary>
    Longpoll,

    /// <summary>The rows so far and those to come, a line each.</summary>
    Continuous,
}

/// <summary>A request for <c>_changes</c>, as CouchDB spells it.</summary>
internal sealed record ChangesQuery
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);
    private static readonly TimeSpan DefaultWait = TimeSpan.FromSeconds(60);

    // nano posts a longpoll with an empty body and a time-out of a minute, and its changesReader.get ends with the first empty answer: a reader of the
    // present rows would wait a minute for its end. An answer before the time-out is allowed, and few clients ask like that.
    private static readonly TimeSpan PostedWaitMax = TimeSpan.FromSeconds(10);

    /// <summary>Rows after this position; null means the head.</summary>
    internal long? Since { get; init; } = 0;

    /// <summary>How many rows at most.</summary>
    internal long Limit { get; private init; } = long.MaxValue;

    /// <summary>Which rows; null for all.</summary>
    internal ChangesFilter? Filter { get; private init; }

    internal bool IsDescending { get; private init; }

    internal ChangesFeed Feed { get; private init; }

    internal bool IncludesDocs { get; private init; }

    /// <summary>How long to wait for a change; null for as long as the client stays, which heartbeats find out.</summary>
    internal TimeSpan? Timeout { get; private init; } = DefaultWait;

    /// <summary>How often to send an empty line while waiting.</summary>
    internal TimeSpan Heartbeat { get; private init; } = DefaultWait;

    /// <summary>Reads the query; null with the fault when it cannot be served.</summary>
    internal static ChangesQuery? Parse(IQueryCollection query, string? lastEventId, JsonElement? body, out string fault)
    {
        fault = "";
        foreach (var unknown in (ReadOnlySpan<string>)["view", "skip", "keys", "selector"])
        {
            if (query.ContainsKey(unknown))
            {
                fault = $"This mirror's _changes does not know {unknown} in the query; it knows filter=_doc_ids with doc_ids, and a selector in the body of a POST.";
                return null;
            }
        }

        ChangesFilter? filter;
        try
        {
            filter = ChangesFilter.Parse(query, body);
        }
        catch (MirrorException refused)
        {
            fault = refused.Message;
            return null;
        }

        if (!TryFeed(query["feed"].ToString(), out var feed))
        {
            fault = "feed must be normal, longpoll or continuous.";
            return null;
        }

        var since = First(query["since"].ToString(), lastEventId, query["last-event-id"].ToString());
        long? position = 0;
        if (since == "now")
        {
            position = null;
        }
        else if (since.Length > 0)
        {
            if (!long.TryParse(since, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                fault = "since must be a number that this mirror gave, or now.";
                return null;
            }

            position = number;
        }

        if (!TryNumber(query, "limit", long.MaxValue, out var limit) || !TryNumber(query, "timeout", -1, out var timeout))
        {
            fault = "limit and timeout must be numbers.";
            return null;
        }

        var heartbeat = query["heartbeat"].ToString();
        long heartbeatMs = 0;
        if (heartbeat is not ("" or "true" or "false") && !long.TryParse(heartbeat, NumberStyles.None, CultureInfo.InvariantCulture, out heartbeatMs))
        {
            fault = "heartbeat must be a number of milliseconds, or true.";
            return null;
        }

        var beats = heartbeat is not ("" or "false");
        var wait = timeout >= 0 ? Bounded(timeout) : beats || feed == ChangesFeed.Continuous ? (TimeSpan?)null : DefaultWait;
        var isReaderToTheEnd = body is not null && filter is null && feed == ChangesFeed.Longpoll && !beats;
        return new ChangesQuery
        {
            Since = position,
            // As CouchDB does: no limit below one.
            Limit = Math.Max(limit, 1),
            Filter = filter,
            IsDescending = query["descending"].ToString() is "true",
            Feed = feed,
            IncludesDocs = query["include_docs"].ToString() is "true",
            Timeout = isReaderToTheEnd && wait > PostedWaitMax ? PostedWaitMax : wait,
            Heartbeat = heartbeatMs > 0 ? TimeSpan.FromMilliseconds(Math.Clamp(heartbeatMs, 100, (long)LongestWait.TotalMilliseconds)) : DefaultWait,
        };
    }

    private static TimeSpan Bounded(long milliseconds) => TimeSpan.FromMilliseconds(Math.Min(milliseconds, LongestWait.TotalMilliseconds));

    private static string First(params ReadOnlySpan<string?> values)
    {
        foreach (var value in values)
        {
            if (!string.IsNullOrEmpty(value))
            {
                return value;
            }
        }

        return "";
    }

    private static bool TryFeed(string text, out ChangesFeed feed)
    {
        feed = text switch
        {
            "longpoll" => ChangesFeed.Longpoll,
            "continuous" => ChangesFeed.Continuous,
            _ => ChangesFeed.Normal,
        };
        return text is "" or "normal" or "longpoll" or "continuous";
    }

    private static bool TryNumber(IQueryCollection query, string name, long absent, out long number)
    {
        var text = query[name].ToString();
        number = absent;
        return text.Length == 0 || long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }
}
