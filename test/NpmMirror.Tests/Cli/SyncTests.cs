using System.Globalization;
using System.Text.Json;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary><c>sync</c> over everything: told while it goes, broken off and gone on.</summary>
[Trait("Duration", "long")]
public sealed class SyncTests : IAsyncLifetime
{
    private const int PackageCount = 30;

    private readonly TestFolder _folder = new();
    private FakeRegistry _upstream = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        for (var i = 0; i < PackageCount; i++)
        {
            _upstream.Publish(new FakePackage(string.Create(CultureInfo.InvariantCulture, $"package-{i}")).Version("1.0.0"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Brings_everything_after_one_that_was_killed()
    {
        using (var gate = _upstream.Knobs.Hold("/package-2*"))
        {
            await using var first = Start();
            await gate.WaitForAsync(10, TestContext.Current.CancellationToken);
            await first.SignalAsync("KILL");
            await first.WaitForExitAsync();
        }

        await using var second = Start();
        Assert.Equal(0, await second.WaitForExitAsync(90));
        Assert.Equal(PackageCount, await HeldAsync());
    }

    [Claim("A sync that was broken off or killed is finished by the next, never \"0 failed\" with packages missing (never-again 13, 15)",
        With = [nameof(Brings_everything_after_one_that_was_killed)],
        Red = "DrainAsync leaves without its workers and CatchUp skips what another holds (the first test seen red with both together")]
    [Fact]
    public async Task Tells_how_far_it_is_and_goes_on_where_it_was_broken_off()
    {
        using var gate = _upstream.Knobs.Hold("/package-2*");
        await using (var first = Start())
        {
            // Everything except the held answers, a plain line every five seconds.
            await first.WaitForErrorAsync(" 19 done, ");
            await first.SignalAsync("TERM");
            Assert.Equal(1, await first.WaitForExitAsync(30));
            Assert.Contains("Interrupted; what is left stays queued: run sync again to go on.", first.Errors, StringComparison.Ordinal);
        }

        Assert.InRange(await HeldAsync(), 1, PackageCount - 11);
        gate.Open();
        await using var second = Start();
        Assert.Equal(0, await second.WaitForExitAsync(90));
        Assert.Contains(" 0 failed; ", second.Output, StringComparison.Ordinal);
        Assert.Equal(PackageCount, await HeldAsync());
    }

    [Fact]
    public async Task A_busy_upstream_ends_no_run_and_each_wait_is_told()
    {
        _upstream.Knobs.Fail("*_all_docs", 429, timesMax: 1, retryAfter: "0");
        await using var sync = Start();
        Assert.Equal(0, await sync.WaitForExitAsync(90));
        Assert.Contains("30 changed, 0 unchanged, 0 removed, 0 failed", sync.Output, StringComparison.Ordinal);
        Assert.Matches(@"Asking again in 1\.\d s, try 2 of 5: The upstream at .*_all_docs answered 429: too many requests\.", sync.Errors);
    }

    [Fact]
    public async Task Progress_on_a_terminal_is_one_line_below_the_log()
    {
        // Each of these is a line of the log.
        _upstream.Knobs.Fail("/package-1*/-/*", 404);
        // script gives the program a terminal.
        string[] terminal = ["sh", "-c", "exec script --quiet --return --flush --command \"$*\" /dev/null", "sh"];
        await using var sync = CliProcess.StartBelow(terminal, _folder.Path, ["sync", $"--upstream={_upstream.Url}", "--metadata=all", "--tarballs=eager"], ("TERM", "xterm"));
        Assert.Equal(1, await sync.WaitForExitAsync(90));
        Assert.Contains("asking the upstream", sync.Output, StringComparison.Ordinal);
        Assert.Contains(" done, ", sync.Output, StringComparison.Ordinal);
        var lines = TerminalScreen.LinesOf(sync.Output, 10_000);
        var told = lines.Where(line => line.Contains("Tarball of package-1", StringComparison.Ordinal)).ToList();
        Assert.InRange(told.Count, 11, 1_000);
        Assert.All(told, line => Assert.Matches(@"^(\S+Z )?warn: .*is not held: .*\(it answered 404.*\)\.$", line));
        Assert.Contains(lines, line => line.StartsWith("30 changed, 0 unchanged, 0 removed, 11 failed", StringComparison.Ordinal));
    }

    [Claim("Names on `list` that the upstream does not have are told and fail `sync`; a version given to `sync` is told with the form it takes",
        With = [$"{nameof(BesideServeTests)}.{nameof(BesideServeTests.A_version_given_to_sync_is_told_with_the_form_it_takes)}"],
        Red = "`CatchUp.Want` wants nothing: the first was red; `sync` takes `name@version` for a name: the last")]
    [Fact]
    public async Task Listed_names_that_the_upstream_does_not_have_are_told_and_fail_a_sync()
    {
        Assert.Equal(1, await ListedAsync("package-1,nowhere,package-2*,no-such-*", "12 changed"));
        // Also the next time, when the others are held.
        Assert.Equal(1, await ListedAsync("package-1,nowhere,package-2*,no-such-*", "0 changed"));
        Assert.Equal(0, await ListedAsync("package-1,package-2*,no-such-*", "0 changed"));
    }

    private async Task<int> ListedAsync(string list, string summary)
    {
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, ["sync", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=listed", $"--list={list}"]);
        Assert.StartsWith(summary, output, StringComparison.Ordinal);
        Assert.Equal(code == 1, errors.EndsWith("\nnowhere: The upstream has no such package.\n", StringComparison.Ordinal));
        return code;
    }

    private CliProcess Start() => CliProcess.Start(_folder.Path, ["sync", $"--upstream={_upstream.Url}", "--metadata=all"]);

    private async Task<long> HeldAsync()
    {
        var (_, output, _) = await CliProcess.RunAsync(_folder.Path, ["status", "--json"]);
        using var status = JsonDocument.Parse(output);
        return status.RootElement.GetProperty("counts").GetProperty("packages").GetInt64();
    }
}
