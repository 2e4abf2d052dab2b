using System.Globalization;
using System.Text.Json;

namespace NpmMirror.Mutations;

/// <summary>
/// Tries a sample of the changes, as many at a time as there are processors: each alone, by the tests that reach it, the quickest first, until one fails.
/// A run that takes much longer than it should has noticed the change too: a run without an end is no success.
/// </summary>
internal sealed class MutationRun(string tree, string work, int seed, int sample, string equivalents)
{
    private const string NotReached = "no test reaches it";

    // Tests that start a whole mirror anew, or simulate for minutes, come last, or not at all if that takes too long.
    private static readonly TimeSpan TestsMax = TimeSpan.FromSeconds(90);

    private static readonly TimeSpan RunMax = TimeSpan.FromSeconds(240);

    // A busy machine brings these about too: the test has to pass without the change.
    private static readonly string[] Waits = ["Waited ", "timed out", "TimeoutException", "CanceledException"];

    private readonly TestProgram _program = new(tree);

    private readonly Lock _gate = new();

    /// <summary>Runs.</summary>
    /// <returns>0 when at least nine of ten were noticed.</returns>
    internal async Task<int> RunAsync()
    {
        var catalogue = JsonSerializer.Deserialize<List<Mutation>>(await File.ReadAllTextAsync(Path.Combine(tree, "mutations.json")))!;
        var reached = await new Recording(_program, work).ReadAsync(catalogue.Count);
        var random = new Random(seed);
        var chosen = catalogue.OrderBy(_ => random.Next()).Take(sample).ToList();
        var same = File.Exists(equivalents) ? (await File.ReadAllLinesAsync(equivalents)).Where(line => line.Contains(" | ", StringComparison.Ordinal)).Select(line => line.Split(" | ")).ToList() : [];
        var results = Path.Combine(work, $"results-{seed}.txt");
        var known = File.Exists(results) ? (await File.ReadAllLinesAsync(results)).Select(line => line.Split('\t')).DistinctBy(line => line[0]).ToDictionary(line => line[0], line => line[1]) : [];
        var (noticed, unnoticed, equal) = (0, 0, 0);
        await Parallel.ForEachAsync(chosen, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, async (mutation, _) =>
        {
            if (same.Exists(line => line[0] == mutation.File && line[1] == $"{mutation.Kind}: {mutation.Original} → {mutation.Changed}"))
            {
                Interlocked.Increment(ref equal);
                return;
            }

            var key = mutation.ToString();
            var isKnown = known.TryGetValue(key, out var by);
            by ??= await TryAsync(mutation, TestsOf(mutation, catalogue, reached)) ?? "";
            lock (_gate)
            {
                if (!isKnown)
                {
                    File.AppendAllText(results, $"{key}\t{by}\n");
                }

                if (by.Length > 0 && by != NotReached)
                {
                    noticed++;
                }
                else
                {
                    unnoticed++;
                    Console.WriteLine($"UNNOTICED {key}{(by == NotReached ? $" ({NotReached})" : "")}");
                }
            }
        });

        var percent = 100.0 * noticed / Math.Max(1, noticed + unnoticed);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{catalogue.Count} changes, {chosen.Count} of them tried with seed {seed}: {noticed} noticed, {unnoticed} not, {equal} that change nothing; {percent:0.0} % noticed."));
        return percent >= 90 ? 0 : 1;
    }

    /// <summary>The tests that reach a change; of one that runs once in a process, all that reach something in its file.</summary>
    private static List<(string Test, long Milliseconds)> TestsOf(Mutation mutation, List<Mutation> catalogue, Dictionary<int, List<(string Test, long Milliseconds)>> reached) =>
        [.. catalogue.Where(other => other.Id == mutation.Id || (mutation.IsOnce && other.File == mutation.File)).SelectMany(other => reached.GetValueOrDefault(other.Id, [])).Distinct()];

    /// <returns>The test that noticed the change, or null.</returns>
    private async Task<string?> TryAsync(Mutation mutation, List<(string Test, long Milliseconds)> tests)
    {
        if (tests.Count == 0)
        {
            return NotReached;
        }

        // Those of the same file first, by name: they know best, and are quick.
        var subject = Path.GetFileNameWithoutExtension(mutation.File).Split('.')[0];
        var left = TestsMax;
        var chosen = new List<string>();
        foreach (var (test, milliseconds) in tests.OrderByDescending(test => test.Test.Contains(subject, StringComparison.Ordinal)).ThenBy(test => test.Milliseconds))
        {
            left -= TimeSpan.FromMilliseconds(milliseconds);
            if (left < TimeSpan.Zero && chosen.Count > 0)
            {
                break;
            }

            chosen.Add(test);
        }

        // A few at first: most changes are noticed by those.
        foreach (var part in (List<string>[])[[.. chosen.Take(25)], [.. chosen.Skip(25)]])
        {
            if (part.Count == 0)
            {
                continue;
            }

            List<string> arguments = ["-stopOnFail"];
            part.ForEach(test => arguments.AddRange(["-method", test]));
            var (code, output) = await _program.RunAsync(arguments, new() { ["TEST_MUTATION"] = mutation.Id.ToString(CultureInfo.InvariantCulture), ["TEST_DEADLINE"] = "60" }, RunMax);
            if (code == 0)
            {
                continue;
            }

            var failed = output.Split('\n').Select(TestProgram.FailedTest).FirstOrDefault(test => test is not null);
            if (failed is null || !Waits.Any(sign => output.Contains(sign, StringComparison.Ordinal)) || (await _program.RunAsync(["-method", failed], new() { ["TEST_DEADLINE"] = "60" }, RunMax)).Code == 0)
            {
                return failed ?? "it did not end";
            }
        }

        return null;
    }
}
