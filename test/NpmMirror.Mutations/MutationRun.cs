using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace NpmMirror.Mutations;

/// <summary>
/// Tries a sample of the changes: one at a time, by the tests that reach it, the quickest first, until one fails. A run that takes much longer than it should
/// was noticed too: a run without an end is no success.
/// </summary>
internal sealed class MutationRun(string tree, string work, int seed, int sample, string equivalents)
{
    private const string Failed = "[FAIL]";

    private const string NotReached = "no test reaches it";

    // Tests that start a whole mirror anew, or simulate for minutes, come last, or not at all if that takes too long.
    private static readonly TimeSpan TestsMax = TimeSpan.FromSeconds(90);

    private static readonly TimeSpan RunMax = TimeSpan.FromSeconds(240);

    // Not about these files, or about the tree itself.
    private static readonly string[] LeftOut =
    [
        "NpmMirror.Tests.Clients.", "NpmMirror.Tests.Samples.", "NpmMirror.Tests.Testing.", "NpmMirror.Tests.TidyTests", "NpmMirror.Tests.TestRunTests", "NpmMirror.Tests.Cli.RunScriptTests",
        "NpmMirror.Tests.Cli.DocumentationTests", "NpmMirror.Tests.Following.FollowingProofTests", "NpmMirror.Tests.Mirroring.SyncFuzzTests", "NpmMirror.Tests.Packuments.FuzzTests", "NpmMirror.Tests.Packuments.LargeBodyTests", "NpmMirror.Tests.Cli.DiskTests",
        "NpmMirror.Tests.Upstream.FeedFuzzTests", "NpmMirror.Tests.Crash.", "NpmMirror.Tests.Sqlite.SecondProcess", "NpmMirror.Tests.Monitoring.PouchServerTests", "NpmMirror.Tests.Packuments.OracleTests",
    ];

    // A busy machine brings these about too: the test has to pass without the change.
    private static readonly string[] Waits = ["Waited ", "timed out", "TimeoutException", "CanceledException"];

    private readonly string _tests = Path.Combine(tree, "artifacts/bin/NpmMirror.Tests/debug/NpmMirror.Tests.dll");

    /// <summary>Runs.</summary>
    /// <returns>0 when at least nine of ten were noticed.</returns>
    internal async Task<int> RunAsync()
    {
        var catalogue = JsonSerializer.Deserialize<List<Mutation>>(await File.ReadAllTextAsync(Path.Combine(tree, "mutations.json")))!;
        var reached = await ReadReachedAsync(catalogue.Count);
        var random = new Random(seed);
        var chosen = catalogue.OrderBy(_ => random.Next()).Take(sample).ToList();
        var same = File.Exists(equivalents) ? (await File.ReadAllLinesAsync(equivalents)).Where(line => line.Contains(" | ", StringComparison.Ordinal)).Select(line => line.Split(" | ")).ToList() : [];
        var results = Path.Combine(work, $"results-{seed}.txt");
        var known = File.Exists(results) ? (await File.ReadAllLinesAsync(results)).Select(line => line.Split('\t')).ToDictionary(line => line[0], line => line[1]) : [];
        var (noticed, unnoticed, equal) = (0, 0, 0);
        foreach (var mutation in chosen)
        {
            if (same.Exists(line => line[0] == mutation.File && line[1] == $"{mutation.Kind}: {mutation.Original} → {mutation.Changed}"))
            {
                equal++;
                continue;
            }

            var key = mutation.ToString();
            if (!known.TryGetValue(key, out var by))
            {
                by = await TryAsync(mutation, TestsOf(mutation, catalogue, reached)) ?? "";
                await File.AppendAllTextAsync(results, $"{key}\t{by}\n");
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

        var percent = 100.0 * noticed / Math.Max(1, noticed + unnoticed);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{catalogue.Count} changes, {chosen.Count} of them tried with seed {seed}: {noticed} noticed, {unnoticed} not, {equal} that change nothing; {percent:0.0} % noticed."));
        return percent >= 90 ? 0 : 1;
    }

    /// <summary>Which tests reach which switch, and how long each takes; recorded once for a tree.</summary>
    private async Task<Dictionary<int, List<(string Test, long Milliseconds)>>> ReadReachedAsync(int count)
    {
        var file = Path.Combine(work, "tests.jsonl");
        var done = Path.Combine(work, "recorded");
        if (!File.Exists(done))
        {
            File.Delete(file);
            var flags = Path.Combine(work, "reached");
            await File.WriteAllBytesAsync(flags, new byte[count + 1]);
            List<string> arguments = ["-parallel", "none"];
            foreach (var name in LeftOut)
            {
                arguments.AddRange(["-class-", name.EndsWith('.') ? name + "*" : name]);
            }

            Console.WriteLine("Recording which test reaches what; this takes as long as all tests one after the other.");
            var (_, output) = await StartAsync(arguments, new() { ["TEST_MUTATION_REACHED"] = flags, ["TEST_MUTATION_TESTS"] = file }, TimeSpan.FromHours(2));
            await File.WriteAllTextAsync(done, output);
        }

        // A test that fails without a change is no witness.
        var failing = (await File.ReadAllLinesAsync(done)).Where(line => line.Contains(Failed, StringComparison.Ordinal)).Select(NameOf).ToHashSet();

        var reached = new Dictionary<int, List<(string Test, long Milliseconds)>>();
        foreach (var byTest in (await File.ReadAllLinesAsync(file)).Select(line => JsonSerializer.Deserialize<Recorded>(line, JsonSerializerOptions.Web)!).Where(line => !failing.Contains(line.Test)).GroupBy(line => line.Test))
        {
            var milliseconds = byTest.Sum(line => line.Ms);
            foreach (var id in byTest.SelectMany(line => line.Ids).Distinct())
            {
                if (!reached.TryGetValue(id, out var tests))
                {
                    reached[id] = tests = [];
                }

                tests.Add((byTest.Key, milliseconds));
            }
        }

        return reached;
    }

    /// <summary>The method of a line that tells of a failed test.</summary>
    private static string NameOf(string line) => line.Trim().Split(' ', '(')[0];

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
            var (code, output) = await StartAsync(arguments, new() { ["TEST_MUTATION"] = mutation.Id.ToString(CultureInfo.InvariantCulture), ["TEST_DEADLINE"] = "60" }, RunMax);
            if (code == 0)
            {
                continue;
            }

            var failed = output.Split('\n').Where(line => line.Contains(Failed, StringComparison.Ordinal)).Select(NameOf).FirstOrDefault();
            if (failed is null || !Waits.Any(sign => output.Contains(sign, StringComparison.Ordinal)) || (await StartAsync(["-method", failed], new() { ["TEST_DEADLINE"] = "60" }, RunMax)).Code == 0)
            {
                return failed ?? "it did not end";
            }
        }

        return null;
    }

    private async Task<(int Code, string Output)> StartAsync(List<string> arguments, Dictionary<string, string> environment, TimeSpan max)
    {
        var start = new ProcessStartInfo("nice", ["-n", "19", "dotnet", _tests, "-noLogo", "-noColor", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = tree };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var deadline = new CancellationTokenSource(max);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            return (-1, "");
        }

        return (process.ExitCode, await output + await errors);
    }

    private sealed record Recorded(string Test, long Ms, List<int> Ids);
}
