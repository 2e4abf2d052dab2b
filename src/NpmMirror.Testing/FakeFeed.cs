using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary>The change feed and the list of everything, in the dialect that the knobs say.</summary>
internal sealed class FakeFeed(FakeExchange exchange)
{
    private const int NpmLimitMax = 10_000;
    private const int NpmLimitDefault = 1_000;
    private const string PageBegin = "{\"results\":[\n";

    private static readonly string[] NpmChangesParameters = ["since", "limit", "descending", "doc_ids", "last-event-id"];
    private static readonly string[] NpmListParameters = ["limit", "startkey", "startkey_docid", "endkey", "key", "keys", "descending", "inclusive_end"];

    private static readonly string[] MalformedRows = ["null", "42", "\"text\"", "[]", "{}", "{\"seq\":7,\"id\":12,\"changes\":[]}", "{\"seq\":{},\"id\":null}", "{\"id\":\"no-changes\\u0000\"}", "{\"seq\":1,\"id\":\"\\ud800\"}"];
    private static readonly string[] OddIds = ["_design/app", "_local/x", ".hidden", "../up", "a b", "", "@", "@/x", "@scope", "node_modules/../x", new string('x', 400), "\u0000", "%2e%2e"];

    private readonly FakeKnobs _knobs = exchange.Registry.Knobs;
    private readonly FakeDatabase _database = exchange.Registry.Database;

    /// <summary>Whether a path is the feed's.</summary>
    public static bool Serves(FakeRegistry registry, string path) => path switch
    {
        "/" or "/_changes" or "/_all_docs" or "/registry/_changes" or "/registry/_all_docs" => true,
        "/registry" or "/registry/" => registry.Database.Find("registry") is null,
        _ => false,
    };

    public Task AnswerAsync(CancellationToken cancellationToken)
    {
        var path = exchange.Request.Path;
        if (_knobs.Feed == FakeFeedDialect.None)
        {
            return path == "/" ? exchange.SendJsonAsync(200, new JsonObject(), cancellationToken) : exchange.NotFoundAsync(cancellationToken);
        }

        var isChanges = path.EndsWith("/_changes", StringComparison.Ordinal);
        if (!isChanges && !path.EndsWith("/_all_docs", StringComparison.Ordinal))
        {
            return exchange.SendJsonAsync(200, Info(), cancellationToken);
        }

        if (_knobs.Feed == FakeFeedDialect.NpmPaged && !IsAllowed(isChanges ? NpmChangesParameters : NpmListParameters))
        {
            return BadRequestAsync(cancellationToken);
        }

        return isChanges ? ChangesAsync(cancellationToken) : new FakeList(exchange).AnswerAsync(cancellationToken);
    }

    private Task BadRequestAsync(CancellationToken cancellationToken) => exchange.SendJsonAsync(400, JsonValue.Create("Bad Request"), cancellationToken);

    private JsonObject Info()
    {
        var count = _knobs.DocumentCount ?? _database.LiveCount;
        return _knobs.Feed == FakeFeedDialect.NpmPaged
            ? new JsonObject { ["db_name"] = "registry", ["engine"] = "npm-replicate", ["doc_count"] = count, ["update_seq"] = SequenceNode(_database.Head) }
            : new JsonObject
            {
                ["db_name"] = "registry",
                ["doc_count"] = count,
                ["doc_del_count"] = 0,
                ["update_seq"] = SequenceNode(_database.Head),
                ["purge_seq"] = 0,
                ["compact_running"] = false,
                ["disk_format_version"] = 8,
                ["instance_start_time"] = "0",
                ["uuid"] = _knobs.DatabaseId,
            };
    }

    private bool IsAllowed(string[] parameters) =>
        exchange.Request.Method == "GET"
        && exchange.Context.Request.Query.Keys.All(key => parameters.Contains(key))
        && (exchange.Query("limit") is not { } limit || (int.TryParse(limit, out var number) && number is >= 0 and <= NpmLimitMax))
        && exchange.Query("since") is not "now";

    private async Task ChangesAsync(CancellationToken cancellationToken)
    {
        var isPaged = _knobs.Feed == FakeFeedDialect.NpmPaged;
        var limit = int.TryParse(exchange.Query("limit"), out var asked) ? Math.Max(asked, 1) : isPaged ? NpmLimitDefault : int.MaxValue;
        if (ReadSince() is not { } since)
        {
            await BadRequestAsync(cancellationToken);
            return;
        }

        if (exchange.Query("feed") == "continuous")
        {
            await ContinuousAsync(since, limit, cancellationToken);
            return;
        }

        if (exchange.Query("feed") == "longpoll")
        {
            var body = exchange.Begin(200, FakeBody.FullType);
            await WriteAsync(body, Encoding.UTF8.GetBytes(PageBegin), cancellationToken);
            await WaitForRowsAsync(body, since, cancellationToken);
            await WriteAsync(body, Encoding.UTF8.GetBytes(PageEnd(since, limit)), cancellationToken);
            await body.EndAsync(cancellationToken);
            return;
        }

        var page = Encoding.UTF8.GetBytes(PageBegin + PageEnd(since, limit));
        if (_knobs.FeedPieceBytes == 0)
        {
            await exchange.SendJsonAsync(200, page, FakeFraming.Chunked, cancellationToken);
            return;
        }

        var pieces = exchange.Begin(200, FakeBody.FullType, page.Length);
        await WriteAsync(pieces, page, cancellationToken);
        await pieces.EndAsync(cancellationToken);
    }

    /// <summary>The rest of a page, after its opening bracket.</summary>
    private string PageEnd(long since, int limit)
    {
        var (rows, hasMore, head) = _database.RowsAfter(since, limit, exchange.Query("descending") == "true");
        var text = new StringBuilder();
        text.AppendJoin(",\n", RowTexts(rows)).Append('\n');

        var last = hasMore ? rows[^1].Sequence : Math.Max(head, since);
        text.Append("],\n\"last_seq\":").Append(FakeJson.Text(SequenceNode(last)));
        if (_knobs.Feed == FakeFeedDialect.CouchDb)
        {
            text.Append(",\"pending\":").Append(hasMore ? _database.RowsAfter(last, int.MaxValue).Rows.Count : 0);
        }

        return text.Append("}\n").ToString();
    }

    /// <summary>The rows as they are written, with random faults among them.</summary>
    private List<string> RowTexts(IReadOnlyList<FakeDocument> rows)
    {
        var texts = new List<string>(rows.Count);
        foreach (var row in rows)
        {
            texts.Add(FakeJson.Text(Row(row)));
            if (_knobs.Mishaps.Happens(_knobs.Mishaps.DuplicateRows))
            {
                texts.Add(texts[^1]);
            }
        }

        if (_knobs.Mishaps.Happens(_knobs.Mishaps.MalformedRows))
        {
            texts.Insert(_knobs.Mishaps.Next(texts.Count + 1), MalformedRows[_knobs.Mishaps.Next(MalformedRows.Length)]);
        }

        if (rows.Count > 0 && _knobs.Mishaps.Happens(_knobs.Mishaps.OddRows))
        {
            var odd = new JsonObject { ["seq"] = SequenceNode(rows[0].Sequence), ["id"] = OddIds[_knobs.Mishaps.Next(OddIds.Length)], ["changes"] = new JsonArray(new JsonObject { ["rev"] = "1-0" }) };
            texts.Insert(0, FakeJson.Text(odd));
        }

        return texts;
    }

    private async Task ContinuousAsync(long since, int limit, CancellationToken cancellationToken)
    {
        var body = exchange.Begin(200, FakeBody.FullType);
        await body.BeginAsync(cancellationToken);
        while (limit > 0 && !body.IsCut)
        {
            var (rows, _, _) = _database.RowsAfter(since, Math.Min(limit, 1_000));
            foreach (var row in rows)
            {
                await WriteAsync(body, Encoding.UTF8.GetBytes(FakeJson.Text(Row(row)) + "\n"), cancellationToken);
                since = row.Sequence;
                limit--;
            }

            if (rows.Count == 0 && !await WaitForRowsAsync(body, since, cancellationToken))
            {
                break;
            }
        }

        await WriteAsync(body, Encoding.UTF8.GetBytes($"{{\"last_seq\":{FakeJson.Text(SequenceNode(since))}}}\n"), cancellationToken);
        await body.EndAsync(cancellationToken);
    }

    /// <summary>Waits, with heartbeats when they are wanted; false when the time asked for is over, or a rule has ended the answer.</summary>
    private async Task<bool> WaitForRowsAsync(FakeBodyWriter body, long since, CancellationToken cancellationToken)
    {
        var timeout = int.TryParse(exchange.Query("timeout"), out var milliseconds) ? TimeSpan.FromMilliseconds(milliseconds) : TimeSpan.FromSeconds(60);
        var heartbeat = exchange.Query("heartbeat") switch
        {
            null => (TimeSpan?)null,
            "true" => TimeSpan.FromSeconds(60),
            var text => TimeSpan.FromMilliseconds(int.TryParse(text, out var beat) ? beat : 60_000),
        };
        while (!body.IsCut)
        {
            try
            {
                await _database.WhenChangedAsync(since).WaitAsync(heartbeat ?? timeout, exchange.Registry.Time, cancellationToken);
                if (_database.Head > since)
                {
                    return true;
                }
            }
            catch (TimeoutException)
            {
                if (heartbeat is null)
                {
                    return false;
                }

                await WriteAsync(body, "\n"u8.ToArray(), cancellationToken);
            }
        }

        return false;
    }

    private async Task WriteAsync(FakeBodyWriter body, byte[] bytes, CancellationToken cancellationToken)
    {
        var pieceBytes = _knobs.FeedPieceBytes > 0 ? _knobs.FeedPieceBytes : Math.Max(bytes.Length, 1);
        for (var at = 0; at < bytes.Length; at += pieceBytes)
        {
            await body.WriteAsync(bytes.AsMemory(at, Math.Min(pieceBytes, bytes.Length - at)), cancellationToken);
        }
    }

    private JsonObject Row(FakeDocument document)
    {
        var row = new JsonObject
        {
            ["seq"] = SequenceNode(document.Sequence),
            ["id"] = document.Name,
            ["changes"] = new JsonArray(new JsonObject { ["rev"] = document.Revision }),
        };
        if (document.IsDeleted)
        {
            row["deleted"] = true;
        }

        if (exchange.Query("include_docs") == "true")
        {
            row["doc"] = FakeList.DocumentNode(document);
        }

        return row;
    }

    private JsonNode SequenceNode(long sequence) => _knobs.Sequences switch
    {
        FakeSequenceStyle.Text => $"{sequence}-{Tail(sequence)}",
        FakeSequenceStyle.Array => new JsonArray(sequence, Tail(sequence)),
        _ => sequence,
    };

    // CouchDB puts the state of its shards after the number: a reader that cuts it off asks with an unknown sequence.
    private static string Tail(long sequence) => "g1AAAA" + Convert.ToBase64String(Encoding.ASCII.GetBytes($"shard-{sequence}")).Replace('+', '-').Replace('/', '_');

    private long? ReadSince()
    {
        var since = exchange.Query("since") ?? exchange.Context.Request.Headers["Last-Event-ID"].FirstOrDefault() ?? "0";
        if (since == "now")
        {
            return _database.Head;
        }

        if (long.TryParse(since, out var number) && (_knobs.Sequences == FakeSequenceStyle.Number || number == 0))
        {
            return number;
        }

        var head = since.TrimStart('[').Split('-', ',')[0];
        if (!long.TryParse(head, out number))
        {
            return null;
        }

        var expected = SequenceNode(number);
        if (expected is JsonArray)
        {
            try
            {
                return JsonNode.DeepEquals(JsonNode.Parse(since), expected) ? number : null;
            }
            catch (JsonException)
            {
                return null;
            }
        }

        return since == expected.ToString() ? number : null;
    }
}
