using System.Globalization;
using System.Runtime.InteropServices;

namespace NpmMirror.Testing;

/// <summary>A <see cref="FakeRegistry"/> as a program of its own: what <c>npm-mirror fake-upstream</c> runs.</summary>
public static class FakeUpstreamProgram
{
    /// <summary>The options, one a line.</summary>
    public const string Usage =
        """
        npm-mirror fake-upstream [--dir FOLDER] [--lazy] [--prepare] [--packages N] [--port P] [--feed couchdb|npm|none]
          --dir FOLDER   serve the packuments of a folder, files named encodeURIComponent(name).json
          --lazy         read them when asked for, and keep only their compressed form
          --prepare      compress all of them before listening is announced
          --packages N   make N small packages, package-1 … package-N
          --port P       listen on this port of 127.0.0.1 (0: a free one)
          --feed F       the dialect of the change feed (couchdb)
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
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ending.Token).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return 0;
    }

    private sealed record Arguments(string? Folder, bool IsLazy, bool IsPrepared, int PackageCount, int Port, FakeFeedDialect Feed)
    {
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
                    _ => null,
                };
                if (next is null)
                {
                    return null;
                }

                arguments = next;
            }

            return arguments;
        }
    }
}
