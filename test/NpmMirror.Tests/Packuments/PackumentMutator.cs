using System.Text;
using System.Text.Json;

namespace NpmMirror.Tests.Packuments;

/// <summary>
/// Makes hostile packuments (or pages of feeds) out of good ones. Most stay JSON (other keys, other types, keys twice or escaped, half surrogate pairs, deep
/// nesting), because only those get past the parser; the rest is cut, spliced or spoilt byte by byte. The same random numbers give the same
/// document.
/// </summary>
internal sealed class PackumentMutator
{
    private static readonly string[] Keys =
    [
        "name", "_id", "_rev", "versions", "dist-tags", "time", "modified", "created", "unpublished", "maintainers", "dist", "tarball", "attestations", "url",
        "integrity", "scripts", "install", "license", "keywords", "__proto__", "constructor", "1.0.0", "0.0.1-security", "", "latest", "hasInstallScript", "libc",
        "results", "rows", "seq", "id", "changes", "rev", "deleted", "last_seq", "pending", "value",
    ];

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-0", "1e999", "-1.5E-7", "123456789012345678901234567890", "\"\"", "\"x\"", "\"\\ud800\"", "\"\\udc00\\ud83d\\ude00\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"", "[]", "{}", "[null]", "{\"a\":1}", "{\"url\":\"x\"}", "{\"tarball\":\"http://127.0.0.1/x-1.0.0.tgz\"}", "\"2011-01-01T00:00:00.000Z\"",
        "\"2011-01-01T00:00:00.123456+01:30\"", "\"2011-02-30\"", "\"1.0.0\"", "\"0.0.1-security\"", "{\"unpublished\":{}}", "{\"dist\":{\"tarball\":\"y\"}}", "{\"1.0.0\":{}}", "{\"1.0.0\":null}",
        "[{\"rev\":\"9-x\"}]", "[5,\"g1AAAA\"]", "\"],\\n\\\"last_seq\\\":\"", "\"\\u0000\"",
        "\"\u00e4\u65e5\ud83d\ude00\u2028\"", " \t\r\n[ { } , [ ] ]\n",
    ];

    private static readonly byte[][] Bytes =
    [
        [(byte)'"'], [(byte)'{'], [(byte)'}'], [(byte)'['], [(byte)']'], [(byte)','], [(byte)':'], [(byte)'\\'], [0], [0xFF], [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xE2, 0x82],
        [0xEF, 0xBB, 0xBF], [0xF0, 0x9F, 0x98], [0x7F], [0x1F], "\\u"u8.ToArray(), "\\ud800"u8.ToArray(), "\\u0000"u8.ToArray(), "//"u8.ToArray(), "NaN"u8.ToArray(), "01"u8.ToArray(), "1."u8.ToArray(),
    ];

    private readonly Seed[] _seeds;

    public PackumentMutator(IEnumerable<(PackageName Name, byte[] Document)> seeds) =>
        _seeds = [.. seeds.Select(seed => new Seed(seed.Name, seed.Document, FindMembers(seed.Document)))];

    /// <summary>One more document, and the seed it was made of.</summary>
    public (PackageName Name, byte[] Seed, byte[] Document) Next(Random random)
    {
        // Small seeds often, large ones now and then.
        var seed = _seeds[random.Next(_seeds.Length)];
        for (var i = 0; i < 2; i++)
        {
            var other = _seeds[random.Next(_seeds.Length)];
            seed = other.Document.Length < seed.Document.Length ? other : seed;
        }

        var document = seed.Document;
        if (random.Next(10) > 0)
        {
            document = Edit(seed, random);
        }

        if (random.Next(3) == 0)
        {
            for (var i = random.Next(3); i >= 0; i--)
            {
                document = Spoil(document, random);
            }
        }

        return (seed.Name, seed.Document, document);
    }

    private static byte[] Edit(Seed seed, Random random)
    {
        var edits = new List<(int Start, int End, byte[] Replacement)>();
        for (var i = random.Next(1, 6); i > 0 && seed.Members.Length > 0; i--)
        {
            // Members near the top matter more than the many dependencies below.
            Member one = seed.Members[random.Next(seed.Members.Length)], two = seed.Members[random.Next(seed.Members.Length)];
            edits.Add(Edit(seed, one.Depth <= two.Depth ? one : two, random));
        }

        edits.Sort((left, right) => left.Start.CompareTo(right.Start));
        using var edited = new MemoryStream(seed.Document.Length + 256);
        var at = 0;
        foreach (var (start, end, replacement) in edits)
        {
            if (start >= at)
            {
                edited.Write(seed.Document, at, start - at);
                edited.Write(replacement);
                at = end;
            }
        }

        edited.Write(seed.Document, at, seed.Document.Length - at);
        return edited.ToArray();
    }

    private static (int Start, int End, byte[] Replacement) Edit(Seed seed, Member member, Random random)
    {
        var key = Encoding.Latin1.GetString(seed.Document, member.KeyStart, member.KeyEnd - member.KeyStart);
        return random.Next(9) switch
        {
            0 => (member.KeyStart, member.KeyEnd, Latin1(EscapeKey(key, random))),
            1 => (member.KeyStart, member.KeyEnd, Latin1(JsonKey(Pick(Keys, random)))),
            2 => (member.KeyStart, member.KeyEnd, Latin1(key.Insert(1, random.Next(2) == 0 ? "\\ud8ff" : "\\udc12"))),
            3 => (member.KeyStart, member.KeyStart, [.. Latin1(key + ":"), .. Value(seed, random), (byte)',']),
            4 => (member.ValueEnd, member.ValueEnd, [.. Latin1("," + (random.Next(2) == 0 ? key : EscapeKey(key, random)) + ":"), .. Value(seed, random)]),
            5 => (member.ValueEnd, member.ValueEnd, [.. Latin1("," + JsonKey(Pick(Keys, random)) + ":"), .. Value(seed, random)]),
            6 => (member.ValueEnd, member.ValueEnd, Latin1(new string(' ', random.Next(20)))),
            _ => (member.ValueStart, member.ValueEnd, Value(seed, random)),
        };
    }

    private static byte[] Value(Seed seed, Random random)
    {
        switch (random.Next(20))
        {
            case 0:
                var depth = Pick([3, 64, 65, 990, 998, 999, 1000, 1001, 3000], random);
                return random.Next(2) == 0
                    ? Latin1(new string('[', depth) + new string(']', depth))
                    : Latin1(string.Concat(Enumerable.Repeat("{\"a\":", depth)) + "1" + new string('}', depth));
            case 1:
                return Latin1('"' + new string('x', random.Next(40_000)) + '"');
            case < 8:
                var member = seed.Members[random.Next(seed.Members.Length)];
                return seed.Document[member.ValueStart..member.ValueEnd];
            default:
                return Encoding.UTF8.GetBytes(Pick(Values, random));
        }
    }

    private static byte[] Spoil(byte[] document, Random random)
    {
        var at = random.Next(document.Length + 1);
        var until = Math.Min(document.Length, at + random.Next(1, random.Next(2) == 0 ? 4 : 400));
        return random.Next(7) switch
        {
            0 => document[..at],
            1 => [.. document[..at], .. document[until..]],
            2 => [.. document[..until], .. document[at..until], .. document[until..]],
            3 => [0xEF, 0xBB, 0xBF, .. document],
            4 => at < document.Length ? [.. document[..at], (byte)random.Next(256), .. document[(at + 1)..]] : document,
            _ => [.. document[..at], .. Pick(Bytes, random), .. document[at..]],
        };
    }

    private static string EscapeKey(string key, Random random)
    {
        var escaped = new StringBuilder();
        for (var i = 0; i < key.Length; i++)
        {
            if (key[i] == '\\')
            {
                escaped.Append(key[i++]).Append(key[i]);
            }
            else if (char.IsAsciiLetterOrDigit(key[i]) && (i < 2 || key[i - 2] != '\\') && !key.Contains("\\u", StringComparison.Ordinal) && random.Next(2) == 0)
            {
                escaped.Append("\\u").Append(((int)key[i]).ToString(random.Next(2) == 0 ? "x4" : "X4", System.Globalization.CultureInfo.InvariantCulture));
            }
            else
            {
                escaped.Append(key[i]);
            }
        }

        return escaped.ToString();
    }

    private static string JsonKey(string key) => '"' + key + '"';

    private static T Pick<T>(T[] choices, Random random) => choices[random.Next(choices.Length)];

    private static byte[] Latin1(string text) => Encoding.Latin1.GetBytes(text);

    private static Member[] FindMembers(byte[] document)
    {
        var members = new List<Member>();
        var origin = document.AsSpan().IndexOf((byte)'{');
        var reader = new Utf8JsonReader(document.AsSpan(origin), new JsonReaderOptions { MaxDepth = 1_000, AllowMultipleValues = true });

        // A feed of lines is several values: members are found in the first.
        while (reader.Read() && (reader.TokenType != JsonTokenType.EndObject || reader.CurrentDepth > 0))
        {
            if (reader.TokenType == JsonTokenType.PropertyName)
            {
                var keyStart = origin + (int)reader.TokenStartIndex;
                var keyEnd = keyStart + reader.ValueSpan.Length + 2;
                var value = reader;
                value.Read();
                var valueStart = origin + (int)value.TokenStartIndex;
                value.Skip();
                members.Add(new Member(keyStart, keyEnd, valueStart, origin + (int)value.BytesConsumed, reader.CurrentDepth));
            }
        }

        return [.. members];
    }

    private readonly record struct Member(int KeyStart, int KeyEnd, int ValueStart, int ValueEnd, int Depth);

    private sealed record Seed(PackageName Name, byte[] Document, Member[] Members);
}
