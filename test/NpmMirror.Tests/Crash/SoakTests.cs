using System.Globalization;
using System.Text.Json.Nodes;
using NpmMirror.Tests.Clients;

namespace NpmMirror.Tests.Crash;

/// <summary>
/// In real time, by real processes: an upstream that lies and fails, a mirror that is killed every few seconds, a checker that shares no code with
/// either. <c>NPM_MIRROR_SOAK_SECONDS=1800</c> for half an hour.
/// </summary>
public sealed class SoakTests(ITestOutputHelper output)
{
    private const string Variable = "NPM_MIRROR_SOAK_SECONDS";

    private const int KillsLeast = 4;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("In real time, by processes that are killed every few seconds, it ends equal too, and the log is dense and chained")]
    [Fact(Timeout = 3_600_000)]
    public async Task Ends_equal_after_many_kills_with_an_upstream_that_lies_and_fails()
    {
        var length = TimeSpan.FromSeconds(int.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : 12);
        using var folder = new TestFolder();
        await using var upstream = await FakeUpstreamProcess.StartAsync(40, folder.Path, TestContext.Current.CancellationToken);
        await upstream.ControlAsync("knobs", new JsonObject { ["feed"] = "NpmPaged" }, Token);
        await upstream.ControlAsync("mishaps", Hostile(), Token);
        var begun = TimeProvider.System.GetTimestamp();
        var (kills, changes) = (0, 0);
        while (TimeProvider.System.GetElapsedTime(begun) < length || kills < KillsLeast)
        {
            await using var mirror = await StartAsync(upstream, folder);
            // As if random, but the same each time.
            for (var second = 0; second < 1 + (kills % 3); second++)
            {
                changes = (await upstream.ControlAsync("life", new JsonObject { ["changes"] = 10 }, Token))["changes"]!.GetValue<int>();
                await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, Token);
            }

            await mirror.KillAsync();
            kills++;
        }

        var happened = await upstream.ControlAsync("mishaps", Quiet(), Token);
        await using var last = await StartAsync(upstream, folder);
        await Eventually.Async(() => last.Output.Contains("[2001] Following", StringComparison.Ordinal));
        // Late rows are late by seconds here; an earlier request would make the mirror look, and the checker mend the difference that it is to find.
        await Task.Delay(TimeSpan.FromSeconds(6), TimeProvider.System, Token);
        output.WriteLine(await OutsideChecks.WaitUntilEqualAsync(upstream, last, Token));
        await last.StopAsync();
        await OutsideChecks.CheckLogAsync(folder, output, Token);
        output.WriteLine($"{TimeProvider.System.GetElapsedTime(begun).TotalSeconds:N0} s, {kills} kills, {changes} changes, {happened}");
        Assert.True(kills >= KillsLeast && changes > 0 && happened["lateRows"]!.GetValue<int>() > 0 && happened["troubles"]!.GetValue<int>() > 0, $"Too little happened: {happened}");
    }

    private static JsonObject Hostile() => new()
    {
        ["seed"] = 20261122,
        ["lateRows"] = 0.2,
        ["lateRowsMax"] = "00:00:05",
        ["duplicateRows"] = 0.1,
        ["malformedRows"] = 0.05,
        ["oddRows"] = 0.1,
        ["laggingPackuments"] = 0.3,
        ["laggingMax"] = "00:00:03",
        ["troubles"] = 0.1,
    };

    private static JsonObject Quiet() => new()
    {
        ["lateRows"] = 0,
        ["duplicateRows"] = 0,
        ["malformedRows"] = 0,
        ["oddRows"] = 0,
        ["laggingPackuments"] = 0,
        ["troubles"] = 0,
    };

    private static Task<MirrorProcess> StartAsync(FakeUpstreamProcess upstream, TestFolder folder) =>
        MirrorProcess.StartAsync(upstream.Url, folder.Folder("data"), [$"--feed={upstream.Feed}", "--metadata=all", "--pollDelay=500ms"], null, Token);
}
