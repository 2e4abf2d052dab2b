using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace NpmMirror.ScaleBenchmarks;

/// <summary>
/// A registry of made-up packages, each told by its number: the same seed gives the same names, revisions and packuments in every process.
/// Hashes do not compress, all else does, as in real packuments: the stored document has 500 bytes on average.
/// </summary>
internal sealed class SyntheticRegistry(int packages, int seed)
{
    private const string Digits = "0123456789abcdefghijklmnopqrstuvwxyz";

    private static readonly string[] Words =
    [
        "ab", "acme", "apex", "axis", "bee", "bit", "box", "cell", "cli", "core", "css", "cube", "data", "dom", "echo", "edge", "eslint", "event", "flow", "fmt",
        "gate", "glob", "grid", "hash", "hub", "icon", "io", "iris", "jest", "json", "kit", "lab", "leaf", "lint", "loop", "map", "mesh", "mini", "net", "node",
        "nova", "orb", "path", "pipe", "pixel", "plug", "query", "queue", "react", "ring", "sass", "seed", "shell", "sort", "sync", "tape", "tiny", "type", "ui", "util",
        "vue", "wave", "web", "wire", "xml", "yarn", "zen", "zip",
    ];

    /// <summary>How many packages there are.</summary>
    internal int Packages { get; } = packages;

    /// <summary>The name of package number <paramref name="i"/>: plain, scoped or legacy with capitals; spread over the alphabet whatever the number.</summary>
    internal string NameOf(int i)
    {
        var random = new Stream64(seed, i, 0);
        var (first, second, kind) = (Word(ref random), Word(ref random), random.Next(10));
        return kind switch
        {
            < 3 => $"@{first}{random.Next(2000)}/{second}-{Base36(i)}",
            < 4 => $"{char.ToUpperInvariant(first[0])}{first[1..]}{Base36(i)}",
            < 6 => $"{first}_{second}{Base36(i)}",
            < 7 => $"{first}.{Base36(i)}",
            _ => $"{first}-{second}-{Word(ref random)}-{Base36(i)}",
        };
    }

    /// <summary>The <c>_rev</c> of an edition of a package, counted from 1.</summary>
    internal string RevOf(int i, int edition)
    {
        var random = new Stream64(seed, i, edition);
        return string.Create(CultureInfo.InvariantCulture, $"{edition}-{random.NextBits():x16}{random.NextBits():x16}");
    }

    /// <summary>The packument of an edition of a package; each edition has one version more.</summary>
    internal byte[] DocumentOf(int i, int edition)
    {
        var random = new Stream64(seed, i, 0);
        var name = NameOf(i);
        var versions = edition + (random.Next(4) / 2);
        var json = new StringBuilder(2048);
        json.Append(CultureInfo.InvariantCulture, $"{{\"_id\":\"{name}\",\"_rev\":\"{RevOf(i, edition)}\",\"name\":\"{name}\",\"description\":\"{Word(ref random)} {Word(ref random)} for {Word(ref random)}\",");
        json.Append(CultureInfo.InvariantCulture, $"\"dist-tags\":{{\"latest\":\"1.{versions - 1}.0\"}},\"versions\":{{");
        for (var v = 0; v < versions; v++)
        {
            json.Append(v == 0 ? "" : ",").Append(CultureInfo.InvariantCulture, $"\"1.{v}.0\":{{\"name\":\"{name}\",\"version\":\"1.{v}.0\",\"license\":\"MIT\",\"main\":\"index.js\",");
            json.Append(CultureInfo.InvariantCulture, $"\"dependencies\":{{\"{Word(ref random)}\":\"^{random.Next(9)}.{random.Next(20)}.0\"}},\"dist\":{{\"integrity\":\"sha512-{HashOf(i, v)}\",");
            json.Append(CultureInfo.InvariantCulture, $"\"tarball\":\"https://registry.example.org/{name}/-/{name[(name.IndexOf('/', StringComparison.Ordinal) + 1)..]}-1.{v}.0.tgz\"}}}}");
        }

        json.Append("},\"time\":{\"created\":\"2020-01-01T00:00:00.000Z\"");
        var day = new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddMinutes(random.Next(2_000_000));
        for (var v = 0; v < versions; v++)
        {
            json.Append(CultureInfo.InvariantCulture, $",\"1.{v}.0\":\"{day.AddDays(v * 30):yyyy-MM-ddTHH:mm:ss.fffZ}\"");
        }

        json.Append(CultureInfo.InvariantCulture, $",\"modified\":\"{day.AddDays(versions * 30):yyyy-MM-ddTHH:mm:ss.fffZ}\"}},\"maintainers\":[{{\"name\":\"{Word(ref random)}{random.Next(1000)}\"}}],\"license\":\"MIT\"}}");
        return Encoding.UTF8.GetBytes(json.ToString());
    }

    private static string Word(ref Stream64 random) => Words[random.Next(Words.Length)];

    // Unique by itself: no two numbers share it.
    private static string Base36(int i)
    {
        Span<char> text = stackalloc char[8];
        var at = text.Length;
        do
        {
            text[--at] = Digits[i % 36];
            i /= 36;
        }
        while (i > 0);

        return new string(text[at..]);
    }

    private string HashOf(int i, int version)
    {
        var random = new Stream64(seed, i, 1_000 + version);
        Span<byte> hash = stackalloc byte[64];
        for (var at = 0; at < hash.Length; at += sizeof(ulong))
        {
            BitConverter.TryWriteBytes(hash[at..], random.NextBits());
        }

        return Base64Url.EncodeToString(hash).Replace('-', '+').Replace('_', '/') + "==";
    }

    /// <summary>SplitMix64: starts for nothing, which a generator made anew for each package must.</summary>
    private struct Stream64(int seed, int i, int stream)
    {
        private ulong _state = ((ulong)(uint)seed << 32) + ((ulong)(uint)i * 0x9E3779B97F4A7C15UL) + ((ulong)(uint)stream * 0xD1B54A32D192ED03UL);

        internal ulong NextBits()
        {
            var z = _state += 0x9E3779B97F4A7C15UL;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
            return z ^ (z >> 31);
        }

        internal int Next(int below) => (int)(NextBits() % (ulong)below);
    }
}
