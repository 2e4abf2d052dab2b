using System.Text.Json;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>
/// A selector of CouchDB over the members of a row of <c>_changes</c>: <c>_id</c>, <c>_rev</c>, <c>_deleted</c> and <c>name</c>. As there, a condition on a member
/// that is missing is not met, its negation neither, and only <c>$exists</c> asks for that. Unknown members and operators are refused.
/// </summary>
internal sealed class RowSelector
{
    private const int DepthMax = 16;
    private const int TermsMax = 1_000;

    private int _terms;

    private RowSelector()
    {
    }

    /// <summary>Whether a row is selected.</summary>
    /// <exception cref="MirrorException">The selector has something that this mirror does not know.</exception>
    internal static Func<PackageRow, bool> Parse(JsonElement selector) =>
        selector.ValueKind == JsonValueKind.Object ? new RowSelector().Read(selector, null, isNegated: false, depth: 1) : throw AskedBody.Refused("selector must be a JSON object.");

    private Func<PackageRow, bool> Read(JsonElement part, RowMember? member, bool isNegated, int depth)
    {
        if (depth > DepthMax || ++_terms > TermsMax)
        {
            throw AskedBody.Refused($"The selector is deeper than {DepthMax} levels, or has more than {TermsMax} terms.");
        }

        if (part.ValueKind != JsonValueKind.Object)
        {
            return member is null ? throw AskedBody.Refused("Each part of a selector must be a JSON object.") : RowCondition.Of(member, "$eq", part, isNegated);
        }

        var terms = part.EnumerateObject().Select(term => Term(term.Name, term.Value, member, isNegated, depth + 1)).ToArray();
        return member is not null && terms.Length == 0 ? throw AskedBody.Refused($"The selector compares {member.Name} with an object, which it never is.") : Join(terms, isAll: !isNegated);
    }

    private Func<PackageRow, bool> Term(string name, JsonElement value, RowMember? member, bool isNegated, int depth) => name switch
    {
        "$and" => Join(Each(name, value, member, isNegated, depth), isAll: !isNegated),
        "$or" => Join(Each(name, value, member, isNegated, depth), isAll: isNegated),
        "$nor" => Join(Each(name, value, member, !isNegated, depth), isAll: !isNegated),
        "$not" => Read(value, member, !isNegated, depth),
        _ when member is not null => RowCondition.Of(member, name, value, isNegated),
        _ => Read(value, RowMember.Find(name), isNegated, depth),
    };

    private Func<PackageRow, bool>[] Each(string name, JsonElement list, RowMember? member, bool isNegated, int depth) =>
        list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray().Select(part => Read(part, member, isNegated, depth))] : throw AskedBody.Refused($"{name} must have a JSON array.");

    private static Func<PackageRow, bool> Join(Func<PackageRow, bool>[] terms, bool isAll) =>
        terms.Length == 1 ? terms[0]
        : isAll ? row => Array.TrueForAll(terms, term => term(row))
        : row => Array.Exists(terms, term => term(row));
}
