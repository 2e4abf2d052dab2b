using System.Collections.Frozen;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>Which rows of <c>_changes</c> a follower wants: those of named documents, or those that a selector selects.</summary>
internal sealed class ChangesFilter
{
    private readonly Func<PackageRow, bool> _matches;

    private ChangesFilter(IReadOnlyList<string> ids)
    {
        var wanted = ids.ToFrozenSet(StringComparer.Ordinal);
        _matches = row => wanted.Contains(row.Name.Value);
        Ids = wanted;
    }

    private ChangesFilter(Func<PackageRow, bool> matches) => _matches = matches;

    /// <summary>The documents that are named; null if a selector decides.</summary>
    internal IReadOnlyCollection<string>? Ids { get; }

    /// <summary>Whether the row is wanted.</summary>
    internal bool Matches(PackageRow row) => _matches(row);

    /// <summary>Reads it from a query and a body; null if every row is wanted.</summary>
    /// <exception cref="MirrorException">It cannot be served.</exception>
    internal static ChangesFilter? Parse(IQueryCollection query, JsonElement? body)
    {
        var (ids, selector) = body is { } given ? ReadBody(given) : (null, null);
        if (query["doc_ids"].ToString() is { Length: > 0 } text)
        {
            ids = ids is null ? ReadIds(text) : throw AskedBody.Refused("doc_ids is in the query and in the body; give it once.");
        }

        return (query["filter"].ToString(), ids, selector) switch
        {
            (_, not null, not null) => throw AskedBody.Refused("Give doc_ids or selector, not both."),
            ("" or "_doc_ids", { } named, _) => new ChangesFilter(named),
            ("" or "_selector", _, { } selected) => new ChangesFilter(selected),
            ("", _, _) => null,
            ("_doc_ids", _, _) => throw AskedBody.Refused("filter=_doc_ids needs doc_ids: a JSON array of ids, in the query or in the body."),
            ("_selector", _, _) => throw AskedBody.Refused("filter=_selector needs a selector in the body of a POST."),
            var (other, _, _) => throw AskedBody.Refused($"This mirror's _changes does not know the filter {MirrorException.Quote(other)}; it knows _doc_ids and _selector."),
        };
    }

    private static (IReadOnlyList<string>? Ids, Func<PackageRow, bool>? Selector) ReadBody(JsonElement body)
    {
        if (body.ValueKind == JsonValueKind.Array)
        {
            // As the package changes-stream sends them.
            return (AskedBody.Ids(body, "doc_ids"), null);
        }

        IReadOnlyList<string>? ids = null;
        Func<PackageRow, bool>? selector = null;
        foreach (var member in body.ValueKind == JsonValueKind.Object ? body.EnumerateObject() : throw AskedBody.Refused("The body must be a JSON object with doc_ids, keys or selector."))
        {
            switch (member.Name)
            {
                case "doc_ids" or "keys" when ids is null:
                    ids = AskedBody.Ids(member.Value, member.Name);
                    break;
                case "selector" when selector is null:
                    selector = RowSelector.Parse(member.Value);
                    break;
                default:
                    throw AskedBody.Refused($"The body has {MirrorException.Quote(member.Name)}; it may have one of doc_ids, keys and selector. Everything else belongs in the query.");
            }
        }

        return (ids, selector);
    }

    private static IReadOnlyList<string> ReadIds(string text)
    {
        try
        {
            using var json = JsonDocument.Parse(text);
            return AskedBody.Ids(json.RootElement, "doc_ids");
        }
        catch (JsonException)
        {
            throw AskedBody.Refused("doc_ids must be a JSON array of ids.");
        }
    }
}
