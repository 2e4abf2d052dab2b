using System.Globalization;
using System.Text;

namespace NpmMirror.ScaleBenchmarks;

/// <summary>
/// Made-up packages with texts: words as frequent as in a language (the n-th one n times rarer than the first), descriptions, keywords, people, and dependencies of which
/// a few packages have most. The same seed gives the same in every process.
/// </summary>
internal sealed class WordyRegistry(int packages, int seed)
{
    private const int VocabularySize = 60_000;
    private static readonly string[] Common = ["react", "node", "cli", "plugin", "component", "api", "typescript", "vue", "utils", "data", "test", "server", "client", "webpack", "babel", "eslint", "config", "json", "http", "parser", "css", "angular", "simple", "library", "module", "async", "stream", "express", "router", "logger"];
    private static readonly string[] Syllables = ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro", "su", "ta", "ve", "wi", "xo", "zu", "an", "el", "in", "or", "um"];
    private readonly string[] _words = Vocabulary();

    /// <summary>How many packages there are.</summary>
    internal int Packages { get; } = packages;

    /// <summary>The word of a rank, from 0.</summary>
    internal string Word(int rank) => _words[rank % VocabularySize];

    /// <summary>A word as a person would type it: a frequent one is likely.</summary>
    internal string Word(Random random) => _words[Zipf(random, VocabularySize)];

    /// <summary>A scope, of which some have many packages.</summary>
    internal string Scope(Random random) => $"{_words[Zipf(random, 5_000)]}-org";

    /// <summary>An account.</summary>
    internal string Account(Random random) => $"{_words[Zipf(random, VocabularySize)]}{Zipf(random, 50)}";

    /// <summary>The name of a package. The first ones, on which most depend, have short names.</summary>
    internal string NameOf(int i)
    {
        if (i < 2_000)
        {
            return _words[i];
        }

        var random = Stream(i, 0);
        var name = random.Next(3) == 0 ? $"{Word(random)}-{Word(random)}-{Word(random)}" : $"{Word(random)}-{Word(random)}";
        return $"{(random.Next(3) == 0 ? $"@{Scope(random)}/" : "")}{name}-{Base36(i)}";
    }

    /// <summary>The description of a package.</summary>
    internal string DescriptionOf(int i)
    {
        var random = Stream(i, 1);
        return string.Join(' ', Enumerable.Range(0, 4 + random.Next(12)).Select(at => at % 4 == 3 ? "for the" : Word(random)));
    }

    /// <summary>The packument of a package: three versions, a readme.</summary>
    internal byte[] DocumentOf(int i)
    {
        var random = Stream(i, 2);
        var (name, description) = (NameOf(i), DescriptionOf(i));
        var keywords = string.Join(',', Enumerable.Range(0, random.Next(7)).Select(_ => $"\"{Word(random)}\""));
        var people = string.Join(',', Enumerable.Range(0, 1 + random.Next(3)).Select(_ => Account(random)).Distinct().Select(one => $"{{\"name\":\"{one}\",\"email\":\"{one}@example.org\"}}"));
        var dependencies = string.Join(',', Enumerable.Range(0, random.Next(10)).Select(_ => NameOf(Zipf(random, Packages))).Distinct().Select(one => $"\"{one}\":\"^1.0.0\""));
        var major = random.Next(3);
        var deprecated = random.Next(20) == 0 ? ",\"deprecated\":\"no longer kept\"" : "";
        var json = new StringBuilder(8192);
        json.Append(CultureInfo.InvariantCulture, $"{{\"_id\":\"{name}\",\"_rev\":\"3-{i:x32}\",\"name\":\"{name}\",\"description\":\"{description}\",\"dist-tags\":{{\"latest\":\"{major}.2.0\"}},\"versions\":{{");
        for (var v = 0; v < 3; v++)
        {
            json.Append(v == 0 ? "" : ",").Append(CultureInfo.InvariantCulture, $"\"{major}.{v}.0\":{{\"name\":\"{name}\",\"version\":\"{major}.{v}.0\",\"description\":\"{description}\",\"license\":\"MIT\",\"main\":\"index.js\",\"keywords\":[{keywords}],");
            json.Append(CultureInfo.InvariantCulture, $"\"author\":{{\"name\":\"{Account(Stream(i, 3))}\"}},\"repository\":{{\"type\":\"git\",\"url\":\"git+https://code.example.org/{i}/{i}.git\"}},\"homepage\":\"https://example.org/{i}\",\"bugs\":{{\"url\":\"https://example.org/{i}/bugs\"}},");
            json.Append(CultureInfo.InvariantCulture, $"\"maintainers\":[{people}],\"_npmUser\":{{\"name\":\"{Account(Stream(i, 3))}\",\"email\":\"a@example.org\"}},\"dependencies\":{{{dependencies}}}{deprecated},\"dist\":{{\"integrity\":\"sha512-{Convert.ToBase64String(Bits(random, 64))}\",\"tarball\":\"https://registry.example.org/{name}/-/x-{major}.{v}.0.tgz\"}}}}");
        }

        var day = new DateTime(2015, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddMinutes(random.Next(5_500_000));
        json.Append(CultureInfo.InvariantCulture, $"}},\"time\":{{\"created\":\"{day:yyyy-MM-ddTHH:mm:ss.fffZ}\",\"{major}.0.0\":\"{day:yyyy-MM-ddTHH:mm:ss.fffZ}\",\"{major}.1.0\":\"{day.AddDays(9):yyyy-MM-ddTHH:mm:ss.fffZ}\",\"{major}.2.0\":\"{day.AddDays(20):yyyy-MM-ddTHH:mm:ss.fffZ}\"}},\"maintainers\":[{people}],");
        json.Append(CultureInfo.InvariantCulture, $"\"readme\":\"{string.Join(' ', Enumerable.Range(0, 150).Select(_ => Word(random)))}\"}}");
        return Encoding.UTF8.GetBytes(json.ToString());
    }

    private static string[] Vocabulary()
    {
        var words = new List<string>(Common);
        var known = new HashSet<string>(Common, StringComparer.Ordinal);
        var random = new Random(7);
        while (words.Count < VocabularySize)
        {
            var word = string.Concat(Enumerable.Range(0, 2 + random.Next(3)).Select(_ => Syllables[random.Next(Syllables.Length)]));
            if (known.Add(word))
            {
                words.Add(word);
            }
        }

        return [.. words];
    }

    /// <summary>A rank below a count, rank r with a chance that falls as 1/(r+1).</summary>
    private static int Zipf(Random random, int count) => Math.Min((int)Math.Exp(random.NextDouble() * Math.Log(count + 1)) - 1, count - 1);

    private static byte[] Bits(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private static string Base36(int i)
    {
        var text = "";
        for (; i > 0; i /= 36)
        {
            text = "0123456789abcdefghijklmnopqrstuvwxyz"[i % 36] + text;
        }

        return text;
    }

    private SplitRandom Stream(int i, int stream) => new(((ulong)(uint)seed << 40) + ((ulong)(uint)i * 4) + (ulong)(uint)stream);

    /// <summary>SplitMix64: starts for nothing, which a generator made anew for each text must.</summary>
    private sealed class SplitRandom(ulong stream) : Random
    {
        private ulong _state = stream * 0x9E3779B97F4A7C15UL;

        public override int Next(int maxValue) => (int)(NextBits() % (ulong)maxValue);

        public override double NextDouble() => (NextBits() >> 11) * (1.0 / (1UL << 53));

        public override void NextBytes(byte[] buffer)
        {
            for (var i = 0; i < buffer.Length; i++)
            {
                buffer[i] = (byte)NextBits();
            }
        }

        private ulong NextBits()
        {
            var z = _state += 0x9E3779B97F4A7C15UL;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
            return z ^ (z >> 31);
        }
    }
}
