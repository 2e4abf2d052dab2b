using System.Globalization;
using System.Text.Json.Nodes;
using NpmMirror.Diagnostics;
using NpmMirror.Tests.Clients;

namespace NpmMirror.Tests.Crash;

/// <summary>
/// The mirror dies without warning, again and again, while its upstream changes; upstream and checker are other processes that share no
/// code with it. Afterwards every document, tag, removal and tarball is as the upstream says, and each event is in the log once, in order.
/// </summary>
public sealed class KillTests(ITestOutputHelper output)
{
    private const int Packages = 40;
    private const int Kills = 20;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("Killed with packages in flight, and between any two writes: nothing is lost, each event once and in order, the chain verified by an independent script",
        With = [nameof(Loses_nothing_when_it_dies_between_two_writes)],
        Red = "`SyncQueue` takes the item from the queue before the sync")]
    [Fact]
    public async Task Loses_nothing_when_it_is_killed_with_packages_in_flight()
    {
        using var folder = new TestFolder();
        await using var upstream = await FakeUpstreamProcess.StartAsync(Packages, folder.Path, Token);
        await upstream.ControlAsync("rules", new JsonObject { ["path"] = "/package-*", ["headerDelay"] = "00:00:00.150" }, Token);
        await using (var first = await StartAsync(upstream, folder, null))
        {
            await OutsideChecks.WaitUntilEqualAsync(upstream, first, Token);
        }

        var changes = new Changes(upstream, seed: 20261121);
        output.WriteLine($"seed {Changes.SeedOf(changes)}");
        for (var kill = 1; kill <= Kills; kill++)
        {
            await using var mirror = await StartAsync(upstream, folder, null);
            var inFlight = await ChangeUntilInFlightAsync(upstream, changes);
            await mirror.KillAsync();
            output.WriteLine($"kill {kill}: {inFlight} packages in flight");
            Assert.True(inFlight > 0);
        }

        await CheckAsync(upstream, folder);
    }

    [Theory]
    [InlineData(CrashPoint.AfterBlobRename)]
    [InlineData(CrashPoint.BeforeCommit)]
    [InlineData(CrashPoint.AfterCommit)]
    [InlineData(CrashPoint.AfterEnqueueBeforeCursor)]
    [InlineData(CrashPoint.AfterCommitBeforeComplete)]
    [InlineData(CrashPoint.WhileNumberingEvents)]
    public async Task Loses_nothing_when_it_dies_between_two_writes(string place)
    {
        using var folder = new TestFolder();
        await using var upstream = await FakeUpstreamProcess.StartAsync(5, folder.Path, Token);
        await using (var first = await StartAsync(upstream, folder, null))
        {
            await OutsideChecks.WaitUntilEqualAsync(upstream, first, Token);
            await first.StopAsync();
        }

        // Two events in one commit, so that there is a place between them.
        await upstream.ControlAsync("publish", new JsonObject { ["name"] = "package-1", ["version"] = "3.0.0" }, Token);
        var dying = await MirrorProcess.StartAsync(upstream.Url, folder.Folder("data"), Options(upstream), new Dictionary<string, string> { ["NPM_MIRROR_CRASH_AT"] = place }, Token)
            .ContinueWith(started => started.IsCompletedSuccessfully ? started.Result : null, Token, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        if (dying is not null)
        {
            await using (dying)
            {
                await upstream.ControlAsync("publish", new JsonObject { ["name"] = "package-2", ["version"] = "3.0.0" }, Token);
                Assert.True(await dying.WaitForExitAsync(TimeSpan.FromSeconds(30)), $"Nothing passed {place}: {dying.Output}");
            }
        }

        await CheckAsync(upstream, folder);
    }

    private static string[] Options(FakeUpstreamProcess upstream) => [$"--feed={upstream.Feed}", "--metadata=all", "--tarballs=eager"];

    private static Task<MirrorProcess> StartAsync(FakeUpstreamProcess upstream, TestFolder folder, IReadOnlyDictionary<string, string>? environment) =>
        MirrorProcess.StartAsync(upstream.Url, folder.Folder("data"), Options(upstream), environment, Token);

    private static async Task<int> ChangeUntilInFlightAsync(FakeUpstreamProcess upstream, Changes changes)
    {
        // Items of the killed process come back when its lease ends: some seconds may pass.
        var begun = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(begun) < TimeSpan.FromSeconds(60))
        {
            await changes.MakeAsync(3, Token);
            if (await upstream.InFlightAsync(Token) is var inFlight and > 0)
            {
                return inFlight;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Token);
        }

        return 0;
    }

    private async Task CheckAsync(FakeUpstreamProcess upstream, TestFolder folder)
    {
        await upstream.ControlAsync("rules", new JsonObject { ["path"] = "/nothing" }, Token);
        await using var mirror = await StartAsync(upstream, folder, null);

        // Before the feed is followed a request would make the mirror look again, and the checker would mend the difference that it is to find.
        await Eventually.Async(() => mirror.Output.Contains("[2001] Following", StringComparison.Ordinal));
        await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System, Token);
        output.WriteLine(await OutsideChecks.WaitUntilEqualAsync(upstream, mirror, Token));
        await mirror.StopAsync();

        await OutsideChecks.CheckLogAsync(folder, output, Token);
    }

    /// <summary>Seeded changes of every kind. A removed package never comes back, so that each version is published once.</summary>
    private sealed class Changes(FakeUpstreamProcess upstream, int seed)
    {
        // Reproducible on purpose: not for secrets.
#pragma warning disable CA5394
        private readonly Random _random = new(seed);
        private readonly HashSet<int> _gone = [];
        private int _minor = 2;

        public static int SeedOf(Changes changes) => changes.Seed;

        private int Seed => seed;

        public async Task MakeAsync(int count, CancellationToken cancellationToken)
        {
            for (var i = 0; i < count; i++)
            {
                var number = _random.Next(1, Packages + 1);
                if (!_gone.Contains(number))
                {
                    await MakeAsync(number, string.Create(CultureInfo.InvariantCulture, $"package-{number}"), cancellationToken);
                }
            }
        }

        private Task<JsonNode> MakeAsync(int number, string name, CancellationToken cancellationToken)
        {
            var kind = _random.Next(20);
            if (kind == 0 && _gone.Count < Packages / 4)
            {
                _gone.Add(number);
                return upstream.ControlAsync(_gone.Count % 2 == 0 ? "delete" : "unpublish", new JsonObject { ["name"] = name }, cancellationToken);
            }

            return kind switch
            {
                < 10 => upstream.ControlAsync("publish", new JsonObject { ["name"] = name, ["version"] = string.Create(CultureInfo.InvariantCulture, $"1.{_minor++}.0") }, cancellationToken),
                < 14 => upstream.ControlAsync("deprecate", new JsonObject { ["name"] = name, ["version"] = "1.0.0", ["message"] = $"no {_random.Next()}" }, cancellationToken),
                < 17 => upstream.ControlAsync("tag", new JsonObject { ["name"] = name, ["tag"] = "old", ["version"] = "1.0.0" }, cancellationToken),
                _ => upstream.ControlAsync("touch", new JsonObject { ["name"] = name }, cancellationToken),
            };
        }
#pragma warning restore CA5394
    }
}
