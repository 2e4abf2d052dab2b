using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>Finds the members of an object that lies in a document which was read before.</summary>
internal static class JsonMembers
{
    /// <summary>The most members an object may have that is taken apart, equal keys counted: real ones have some ten thousands; this bounds time and memory.</summary>
    public const int CountMax = 1_000_000;

    /// <summary>The longest name of a member of such an object.</summary>
    public const int NameSizeMaxBytes = 64 * 1024;

    /// <summary>The members and where their values lie, in document order; of equal keys the last one's value. Empty if the slice holds no object.</summary>
    public static OrderedDictionary<string, Slice> Read(ReadOnlySpan<byte> document, Slice slice)
    {
        var members = new OrderedDictionary<string, Slice>(StringComparer.Ordinal);
        if (slice.IsEmpty || document[slice.Offset] != '{')
        {
            return members;
        }

        var reader = new Utf8JsonReader(slice.Of(document), JsonText.ReaderOptions);
        reader.Read();
        for (var count = 1; reader.Read() && reader.TokenType == JsonTokenType.PropertyName; count++)
        {
            Check(count, ref reader);
            var name = JsonText.Read(ref reader);
            members[name] = ReadValue(ref reader, slice.Offset);
        }

        return members;
    }

    /// <summary>
    /// The members of the document's top-level object without walking through <paramref name="versions"/>, nearly all of its bytes; that
    /// member is among them.
    /// </summary>
    public static OrderedDictionary<string, Slice> ReadTop(ReadOnlySpan<byte> document, Slice versions)
    {
        // Before the object there can only be a byte order mark and blanks.
        var origin = document.IndexOf((byte)'{');
        if (versions.IsEmpty)
        {
            return Read(document, new Slice(origin, document.Length - origin));
        }

        var members = new OrderedDictionary<string, Slice>(StringComparer.Ordinal);
        var before = new Utf8JsonReader(document[origin..versions.Offset], isFinalBlock: false, new JsonReaderState(JsonText.ReaderOptions));
        before.Read();
        var name = "";
        while (before.Read())
        {
            name = JsonText.Read(ref before);
            var valueStart = before;
            if (!valueStart.Read())
            {
                break;
            }

            members[name] = ReadValue(ref before, origin);
        }

        members[name] = versions;

        // The reader gets a cheap value in the place of the versions.
        var between = new Utf8JsonReader("null"u8, isFinalBlock: false, before.CurrentState);
        between.Read();
        var afterOrigin = versions.Offset + versions.Length;
        var after = new Utf8JsonReader(document[afterOrigin..], isFinalBlock: true, between.CurrentState);
        while (after.Read() && after.TokenType == JsonTokenType.PropertyName)
        {
            name = JsonText.Read(ref after);
            members[name] = ReadValue(ref after, afterOrigin);
        }

        return members;
    }

    /// <summary>The value of one member, of equal ones the last one's; empty if there is none or the slice holds no object.</summary>
    public static Slice Find(ReadOnlySpan<byte> document, Slice slice, ReadOnlySpan<byte> name)
    {
        Slice found = default;
        var members = new JsonMemberReader(document, slice);
        while (members.MoveNext())
        {
            if (JsonText.Is(members.Name, name))
            {
                found = members.Value;
            }
        }

        return found;
    }

    /// <summary>Moves the reader over the value after a property name, and returns where the value lies.</summary>
    public static Slice ReadValue(ref Utf8JsonReader reader, int origin)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.TrySkip();
        return new Slice(origin + start, (int)reader.BytesConsumed - start);
    }

    /// <summary>Refuses an object with more members, or longer names, than can be real.</summary>
    /// <exception cref="MirrorException">There are too many, or one is too long.</exception>
    public static void Check(int count, ref Utf8JsonReader reader)
    {
        if (count > CountMax)
        {
            throw new MirrorException(MirrorFault.UpstreamMalformed, $"The upstream's packument has an object with more than {CountMax:N0} members; kept what is stored.");
        }

        if (reader.ValueSpan.Length > NameSizeMaxBytes)
        {
            throw new MirrorException(MirrorFault.UpstreamMalformed, $"The upstream's packument has a member whose name is longer than {NameSizeMaxBytes:N0} bytes; kept what is stored.");
        }
    }
}
