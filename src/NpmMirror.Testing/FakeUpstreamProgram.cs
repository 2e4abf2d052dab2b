using System.Globalization;
using System.Runtime.InteropServices;

namespace NpmMirror.Testing;

/// <summary>A <see cref="FakeRegistry"/> as a program of its own: <c>npm-mirror fake-upstream</c>.</summary>
public static class FakeUpstreamProgram
{
    /// <summary>The options, one a line.</summary>
    public const string Usage =
        """
        npm-mirror fake-upstream [--dir FOLDER] [--lazy] [--prepare] [--packages N] [--port P] [--feed couchdb|npm|none]
                                     [--changes N] [--seed N] [--late-rows P] [--lost-rows P] ...
          --dir FOLDER   serve the packuments of a folder, files named encodeURIComponent(name).json
          --lazy         read them when asked for, and keep only their compressed form
          --prepare      compress all of them before listening is announced
          --packages N   make N small packages, package-1 … package-N
          --port P       listen on this port of 127.0.0.1 (0: a free one)
          --feed F       the dialect of the change feed (couchdb)
          --sequences S  how the feed writes sequences: number, text or array
          --changes N    so many changes a second: publishes, deprecations, tags, owners, unpublishes, takedowns, deletions
        What goes wrong by chance (P of 1), repeatable by --seed N:
          --late-rows P [--late-rows-max T]     rows that appear before cursors that have passed (at most 1.00:00:00 late)
          --lost-rows P, --lost-deletions P     rows that never come
          --duplicate-rows P, --malformed-rows P, --odd-rows P
          --lagging-packuments P [--lagging-max T]
          --fresh-tarballs T                    new tarballs are a 404 for so long
          --troubles P, --hangs P               429 with HTML, 5xx, cut and reset answers, half a gzip; no answer
        T are durations: 30s, 10m, 6h, 00:10:00. docs/following.md tells how to change all this while it runs.
        """;

    /// <summary>Runs until SIGINT or SIGTERM, or until cancelled. The first line on the output is the address.</summary>
    /// <returns>The exit code: 2 when the arguments are wrong.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, CancellationToken cancellationToken = default)
    {
        var arguments = FakeUpstreamArguments.Read(args);
        if (arguments.Faults.Count > 0)
        {
            foreach (var fault in arguments.Faults)
            {
                await Console.Error.WriteLineAsync(fault);
            }

            return 2;
        }

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        void End(PosixSignalContext signal)
        {
            signal.Cancel = true;
            ending.Cancel();
        }

        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        await using var registry = await FakeRegistry.StartAsync(arguments.Port, cancellationToken: ending.Token);
        registry.Knobs.Feed = arguments.Feed;
        registry.Knobs.Sequences = arguments.Sequences;
        foreach (var (mishap, value) in arguments.Mishaps)
        {
            mishap.TrySet(registry.Knobs.Mishaps, value);
        }

        // A benchmark sends millions of requests: a few are enough to look at.
        registry.Requests.RequestsMax = 1_000;
        for (var i = 1; i <= arguments.PackageCount; i++)
        {
            registry.Publish(new FakePackage(string.Create(CultureInfo.InvariantCulture, $"package-{i}")).Version("1.0.0").Version("1.1.0"));
        }

        var count = arguments.Folder is { } folder ? registry.AddFolder(folder, arguments.IsLazy) : 0;
        if (arguments.IsPrepared)
        {
            registry.Prepare();
        }

        await Console.Out.WriteLineAsync(registry.Url.AbsoluteUri);
        await Console.Out.WriteLineAsync($"{count + arguments.PackageCount} packages; end with Ctrl+C.");
        await Console.Out.FlushAsync(cancellationToken);
        if (arguments.ChangesPerSecond > 0)
        {
            registry.Life.ChangesPerSecond = arguments.ChangesPerSecond;
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return 0;
    }
}
