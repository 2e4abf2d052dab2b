using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;

namespace NpmMirror.Mutations;

/// <summary>Which tests reach which switch, and how long each test takes: recorded once for a tree, in as many processes as there are processors.</summary>
internal sealed class Recording(TestProgram program, string work)
{
    // A process runs so many classes one after the other, and then another process the next.
    private const int ClassesAtOnce = 6;

    // Not about the changed files, or about the tree itself.
    private static readonly string[] LeftOut =
    [
        "NpmMirror.Tests.Clients.", "NpmMirror.Tests.Samples.", "NpmMirror.Tests.Testing.", "NpmMirror.Tests.TidyTests", "NpmMirror.Tests.TestRunTests", "NpmMirror.Tests.Cli.RunScriptTests",
        "NpmMirror.Tests.Cli.DocumentationTests", "NpmMirror.Tests.Following.FollowingProofTests", "NpmMirror.Tests.Syncing.SyncFuzzTests", "NpmMirror.Tests.Packuments.FuzzTests", "NpmMirror.Tests.Packuments.LargeBodyTests", "NpmMirror.Tests.Cli.DiskTests",
        "NpmMirror.Tests.Feeds.FeedFuzzTests", "NpmMirror.Tests.Crash.", "NpmMirror.Tests.Sqlite.SecondProcess", "NpmMirror.Tests.Following.PouchServerTests", "NpmMirror.Tests.Packuments.OracleTests",
    ];

    /// <summary>Records, or reads what was recorded before.</summary>
    /// <param name="switches">How many switches there are.</param>
    internal async Task<Dictionary<int, List<(string Test, long Milliseconds)>>> ReadAsync(int switches)
    {
        var file = Path.Combine(work, "tests.jsonl");
        var done = Path.Combine(work, "recorded");
        if (!File.Exists(done))
        {
            await RecordAsync(switches, file, done);
        }

        // A test that fails without a change is no witness.
        var failing = (await File.ReadAllLinesAsync(done)).ToHashSet();
        var reached = new Dictionary<int, List<(string Test, long Milliseconds)>>();
        foreach (var byTest in (await File.ReadAllLinesAsync(file)).Select(line => JsonSerializer.Deserialize<Line>(line, JsonSerializerOptions.Web)!).Where(line => !failing.Contains(line.Test)).GroupBy(line => line.Test))
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

    private async Task RecordAsync(int switches, string file, string done)
    {
        Console.WriteLine("Recording which test reaches what; this takes as long as all tests.");
        var (_, list) = await program.RunAsync(["-list", "classes", .. LeftOut.SelectMany(name => (string[])["-class-", name.EndsWith('.') ? name + "*" : name])], [], TimeSpan.FromMinutes(5));
        var batches = new ConcurrentQueue<string[]>(list.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("NpmMirror.Tests.", StringComparison.Ordinal)).Chunk(ClassesAtOnce));
        if (batches.IsEmpty)
        {
            throw new InvalidOperationException($"The woven tests do not tell their classes: {list}");
        }

        var failing = new ConcurrentBag<string>();
        await Task.WhenAll(Enumerable.Range(0, Environment.ProcessorCount).Select(async worker =>
        {
            var lines = $"{file}.{worker.ToString(CultureInfo.InvariantCulture)}";
            var flags = Path.Combine(work, $"reached.{worker.ToString(CultureInfo.InvariantCulture)}");
            File.Delete(lines);
            while (batches.TryDequeue(out var classes))
            {
                await File.WriteAllBytesAsync(flags, new byte[switches + 1]);
                var (_, output) = await program.RunAsync(
                    ["-parallel", "none", .. classes.SelectMany(name => (string[])["-class", name])],
                    new() { ["TEST_MUTATION_REACHED"] = flags, ["TEST_MUTATION_TESTS"] = lines },
                    TimeSpan.FromMinutes(30));
                output.Split('\n').Select(TestProgram.FailedTest).OfType<string>().ToList().ForEach(failing.Add);
            }
        }));
        await File.WriteAllLinesAsync(file, Directory.EnumerateFiles(work, "tests.jsonl.*").SelectMany(File.ReadLines));
        await File.WriteAllLinesAsync(done, failing.Distinct());
    }

    private sealed record Line(string Test, long Ms, List<int> Ids);
}
