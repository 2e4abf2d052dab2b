using System.Text.Json;
using NpmMirror.Packuments;

namespace NpmMirror.Benchmarks;

/// <summary>The measured actions that are more than one call.</summary>
internal static class Benchmark
{
    public static void Scan(ReadOnlySpan<byte> document)
    {
        var reader = new Utf8JsonReader(document);
        while (reader.Read())
        {
        }
    }

    public static void Compress(Stream coder, byte[] document)
    {
        using (coder)
        {
            coder.Write(document);
        }
    }

    /// <summary>What a real change costs: one version's manifest and the rest of the document differ.</summary>
    public static Action<int, byte[]> PrepareDiff(Corpus corpus, PackumentIndex[] indexes)
    {
        var changed = new (byte[] Document, PackumentIndex Index)[indexes.Length];
        for (var i = 0; i < changed.Length; i++)
        {
            var (name, document) = corpus.Packages[i];
            var copy = document.ToArray();
            if (indexes[i].Versions.Count > 0)
            {
                // Another last letter in the last version's description, where it has one.
                var at = copy.AsSpan().LastIndexOf("\"description\": \""u8);
                if (at >= 0)
                {
                    copy[at + 16] = copy[at + 16] == (byte)'x' ? (byte)'y' : copy[at + 16] is (byte)'"' or (byte)'\\' or > 127 ? copy[at + 16] : (byte)'x';
                }
            }

            var withRev = new byte[copy.Length + 12];
            "{\"_rev\":\"1\","u8.CopyTo(withRev);
            var origin = copy.AsSpan().IndexOf((byte)'{') + 1;
            copy.AsSpan(origin).CopyTo(withRev.AsSpan(12));
            var exact = withRev.AsSpan(0, 12 + copy.Length - origin).ToArray();
            changed[i] = (exact, PackumentReader.Read(exact, name).Index);
        }

        return (at, document) => PackumentDiff.Compare(indexes[at], document, changed[at].Index, changed[at].Document);
    }
}
