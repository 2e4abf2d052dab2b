using System.Collections.Immutable;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;

namespace NpmMirror.Testing;

/// <summary>A <see cref="FakeRegistry"/> as a program of its own: what <c>npm-mirror fake-upstream</c> runs.</summary>
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
          --late-rows P [--late-rows-max T]     rows that appear behind cursors that have passed (at most 1.00:00:00 late)
          --lost-rows P, --lost-deletions P     rows that never come
          --duplicate-rows P, --malformed-rows P, --odd-rows P
          --lagging-packuments P [--lagging-max T]
          --fresh-tarballs T                    new tarballs are a 404 for so long
          --troubles P, --hangs P               429 with HTML, 5xx, cut and reset answers, half a gzip; no answer
        docs/following.md tells how to change all this while it runs.
        """;

    /// <summary>Runs until SIGINT or SIGTERM, or until cancelled. The first line on the output is the address.</summary>
    /// <returns>The exit code: 2 when the arguments are wrong.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, CancellationToken cancellationToken = default)
    {
        if (Arguments.Parse(args) is not { } arguments)
        {
            await Console.Error.WriteLineAsync(Usage);
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
            mishap.SetValue(registry.Knobs.Mishaps, value);
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
        var changing = arguments.ChangesPerSecond > 0 ? ChangeAsync(registry.Life, TimeSpan.FromSeconds(1 / arguments.ChangesPerSecond), ending.Token) : Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ending.Token);
        await changing.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return 0;
    }

    private static async Task ChangeAsync(FakeLife life, TimeSpan every, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(every);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            life.Change();
        }
    }

    private sealed record Arguments(string? Folder, bool IsLazy, bool IsPrepared, int PackageCount, int Port, FakeFeedDialect Feed)
    {
        public FakeSequenceStyle Sequences { get; init; }

        public double ChangesPerSecond { get; init; }

        public ImmutableArray<(PropertyInfo Mishap, object Value)> Mishaps { get; init; } = [];

        public static Arguments? Parse(IReadOnlyList<string> args)
        {
            var arguments = new Arguments(null, IsLazy: false, IsPrepared: false, 0, 0, FakeFeedDialect.CouchDb);
            for (var i = 0; i < args.Count; i++)
            {
                // Both spellings of a flag: --port 80 and --port=80.
                var parts = args[i].Split('=', 2);
                string? Value() => parts.Length == 2 ? parts[1] : ++i < args.Count ? args[i] : null;
                int? Number() => int.TryParse(Value(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
                Arguments? next = parts[0] switch
                {
                    "--lazy" => arguments with { IsLazy = true },
                    "--prepare" => arguments with { IsPrepared = true },
                    "--dir" => Value() is { } folder && Directory.Exists(folder) ? arguments with { Folder = folder } : null,
                    "--packages" => Number() is { } count ? arguments with { PackageCount = count } : null,
                    "--port" => Number() is { } port and <= 65_535 ? arguments with { Port = port } : null,
                    "--feed" => Value() switch
                    {
                        "couchdb" => arguments with { Feed = FakeFeedDialect.CouchDb },
                        "npm" => arguments with { Feed = FakeFeedDialect.NpmPaged },
                        "none" => arguments with { Feed = FakeFeedDialect.None },
                        _ => null,
                    },
                    "--changes" => double.TryParse(Value(), NumberStyles.Float, CultureInfo.InvariantCulture, out var rate) && rate is > 0 and < 1_000 ? arguments with { ChangesPerSecond = rate } : null,
                    "--sequences" => Enum.TryParse<FakeSequenceStyle>(Value(), ignoreCase: true, out var style) ? arguments with { Sequences = style } : null,
                    var flag => MishapOf(flag) is { } mishap && Read(mishap.PropertyType, Value()) is { } value ? arguments with { Mishaps = arguments.Mishaps.Add((mishap, value)) } : null,
                };
                if (next is null)
                {
                    return null;
                }

                arguments = next;
            }

            return arguments;
        }

        /// <summary>What can go wrong by chance has its flag by its name: <c>--late-rows</c>.</summary>
        private static PropertyInfo? MishapOf(string flag)
        {
            var name = flag.StartsWith("--", StringComparison.Ordinal) ? flag.Replace("-", "", StringComparison.Ordinal) : "";
            return typeof(FakeMishaps).GetProperties().FirstOrDefault(one => one.CanWrite && one.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        }

        private static object? Read(Type type, string? text) =>
            type == typeof(double) && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var chance) && chance is >= 0 and <= 1 ? chance
            : type == typeof(TimeSpan) && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) && time >= TimeSpan.Zero ? time
            : type == typeof(int) && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seed) ? seed
            : null;
    }
}
