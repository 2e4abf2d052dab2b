using System.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.StoreBenchmarks;

/// <summary>What is measured. Processor time stands beside the clock's: on a busy machine only the former says anything.</summary>
internal static class Workloads
{
    private const int DocumentBytes = 10_000;

    /// <summary>Packages of 10 KB with one event each.</summary>
    public static async Task<string> CommitAsync(IMetadataStore store, int concurrency, int count)
    {
        var document = Random(DocumentBytes);
        return await MeasureAsync("commits", concurrency, count, async i =>
        {
            var result = await store.Packages.CommitAsync(Commit($"package-{i}", document, new byte[200]), CancellationToken.None);
            Check(result.IsCommitted);
        });
    }

    /// <summary>Row and document of one package of 10,000.</summary>
    public static async Task<string> ReadAsync(IMetadataStore store, int concurrency, int count)
    {
        const int Packages = 10_000;
        await CommitAsync(store, 64, Packages);
        return await MeasureAsync("reads", concurrency, count, async i =>
            Check(await store.Packages.ReadAsync(PackageName.Parse($"package-{(i * 7919L) % Packages}"), CancellationToken.None) is not null));
    }

    /// <summary>Every packument of a folder, with its index and one event: how large the files are when the store is closed.</summary>
    public static async Task<string> FillAsync(IMetadataStore store, string corpus, string folder)
    {
        long raw = 0, documents = 0, indexes = 0;
        var clock = Stopwatch.StartNew();
        await Parallel.ForEachAsync(Directory.EnumerateFiles(corpus, "*.json"), new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, async (file, cancellationToken) =>
        {
            var bytes = await File.ReadAllBytesAsync(file, cancellationToken);
            var name = PackageName.Parse(Uri.UnescapeDataString(Path.GetFileNameWithoutExtension(file)));
            var index = PackumentReader.Read(bytes, name).Index.ToBytes();
            var document = DocumentCodecs.Encode(bytes);
            Interlocked.Add(ref raw, bytes.Length);
            Interlocked.Add(ref documents, document.Bytes.Length);
            Interlocked.Add(ref indexes, index.Length);
            Check((await store.Packages.CommitAsync(Commit(name.Value, document, index), cancellationToken)).IsCommitted);
        });
        var seconds = clock.Elapsed.TotalSeconds;
        await store.DisposeAsync();
        var stored = Directory.EnumerateFiles(folder).Where(file => Path.GetFileName(file).StartsWith("size", StringComparison.Ordinal)).Sum(file => new FileInfo(file).Length);
        return $"{raw / 1e6:N1} MB raw in {seconds:N1} s; files {(double)stored / raw:P2} of raw (documents {(double)documents / raw:P2}, indexes {(double)indexes / raw:P2})";
    }

    private static PackageCommit Commit(string name, StoredDocument document, byte[] index) => new()
    {
        Name = PackageName.Parse(name),
        ExpectedGeneration = 0,
        Facts = new PackageFacts { FirstSeenAt = TimeProvider.System.GetUtcNow(), StoredAt = TimeProvider.System.GetUtcNow(), ETag = "\"0123456789abcdef0123456789abcdef\"", Upstream = "https://registry.example.org/" },
        Document = document,
        Index = index,
        Events = [EventPayload.ToPending(new PackageAdded(3, new Dictionary<string, string> { ["latest"] = "1.0.0" }) { SeenAt = TimeProvider.System.GetUtcNow() }, 0)],
    };

    private static async Task<string> MeasureAsync(string what, int concurrency, int count, Func<int, Task> work)
    {
        await work(count);
        var next = -1;
        var clock = Stopwatch.StartNew();
        var processor = Environment.CpuUsage.TotalTime;
        await Task.WhenAll(Enumerable.Range(0, concurrency).Select(_ => Task.Run(async () =>
        {
            for (int i; (i = Interlocked.Increment(ref next)) < count;)
            {
                await work(i);
            }
        })));
        return $"{count / clock.Elapsed.TotalSeconds,10:N0} {what}/s {count / (Environment.CpuUsage.TotalTime - processor).TotalSeconds,12:N0} per processor second";
    }

    private static StoredDocument Random(int sizeBytes)
    {
        var bytes = new byte[sizeBytes];
        new Random(1).NextBytes(bytes);
        return DocumentCodecs.Encode(bytes, DocumentCodec.Identity);
    }

    private static void Check(bool isRight)
    {
        if (!isRight)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, "The store did not do what was asked; the figures would mean nothing.");
        }
    }
}
