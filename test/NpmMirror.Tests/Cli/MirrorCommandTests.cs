using System.Text.Json;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary><c>mirror</c> follows and stores without serving.</summary>
public sealed class MirrorCommandTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private FakeRegistry _upstream = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("2.1.3"));
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("Compatibility B1: `mirror` and `monitor` with dotted flags, the old README's `--store.engine.options.*` included",
        With =
        [
            $"{nameof(MonitorCommandTests)}.{nameof(MonitorCommandTests.Prints_new_updated_deleted_and_sequence_and_keeps_nothing)}",
            $"{nameof(SettingsTests)}.{nameof(SettingsTests.Every_spelling_of_an_option_means_the_same)}",
        ],
        Red = "the walk does not compare with the list: the first was red; a data folder is made by `monitor`: the second; the older place of an engine's options is not known: the last")]
    [Claim("mirror (B1)",
        Red = "the walk does not compare with the list")]
    [Trait("Duration", "long")]
    [Fact]
    public async Task Holds_past_and_new_changes_and_status_tells_its_progress()
    {
        // The older tool's spelling of the same options.
        await using var mirror = CliProcess.Start(_folder.Path, ["mirror", $"--upstream={_upstream.Url}", "--metadata=all", $"--couch.host={_upstream.Url.Host}", $"--couch.port={_upstream.Url.Port}", "--couch.db=registry", "--store.engine=Sqlite"]);
        await mirror.WaitForOutputAsync("Mirroring ");
        await WaitForAsync(status => Packages(status) == 1);
        _upstream.Publish(new FakePackage("debug").Version("1.0.0"));
        await WaitForAsync(status => Packages(status) == 2 && status.GetProperty("feed").GetProperty("handled").GetString() == "2");

        await mirror.SignalAsync("TERM");
        Assert.Equal(0, await mirror.WaitForExitAsync(20));
    }

    [Trait("Duration", "long")]
    [Theory]
    [InlineData("--log.monitor=information", "NpmMirror.Monitor[", "NpmMirror.Mirror[")]
    [InlineData("--log.mirror=information", "NpmMirror.Mirror[", "NpmMirror.Monitor[")]
    public async Task Monitor_and_mirror_log_under_their_own_names_and_levels(string level, string logged, string silent)
    {
        await using var mirror = CliProcess.Start(_folder.Path, ["mirror", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all", "--log.level=error", level]);
        await mirror.WaitForErrorAsync(logged);
        await WaitForAsync(status => Packages(status) == 1);
        await mirror.SignalAsync("TERM");
        Assert.Equal(0, await mirror.WaitForExitAsync(20));
        Assert.DoesNotContain(silent, mirror.Errors, StringComparison.Ordinal);
    }

    private static long Packages(JsonElement status) => status.GetProperty("counts").GetProperty("packages").GetInt64();

    private async Task WaitForAsync(Func<JsonElement, bool> isReached)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var (_, output, errors) = await CliProcess.RunAsync(_folder.Path, ["status", "--json"]);
            if (output.Length > 0)
            {
                using var status = JsonDocument.Parse(output);
                if (isReached(status.RootElement))
                {
                    return;
                }
            }

            Assert.True(TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(60), output + errors);
        }
    }
}
