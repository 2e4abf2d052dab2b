using System.Diagnostics;
using System.Globalization;

namespace NpmMirror.ScaleBenchmarks;

/// <summary>What a change costs: documents of packages all over the store are replaced, 64 at once.</summary>
internal static class ChangeCost
{
    /// <summary>Measures so many changes; the store has them afterwards.</summary>
    internal static async Task<Cost> MeasureAsync(string folder, SyntheticRegistry registry, int changes, string upstream)
    {
        await using var store = await SyntheticStore.OpenAsync(folder);
        var random = new Random(1);
        var commits = new List<Storage.PackageCommit>(changes);
        var generations = new Dictionary<int, int>();
        for (var i = 0; i < changes; i++)
        {
            // Prepared before: parsing and compressing is not what is measured.
            var package = random.Next(registry.Packages);
            var generation = generations.TryGetValue(package, out var known) ? known : (int)(await store.Packages.FindAsync(PackageName.Parse(registry.NameOf(package)), CancellationToken.None))!.Generation;
            generations[package] = generation + 1;
            commits.Add(SyntheticStore.CommitOf(registry, package, generation + 1, generation, upstream));
        }

        var (next, processor, written) = (-1, Environment.CpuUsage.TotalTime, WrittenBytes());
        var clock = Stopwatch.StartNew();
        var byName = commits.GroupBy(commit => commit.Name).Select(group => group.ToArray()).ToArray();
        await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => Task.Run(async () =>
        {
            for (int i; (i = Interlocked.Increment(ref next)) < byName.Length;)
            {
                foreach (var commit in byName[i])
                {
                    SyntheticStore.Require((await store.Packages.CommitAsync(commit, CancellationToken.None)).IsCommitted);
                }
            }
        })));
        return new Cost(changes / clock.Elapsed.TotalSeconds, (Environment.CpuUsage.TotalTime - processor).TotalMicroseconds / changes, (WrittenBytes() - written) / (double)changes);
    }

    // What this process handed to the system to write.
    private static long WrittenBytes() =>
        long.Parse(File.ReadLines("/proc/self/io").Single(line => line.StartsWith("wchar:", StringComparison.Ordinal)).Split(' ')[1], CultureInfo.InvariantCulture);

    /// <summary>What one change cost.</summary>
    internal sealed record Cost(double PerSecond, double ProcessorMicroseconds, double WrittenBytes);
}
