using System.Diagnostics;
using System.Globalization;
using NpmMirror.Hosting;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Search;
using NpmMirror.Searching;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.ScaleBenchmarks;

/// <summary>Builds the search index of a filled store as a mirror does, then asks it: how fast is each, how large is it, how soon does it know of a change.</summary>
internal sealed class SearchSeries(string folder, WordyRegistry registry, int queries)
{
    private static readonly DateTimeOffset Seen = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    internal async Task RunAsync()
    {
        await FillAsync();
        foreach (var file in Directory.EnumerateFiles(folder, "search.db*"))
        {
            File.Delete(file);
        }

        var clock = Stopwatch.StartNew();
        var processor = Environment.CpuUsage.TotalTime;
        await using var mirror = await Mirror.StartAsync(
            new MirrorOptions { Upstream = "http://127.0.0.1:9/", Feed = "none", Offline = true, Data = folder },
            builder => builder.UseSqlite().UseSqliteSearch());
        var search = mirror.Search!;
        await UntilAsync(() => search.State is { Phase: SearchPhase.Following }, report: () => $"{search.State.Packages:N0} packages in {clock.Elapsed.TotalSeconds:N0} s");
        var seconds = clock.Elapsed.TotalSeconds;
        var state = search.State;
        Line("Packages", state.Packages.ToString("N0", CultureInfo.InvariantCulture));
        Line("Built, s, from start to following", seconds.ToString("N1", CultureInfo.InvariantCulture));
        Line("… packages a second", (state.Packages / seconds).ToString("N0", CultureInfo.InvariantCulture));
        Line("… processor µs a package", ((Environment.CpuUsage.TotalTime - processor).TotalMicroseconds / state.Packages).ToString("N0", CultureInfo.InvariantCulture));
        Line("search.db, MB", (state.SizeBytes / 1e6).ToString("N0", CultureInfo.InvariantCulture));
        Line("… bytes a package", (state.SizeBytes / (double)state.Packages).ToString("N0", CultureInfo.InvariantCulture));
        Line("Peak of resident memory, MB", (Process.GetCurrentProcess().PeakWorkingSet64 / 1e6).ToString("N0", CultureInfo.InvariantCulture));
        await AskAsync(search);
        await FollowAsync(mirror);
    }

    /// <summary>Fills the store, or goes on where an earlier run was cut short.</summary>
    private async Task FillAsync()
    {
        await using var store = await SyntheticStore.OpenAsync(folder);
        var begin = Math.Max(0, (int)(await store.CountAsync(CancellationToken.None)).Packages - 256);
        await Parallel.ForAsync(begin, registry.Packages, new ParallelOptions { MaxDegreeOfParallelism = 256 }, async (i, cancellationToken) =>
        {
            var result = await store.Packages.CommitAsync(CommitOf(i, 0), cancellationToken);
            SyntheticStore.Require(result.IsCommitted || result.Generation == 1);
        });
    }

    private PackageCommit CommitOf(int i, long generation)
    {
        var name = PackageName.Parse(registry.NameOf(i));
        var raw = registry.DocumentOf(i);
        var index = PackumentReader.Read(raw, name).Index;
        RegistryEvent change = generation == 0 ? new PackageAdded(index.Versions.Count, index.DistTags) { SeenAt = Seen } : new DistTagMoved("latest", "1.0.0", index.DistTags["latest"]) { SeenAt = Seen };
        return new PackageCommit
        {
            Name = name,
            ExpectedGeneration = generation,
            Facts = new PackageFacts { ModifiedAt = index.ModifiedAt, FirstSeenAt = Seen, StoredAt = Seen },
            Document = DocumentCodecs.Encode(raw),
            Index = index.ToBytes(),
            Events = [EventPayload.ToPending(change, 0)],
        };
    }

    private async Task AskAsync(IPackageSearch search)
    {
        Console.WriteLine($"| {"query",-44} | {"p50 ms",8} | {"p99 ms",8} | {"max ms",8} | {"hits",9} |");
        Console.WriteLine("|---|--:|--:|--:|--:|");
        var all = new List<double>();
        foreach (var (kind, make, isUsual) in Kinds())
        {
            var random = new Random(11);
            var times = new List<double>();
            var hits = 0L;
            for (var i = 0; i < queries; i++)
            {
                var query = make(random);
                var clock = Stopwatch.StartNew();
                hits += (await search.FindAsync(query, CancellationToken.None)).Total;
                times.Add(clock.Elapsed.TotalMilliseconds);
            }

            Row(kind, times, hits / queries);
            all.AddRange(isUsual ? times : []);
        }

        Row("all of the usual ones", all, null);
    }

    private IEnumerable<(string Kind, Func<Random, SearchQuery> Make, bool IsUsual)> Kinds()
    {
        yield return ("a name", random => Of(registry.NameOf(random.Next(registry.Packages))), true);
        yield return ("one word, frequent ones likely", random => Of(registry.Word(random)), true);
        yield return ("two words", random => Of($"{registry.Word(random)} {registry.Word(random)}"), true);
        yield return ("words of a description", random => Of(registry.DescriptionOf(random.Next(registry.Packages))), true);
        yield return ("a beginning of 1 to 5 letters", random => registry.Word(random) is var word ? Of(word[..Math.Min(word.Length, 1 + random.Next(5))]) : Of("a"), true);
        yield return ("keywords:, frequent ones likely, 250 hits", random => Of($"keywords:{registry.Word(random)},{registry.Word(random)}") with { Size = 250 }, true);
        yield return ("scope:, author:, maintainer:", random => Of(random.Next(3) switch { 0 => $"scope:{registry.Scope(random)}", 1 => $"author:{registry.Account(random)}", _ => $"maintainer:{registry.Account(random)}" }), true);
        yield return ("a word, not:unstable, not:deprecated", random => Of($"{registry.Word(random)} not:unstable not:deprecated"), true);
        yield return ("a word, a later page", random => Of(registry.Word(random)) with { From = random.Next(40) * 250, Size = 250 }, true);
        yield return ("no such word", random => Of($"{registry.Word(random)} xyzzy{random.Next()}"), true);
        yield return ("hard: the most frequent word", _ => Of(registry.Word(0)), false);
        yield return ("hard: the ten most frequent words", _ => Of(string.Join(' ', Enumerable.Range(0, 10).Select(registry.Word))), false);
        yield return ("hard: everything scoped", _ => Of("@") with { Size = 250 }, false);
        yield return ("hard: everything, page at 40,000", _ => Of("boost-exact:false") with { Size = 250, From = 40_000 }, false);
        yield return ("hard: everything unstable but scoped ones", _ => Of("is:unstable not:deprecated") with { Size = 250 }, false);
    }

    private async Task FollowAsync(Mirror mirror)
    {
        var times = new List<double>();
        for (var i = 0; i < 20; i++)
        {
            var name = PackageName.Parse(registry.NameOf(i * 37));
            var generation = (await mirror.Store.Packages.FindAsync(name, CancellationToken.None))!.Generation;
            var clock = Stopwatch.StartNew();
            await mirror.Store.Packages.CommitAsync(CommitOf(i * 37, generation), CancellationToken.None);
            var head = (await mirror.Store.Log.ReadHeadAsync(CancellationToken.None)).Position;
            await UntilAsync(() => mirror.Search!.State.Position >= head);
            times.Add(clock.Elapsed.TotalMilliseconds);
        }

        Row("from a commit until the index has it", times, null);
    }

    private static SearchQuery Of(string text) => new() { Text = text };

    private static async Task UntilAsync(Func<bool> condition, Func<string>? report = null)
    {
        var clock = Stopwatch.StartNew();
        var told = TimeSpan.Zero;
        while (!condition())
        {
            SyntheticStore.Require(clock.Elapsed < Longest);
            await Task.Delay(TimeSpan.FromMilliseconds(report is null ? 1 : 100), TimeProvider.System);
            if (report is not null && clock.Elapsed - told > TimeSpan.FromSeconds(10))
            {
                told = clock.Elapsed;
                await Console.Error.WriteLineAsync($"  {report()}");
            }
        }
    }

    private static void Line(string what, string value) => Console.WriteLine($"{what,-44} {value,12}");

    private static void Row(string kind, List<double> times, long? hits)
    {
        times.Sort();
        Console.WriteLine($"| {kind,-44} | {Text(times[times.Count / 2])} | {Text(times[Math.Min(times.Count * 99 / 100, times.Count - 1)])} | {Text(times[^1])} | {hits?.ToString("N0", CultureInfo.InvariantCulture),9} |");
    }

    private static string Text(double value) => value.ToString("N2", CultureInfo.InvariantCulture).PadLeft(8);
}
