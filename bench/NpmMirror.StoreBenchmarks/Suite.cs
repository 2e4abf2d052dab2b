using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using NpmMirror.Storage;

namespace NpmMirror.StoreBenchmarks;

/// <summary>The same work for every engine, a part of it a process. Each part tells its figures as one line of JSON and checks what it has done.</summary>
internal sealed class Suite(IMetadataStore store, Corpus corpus)
{
    private const int CommitsAtOnce = 64;
    private const int ReadsAtOnce = 16;
    private const int HotPasses = 3;
    private const int ListPasses = 20;
    private const int ChangesOneByOne = 300;
    private const int ChangesAtOnce = 3000;
    private static readonly TimeSpan OpensWithin = TimeSpan.FromMinutes(2);

    /// <summary>Every packument once, as a first <c>sync</c> does it without its requests: parsed by as many as there are processors, 64 commits under way.</summary>
    internal async Task<string> IngestAsync()
    {
        var raw = 0L;
        using var parsing = new SemaphoreSlim(Environment.ProcessorCount);
        var spent = await MeasureAsync(CommitsAtOnce, Enumerable.Range(0, corpus.Count).ToArray(), async i =>
        {
            PackageCommit commit;
            await parsing.WaitAsync();
            try
            {
                var document = await corpus.ReadAsync(i);
                Interlocked.Add(ref raw, document.Length);
                commit = Corpus.Prepare(corpus.NameOf(i), document, 0);
            }
            finally
            {
                parsing.Release();
            }

            Check((await store.Packages.CommitAsync(commit, CancellationToken.None)).IsCommitted);
        });
        return Tell(new { raw, spent.Seconds, spent.ProcessorSeconds, PeakMegabytes = PeakMegabytes() });
    }

    /// <summary>Opens the store, and waits for a server that has just been started.</summary>
    internal async Task WaitAsync()
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await store.OpenAsync(CancellationToken.None);
                return;
            }
            catch (MirrorException e) when (e.Fault == MirrorFault.StoreUnavailable && clock.Elapsed < OpensWithin)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
            }
        }
    }

    /// <summary>Reads the first package.</summary>
    internal async Task<string> OpenAsync()
    {
        await DecodeAsync(0, null);
        return Tell(new { ProcessorSeconds = Environment.CpuUsage.TotalTime.TotalSeconds });
    }

    /// <summary>Row and document of every package in a random order: once after the start, to the JSON's own bytes; then again as they are stored, and to the JSON. At last each is compared with the corpus.</summary>
    internal async Task<string> ReadAsync()
    {
        var order = corpus.Shuffled();
        var cold = await MeasureAsync(ReadsAtOnce, order, i => DecodeAsync(i, null));
        var again = Enumerable.Repeat(order, HotPasses).SelectMany(pass => pass).ToArray();
        var stored = await MeasureAsync(ReadsAtOnce, again, async i => Check(await store.Packages.ReadAsync(corpus.NameOf(i), CancellationToken.None) is { Document.Bytes.Length: > 0 }));
        var hot = await MeasureAsync(ReadsAtOnce, again, i => DecodeAsync(i, null));
        await MeasureAsync(Environment.ProcessorCount, order, async i => await DecodeAsync(i, await corpus.ReadAsync(i)));
        return Tell(new { Cold = cold.Rate, Stored = stored.Rate, Hot = hot.Rate, ProcessorSeconds = cold.ProcessorSeconds + stored.ProcessorSeconds + hot.ProcessorSeconds });
    }

    /// <summary>The rows of all packages, as the list of everything and the comparison with the upstream's read them.</summary>
    internal async Task<string> ListAsync()
    {
        var spent = await MeasureAsync(1, new int[ListPasses], async _ =>
        {
            var rows = 0;
            await foreach (var row in store.Packages.ListAsync(null, isRemoved: false, CancellationToken.None))
            {
                rows++;
            }

            Check(rows == corpus.Count);
        });
        return Tell(new { RowsPerSecond = spent.Rate * corpus.Count, spent.ProcessorSeconds });
    }

    /// <summary>A new edition of random packages: one after another, then 64 at once. Prepared before.</summary>
    internal async Task<string> ChangeAsync()
    {
        var random = new Random(2);
        var alone = await EditAsync([.. corpus.Shuffled().Take(ChangesOneByOne)], 1);
        var together = await EditAsync([.. Enumerable.Range(0, ChangesAtOnce).Select(_ => random.Next(corpus.Count))], CommitsAtOnce);
        return Tell(new { Count = alone.Count + together.Count, OneByOne = alone.Rate, Together = together.Rate, ProcessorSeconds = alone.ProcessorSeconds + together.ProcessorSeconds });
    }

    private async Task<Spent> EditAsync(int[] packages, int atOnce)
    {
        const int Batch = 300;
        var total = default(Spent);
        for (var first = 0; first < packages.Length; first += Batch)
        {
            // A package twice in a batch would wait for itself.
            var edited = packages.Skip(first).Take(Batch).Distinct().ToArray();
            var commits = new PackageCommit[edited.Length];
            for (var i = 0; i < edited.Length; i++)
            {
                var name = corpus.NameOf(edited[i]);
                var row = await store.Packages.FindAsync(name, CancellationToken.None);
                var edition = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"_rev\":\"{row!.Generation + 1}-0\","));
                commits[i] = Corpus.Prepare(name, [.. edition, .. (await corpus.ReadAsync(edited[i])).AsSpan(1)], row.Generation);
            }

            var spent = await MeasureAsync(atOnce, [.. Enumerable.Range(0, commits.Length)], async i => Check((await store.Packages.CommitAsync(commits[i], CancellationToken.None)).IsCommitted));
            total = new Spent(total.Count + spent.Count, total.Seconds + spent.Seconds, total.ProcessorSeconds + spent.ProcessorSeconds);
        }

        return total;
    }

    private async Task DecodeAsync(int i, byte[]? expected)
    {
        var package = await store.Packages.ReadAsync(corpus.NameOf(i), CancellationToken.None);
        Check(package is not null);
        using var budget = new ByteBudget(512 * 1024 * 1024);
        using var document = await DocumentCodecs.DecodeAsync(corpus.NameOf(i), package!.Document, budget, CancellationToken.None);
        Check(document.Bytes.Length == package.Document.RawSizeBytes && (expected is null || document.Bytes.SequenceEqual(expected)));
    }

    private static async Task<Spent> MeasureAsync(int atOnce, int[] items, Func<int, Task> work)
    {
        var next = -1;
        var processor = Environment.CpuUsage.TotalTime;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, atOnce).Select(_ => Task.Run(async () =>
        {
            for (int i; (i = Interlocked.Increment(ref next)) < items.Length;)
            {
                await work(items[i]);
            }
        })));
        return new Spent(items.Length, clock.Elapsed.TotalSeconds, (Environment.CpuUsage.TotalTime - processor).TotalSeconds);
    }

    private static double PeakMegabytes()
    {
        using var self = Process.GetCurrentProcess();
        return self.PeakWorkingSet64 / 1e6;
    }

    private static string Tell(object figures) => JsonSerializer.Serialize(figures, JsonSerializerOptions.Web);

    private static void Check(bool isRight)
    {
        if (!isRight)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, "The store did not do what was asked; the figures would mean nothing.");
        }
    }

    private readonly record struct Spent(int Count, double Seconds, double ProcessorSeconds)
    {
        internal double Rate => Count / Seconds;
    }
}
