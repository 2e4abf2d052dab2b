using NpmMirror.Tests.Clients;

namespace NpmMirror.Tests.Crash;

/// <summary>Looks at a mirror from outside, by scripts that share no code with it.</summary>
internal static class OutsideChecks
{
    private static readonly TimeSpan EqualWithin = TimeSpan.FromSeconds(60);

    /// <summary>Asks the script until it finds no difference: the mirror catches up by itself. Returns its counts.</summary>
    internal static async Task<string> WaitUntilEqualAsync(FakeUpstreamProcess upstream, MirrorProcess mirror, CancellationToken cancellationToken)
    {
        var script = Path.Combine(AppContext.BaseDirectory, "Crash", "compare.mjs");
        var begun = TimeProvider.System.GetTimestamp();
        while (true)
        {
            using var folder = new TestFolder();
            var run = await RunAsync(["node", script, upstream.Url.AbsoluteUri, mirror.Registry.AbsoluteUri], folder, cancellationToken);
            if (run.ExitCode == 0)
            {
                return run.Output;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(begun) < EqualWithin, $"{run.Output}\n{mirror.Output}");
            await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System, cancellationToken);
        }
    }

    /// <summary>The log in the database of a mirror that has ended: dense, chained, each event once and in order.</summary>
    internal static async Task CheckLogAsync(TestFolder folder, ITestOutputHelper output, CancellationToken cancellationToken)
    {
        var file = Directory.EnumerateFiles(folder.Folder("data"), "*.sqlite", SearchOption.AllDirectories).Single();
        const string Log = "SELECT l.position, p.name AS package, l.generation, l.ordinal, l.type, l.at, l.seen_at, l.upstream_rev AS rev, hex(l.payload) AS payload, lower(hex(l.hash)) AS hash FROM log l JOIN packages p ON p.id = l.package ORDER BY l.position";
        var script = Path.Combine(AppContext.BaseDirectory, "Crash", "checklog.mjs");
        var check = await RunAsync(["bash", "-c", "set -o pipefail; sqlite3 -json \"$1\" \"$2\" | node \"$3\"", "check", file, Log, script], folder, cancellationToken);
        output.WriteLine(check.Output);
        Assert.Equal(0, check.ExitCode);
    }

    private static Task<TestRun> RunAsync(IReadOnlyList<string> command, TestFolder folder, CancellationToken cancellationToken) =>
        TestProcess.RunAsync(command, folder.Path, MirrorProcess.BaseEnvironment(folder.Path), TimeSpan.FromSeconds(60), cancellationToken);
}
