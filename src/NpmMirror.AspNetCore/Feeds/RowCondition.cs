using System.Text.Json;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>A member that rows have, or may have.</summary>
internal sealed record RowMember(string Name, Func<PackageRow, RowValue?> Of)
{
    private static readonly RowMember[] All =
    [
        new("_id", row => new RowValue(row.Name.Value)),
        new("_rev", row => new RowValue(ServedRevision.Of(row))),
        new("_deleted", row => row.Facts.IsRemoved ? RowValue.True : null),
        // A deleted document has nothing but its id and revision.
        new("name", row => row.Facts.IsRemoved ? null : new RowValue(row.Name.Value)),
    ];

    /// <exception cref="MirrorException">Rows have no such member.</exception>
    internal static RowMember Find(string name) => Array.Find(All, member => member.Name == name)
        ?? throw AskedBody.Refused($"The selector asks for {MirrorException.Quote(name)}; rows of this mirror have {string.Join(", ", All.Select(member => member.Name))}, and the operators $and, $or, $nor and $not combine them.");
}

/// <summary>A value of JSON in CouchDB's order: null, false, true, numbers, texts by their bytes, lists, objects. The members of rows are texts or true.</summary>
internal readonly record struct RowValue(int Rank, string? Text)
{
    private const int TrueRank = 2;
    private const int TextRank = 4;

    internal RowValue(string text)
        : this(TextRank, text)
    {
    }

    internal static RowValue True { get; } = new(TrueRank, null);

    internal static RowValue Of(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.False => new(1, null),
        JsonValueKind.True => True,
        JsonValueKind.Number => new(3, null),
        JsonValueKind.String => new(AskedBody.Text(value)),
        JsonValueKind.Array => new(5, null),
        JsonValueKind.Object => new(6, null),
        _ => new(0, null),
    };

    internal int CompareTo(RowValue other) => Rank == TextRank && other.Rank == TextRank ? Utf8Order.Instance.Compare(Text, other.Text) : Rank.CompareTo(other.Rank);
}

/// <summary>One condition of a selector: a member, an operator, and a value to compare with.</summary>
internal static class RowCondition
{
    /// <summary>Whether a row meets the condition, or does not where it is negated.</summary>
    /// <exception cref="MirrorException">The operator is not known, or its value is of no use.</exception>
    internal static Func<PackageRow, bool> Of(RowMember member, string name, JsonElement value, bool isNegated)
    {
        if (name == "$exists")
        {
            var isWanted = value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() != isNegated : throw AskedBody.Refused("$exists must have true or false.");
            return row => member.Of(row) is not null == isWanted;
        }

        var test = Test(name, value);
        return row => member.Of(row) is { } own && test(own) != isNegated;
    }

    private static Func<RowValue, bool> Test(string name, JsonElement value)
    {
        if (name is "$in" or "$nin")
        {
            var wanted = value.ValueKind == JsonValueKind.Array && value.GetArrayLength() <= AskedBody.IdsMax
                ? value.EnumerateArray().Select(RowValue.Of).ToHashSet()
                : throw AskedBody.Refused($"{name} must have a JSON array of at most {AskedBody.IdsMax} values.");
            return name == "$in" ? wanted.Contains : own => !wanted.Contains(own);
        }

        var other = RowValue.Of(value);
        return name switch
        {
            "$eq" => own => own.CompareTo(other) == 0,
            "$ne" => own => own.CompareTo(other) != 0,
            "$lt" => own => own.CompareTo(other) < 0,
            "$lte" => own => own.CompareTo(other) <= 0,
            "$gt" => own => own.CompareTo(other) > 0,
            "$gte" => own => own.CompareTo(other) >= 0,
            "$beginsWith" when other.Text is { } start => own => own.Text?.StartsWith(start, StringComparison.Ordinal) == true,
            _ => throw AskedBody.Refused($"The selector has {MirrorException.Quote(name)}; this mirror knows $eq, $ne, $lt, $lte, $gt, $gte, $in, $nin, $beginsWith (of a text) and $exists, and $and, $or, $nor and $not."),
        };
    }
}
