using System.Runtime.InteropServices;
using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>
/// Whether two JSON values mean the same: objects in any key order, the last of equal keys counts, texts as JavaScript reads them, numbers
/// by their text. The built-in comparison refuses half a surrogate pair and takes time that is quadratic in a hostile object.
/// </summary>
internal static class JsonEquality
{
    // Parsing a value costs some twenty times its size. No real value comes near this; a larger one is taken as changed.
    private const int SizeMaxBytes = 8 * 1024 * 1024;

    /// <summary>Compares two slices; two absent values are equal.</summary>
    public static bool AreEqual(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        if (left.SequenceEqual(right))
        {
            return true;
        }

        if (left.IsEmpty || right.IsEmpty || left[0] != right[0] || Math.Max(left.Length, right.Length) > SizeMaxBytes)
        {
            return false;
        }

        switch (left[0])
        {
            case (byte)'"':
                return AreTextsEqual(left, right);
            case (byte)'{' or (byte)'[':
                using (var leftDocument = Parse(left))
                using (var rightDocument = Parse(right))
                {
                    return AreEqual(leftDocument.RootElement, rightDocument.RootElement);
                }

            default:
                return false;
        }
    }

    private static JsonDocument Parse(ReadOnlySpan<byte> value)
    {
        var reader = new Utf8JsonReader(value, JsonText.ReaderOptions);
        return JsonDocument.ParseValue(ref reader);
    }

    private static bool AreEqual(JsonElement left, JsonElement right)
    {
        if (left.ValueKind != right.ValueKind)
        {
            return false;
        }

        return left.ValueKind switch
        {
            JsonValueKind.Object => AreObjectsEqual(left, right),
            JsonValueKind.Array => AreArraysEqual(left, right),
            JsonValueKind.String => AreTextsEqual(JsonMarshal.GetRawUtf8Value(left), JsonMarshal.GetRawUtf8Value(right)),
            JsonValueKind.Number => JsonMarshal.GetRawUtf8Value(left).SequenceEqual(JsonMarshal.GetRawUtf8Value(right)),
            _ => true,
        };
    }

    private static bool AreObjectsEqual(JsonElement left, JsonElement right)
    {
        var leftMembers = MembersOf(left);
        var rightMembers = MembersOf(right);
        if (leftMembers.Count != rightMembers.Count)
        {
            return false;
        }

        foreach (var (name, value) in leftMembers)
        {
            if (!rightMembers.TryGetValue(name, out var other) || !AreEqual(value, other))
            {
                return false;
            }
        }

        return true;
    }

    private static Dictionary<string, JsonElement> MembersOf(JsonElement element)
    {
        var members = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var member in element.EnumerateObject())
        {
            members[JsonText.Decode(JsonMarshal.GetRawUtf8PropertyName(member))] = member.Value;
        }

        return members;
    }

    private static bool AreArraysEqual(JsonElement left, JsonElement right)
    {
        if (left.GetArrayLength() != right.GetArrayLength())
        {
            return false;
        }

        using var others = right.EnumerateArray().GetEnumerator();
        foreach (var element in left.EnumerateArray())
        {
            others.MoveNext();
            if (!AreEqual(element, others.Current))
            {
                return false;
            }
        }

        return true;
    }

    private static bool AreTextsEqual(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right) =>
        left.SequenceEqual(right) || string.Equals(JsonText.Read(left), JsonText.Read(right), StringComparison.Ordinal);
}
