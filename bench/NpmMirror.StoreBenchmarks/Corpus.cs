using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.StoreBenchmarks;

/// <summary>Packuments in a folder, one file each, named <c>encodeURIComponent(name).json</c>.</summary>
internal sealed class Corpus
{
    private readonly List<(string File, PackageName Name)> _packuments;

    internal Corpus(string folder) =>
        _packuments = [.. Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal).Select(file => (file, PackageName.Parse(Uri.UnescapeDataString(Path.GetFileNameWithoutExtension(file)))))];

    internal int Count => _packuments.Count;

    internal PackageName NameOf(int i) => _packuments[i].Name;

    internal Task<byte[]> ReadAsync(int i) => File.ReadAllBytesAsync(_packuments[i].File);

    /// <summary>The same packages in another order, the same in each run.</summary>
    internal int[] Shuffled()
    {
        var order = Enumerable.Range(0, Count).ToArray();
        new Random(1).Shuffle(order);
        return order;
    }

    /// <summary>What a mirror does with a document that it has received: parse, index, hash, compress.</summary>
    internal static PackageCommit Prepare(PackageName name, byte[] document, long generation) =>
        CommitOf(name, DocumentCodecs.Encode(document), PackumentReader.Read(document, name).Index, generation);

    /// <summary>The commit of a document with one event.</summary>
    internal static PackageCommit CommitOf(PackageName name, StoredDocument document, PackumentIndex index, long generation) => new()
    {
        Name = name,
        ExpectedGeneration = generation,
        Facts = new PackageFacts { FirstSeenAt = TimeProvider.System.GetUtcNow(), StoredAt = TimeProvider.System.GetUtcNow(), ETag = "\"0123456789abcdef0123456789abcdef\"", Upstream = "https://registry.example.org/" },
        Document = document,
        Index = index.ToBytes(),
        Events = [EventPayload.ToPending(new PackageAdded(index.Versions.Count, index.DistTags) { SeenAt = TimeProvider.System.GetUtcNow() }, 0)],
    };
}
