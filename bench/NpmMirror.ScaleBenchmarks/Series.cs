using System.Diagnostics;
using System.Globalization;
using NpmMirror.Sqlite;

namespace NpmMirror.ScaleBenchmarks;

/// <summary>The whole series: a store of millions beside one of the same registry's first two thousand, in one run, as one table.</summary>
internal sealed class Series(SeriesOptions options)
{
    private const int SmallPackages = 2_000;
    private const int MediumPackages = 200_000;
    private const int Starts = 5;
    private const int Changes = 20_000;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    private readonly string _upstream = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{options.Port}");
    private readonly SyntheticRegistry _small = new(Math.Min(SmallPackages, options.Packages), options.Seed);
    private readonly SyntheticRegistry _medium = new(Math.Min(MediumPackages, options.Packages), options.Seed);
    private readonly SyntheticRegistry _big = new(options.Packages, options.Seed);

    internal async Task RunAsync()
    {
        Console.WriteLine($"| {"",-58} | {_small.Packages,10:N0} | {_big.Packages,10:N0} | {"ratio",8} |");
        Console.WriteLine("|---|--:|--:|--:|");
        var (small, medium, big) = (await PrepareAsync("small", _small), await PrepareAsync("medium", _medium), await PrepareAsync("big", _big));
        Row("Stored, bytes a package (folder / packages)", SizeOf(small) / _small.Packages, SizeOf(big) / _big.Packages, "N0");
        await using (await StartUpstreamAsync())
        {
            await MeasureServingAsync(new ServedMirror(options.Program, small, _small, _upstream), new ServedMirror(options.Program, big, _big, _upstream), big);
            await ReconcileAsync(big);
            await ReconcileAsync(big);
        }

        await MeasureChangesAsync(small, medium, big);
    }

    private async Task MeasureServingAsync(ServedMirror small, ServedMirror big, string bigFolder)
    {
        var (smallStarts, bigStarts, coldStarts) = (new List<double>(), new List<double>(), new List<double>());
        for (var round = 0; round < Starts; round++)
        {
            smallStarts.Add((await small.StartAsync(round * 11)).TotalMilliseconds);
            bigStarts.Add((await big.StartAsync(_big.Packages / Starts * round)).TotalMilliseconds);
            await ForgetAsync(Path.Combine(bigFolder, SqliteEngine.FileName));
            coldStarts.Add((await big.StartAsync(_big.Packages / Starts * round)).TotalMilliseconds);
        }

        Row($"Start to first packument, ms (median of {Starts})", Median(smallStarts), Median(bigStarts), "N0");
        Row("… the database not in the page cache, ms", null, Median(coldStarts), "N0");
        var (smallIdle, bigIdle) = (await small.IdleAsync(), await big.IdleAsync());
        Row("Idle, resident MB", smallIdle.ResidentBytes / 1e6, bigIdle.ResidentBytes / 1e6, "N0");
        Row("Idle, VmHWM MB", smallIdle.PeakBytes / 1e6, bigIdle.PeakBytes / 1e6, "N0");
        var (smallNames, bigNames) = (await NamesAsync("small", _small), await NamesAsync("big", _big));
        foreach (var (what, more) in new (string, string[])[] { ("no cache", ["--cacheBytes=0"]), ("shipped settings", []) })
        {
            var (smallRates, bigRates, peak) = (new List<double>(), new List<double>(), 0L);
            for (var round = 0; round < 3; round++)
            {
                smallRates.Add((await small.DriveAsync(options.Lua, smallNames, options.Seconds, more)).PerSecond);
                var driven = await big.DriveAsync(options.Lua, bigNames, options.Seconds, more);
                bigRates.Add(driven.PerSecond);
                peak = Math.Max(peak, driven.PeakBytes);
            }

            Row($"Random packuments a second, gzip, wrk -c16, {what}", Median(smallRates), Median(bigRates), "N0");
            Row("… VmHWM MB", null, peak / 1e6, "N0");
        }

        Row("_all_docs in pages of 10,000, ids a second", await small.ListAsync(), await big.ListAsync(), "N0");
    }

    private async Task ReconcileAsync(string folder)
    {
        var clock = Stopwatch.StartNew();
        await using var reconcile = ChildProcess.StartMirror(options.Program, "reconcile", $"--data={folder}", $"--upstream={_upstream}/", "--metadata=all");
        var code = await reconcile.WaitAsync(Longest);
        var seconds = clock.Elapsed.TotalSeconds;
        var found = reconcile.Output.Split('\n').Single(line => line.Contains("listed,", StringComparison.Ordinal));
        // 1: what vanished is in doubt until it is asked for once more, minutes later.
        SyntheticStore.Require(code is 0 or 1);
        Row("reconcile, s, start to exit, what differs fetched", null, seconds, "N1");
        Row($"… {found.Split(':')[1].Trim(' ', '.')}: VmHWM MB", null, reconcile.PeakBytes / 1e6, "N0");
    }

    private async Task MeasureChangesAsync(string small, string medium, string big)
    {
        var costs = new List<ChangeCost.Cost>();
        foreach (var (folder, registry) in new[] { (small, _small), (medium, _medium), (big, _big) })
        {
            costs.Add(await ChangeCost.MeasureAsync(folder, registry, Changes, _upstream));
        }

        Row("Changes a second, 64 at once", costs[0].PerSecond, costs[2].PerSecond, "N0");
        Row("CPU µs a change", costs[0].ProcessorMicroseconds, costs[2].ProcessorMicroseconds, "N0");
        Row("Bytes written a change", costs[0].WrittenBytes, costs[2].WrittenBytes, "N0");
        Row($"… in a store of {_medium.Packages:N0}: changes a second", costs[1].PerSecond, costs[2].PerSecond, "N0");
        Row($"… in a store of {_medium.Packages:N0}: CPU µs a change", costs[1].ProcessorMicroseconds, costs[2].ProcessorMicroseconds, "N0");
        Row($"… in a store of {_medium.Packages:N0}: bytes written a change", costs[1].WrittenBytes, costs[2].WrittenBytes, "N0");
    }

    /// <summary>A store that may be changed: a copy of the one that was filled, which is kept for the next run where it is asked for.</summary>
    private async Task<string> PrepareAsync(string name, SyntheticRegistry registry)
    {
        var filled = Path.Combine(options.Filled, string.Create(CultureInfo.InvariantCulture, $"{registry.Packages}-{options.Seed}-{options.Port}"));
        var target = Path.Combine(options.Work, name);
        Directory.CreateDirectory(target);
        if (!Directory.Exists(filled))
        {
            var unfinished = filled + ".unfinished";
            await SyntheticStore.FillAsync(unfinished, registry, _upstream);
            Directory.Move(unfinished, filled);
        }

        File.Copy(Path.Combine(filled, SqliteEngine.FileName), Path.Combine(target, SqliteEngine.FileName));
        return target;
    }

    private async Task<ChildProcess> StartUpstreamAsync()
    {
        string[] arguments = [typeof(Series).Assembly.Location, "upstream", "--packages", Text(options.Packages), "--seed", Text(options.Seed), "--port", Text(options.Port)];
        var upstream = ChildProcess.Start("dotnet", arguments);
        try
        {
            await upstream.WaitForLineAsync("Lists ", TimeSpan.FromMinutes(3));
            return upstream;
        }
        catch
        {
            await upstream.DisposeAsync();
            throw;
        }
    }

    private async Task<string> NamesAsync(string name, SyntheticRegistry registry)
    {
        const int NamesMax = 200_000;
        var random = new Random(3);
        var path = Path.Combine(options.Work, $"{name}.names");
        var numbers = registry.Packages <= NamesMax ? Enumerable.Range(0, registry.Packages) : Enumerable.Range(0, NamesMax).Select(_ => random.Next(registry.Packages));
        await File.WriteAllLinesAsync(path, numbers.Select(i => registry.NameOf(i).Replace("/", "%2f", StringComparison.Ordinal)));
        return path;
    }

    // Opening a file so and reading nothing of it drops its pages.
    private static async Task ForgetAsync(string file)
    {
        await using var forget = ChildProcess.Start("dd", $"if={file}", "iflag=nocache", "count=0");
        await forget.WaitAsync(Longest);
    }

    private static double SizeOf(string folder) => new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static void Row(string what, double? small, double big, string format) =>
        Console.WriteLine($"| {what,-58} | {small?.ToString(format, CultureInfo.InvariantCulture),10} | {big.ToString(format, CultureInfo.InvariantCulture),10} | {(big / small)?.ToString("N2", CultureInfo.InvariantCulture),8} |");
}

/// <summary>What a series is run with.</summary>
/// <param name="Program">The mirror.</param>
/// <param name="Lua">The script for wrk.</param>
/// <param name="Work">For copies and files of this run; its owner cleans it.</param>
/// <param name="Filled">Where filled stores are.</param>
/// <param name="Packages">Packages of the big store.</param>
/// <param name="Seed">The registry's seed.</param>
/// <param name="Port">The upstream's port, which the stores know.</param>
/// <param name="Seconds">How long wrk drives each time.</param>
internal sealed record SeriesOptions(string Program, string Lua, string Work, string Filled, int Packages, int Seed, int Port, int Seconds);
