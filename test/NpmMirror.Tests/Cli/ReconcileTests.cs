using System.Globalization;
using System.Text.Json;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary><c>reconcile</c> beside a running <c>serve</c>: its repairs, the removals that it holds back, and its exit code.</summary>
[Trait("Duration", "long")]
public sealed class ReconcileTests : IAsyncLifetime
{
    private const int PackageCount = 60;

    private readonly TestFolder _folder = new();
    private FakeRegistry _upstream = null!;
    private CliProcess _mirror = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        foreach (var i in Enumerable.Range(0, PackageCount))
        {
            _upstream.Publish(new FakePackage(string.Create(CultureInfo.InvariantCulture, $"package-{i}")).Version("1.0.0"));
        }

        // Following nothing, so that only the list tells.
        Assert.Equal(0, (await RunAsync("sync", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all")).Code);
        _mirror = CliProcess.Start(_folder.Path, ["serve", $"--upstream={_upstream.Url}", "--feed=none", "--listen=http://127.0.0.1:0"]);
        await _mirror.WaitForOutputAsync("Serving ");
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("`reconcile` mends beside a running `serve`; a followed mirror reconciles every week, also when it is restarted every day",
        With =
        [
            $"{nameof(Reconciling.ReconciliationScheduleTests)}.{nameof(Reconciling.ReconciliationScheduleTests.Reconciles_every_week_also_when_it_is_started_every_day)}",
            $"{nameof(Reconciling.ReconciliationScheduleTests)}.{nameof(Reconciling.ReconciliationScheduleTests.One_that_fails_is_tried_again_soon)}",
            $"{nameof(Reconciling.ReconciliationScheduleTests)}.{nameof(Reconciling.ReconciliationScheduleTests.Zero_is_never)}",
        ],
        Red = "what is stale is not queued: the first was red; a start does not look at the kept date: the second; a failure counts as a reconciliation, or waits the whole interval: the third; zero is an interval: the last")]
    [Fact]
    public async Task Mends_missing_and_stale_packages_beside_a_running_serve()
    {
        _upstream.Publish(new FakePackage("new").Version("1.0.0"));
        _upstream.PublishVersion("package-1", "2.0.0");
        var (code, output, errors) = await ReconcileAsync("--json");
        Assert.True(code == 0, errors);
        using var answer = JsonDocument.Parse(output);
        var found = answer.RootElement.GetProperty("found");
        Assert.Equal((1, 1, 0), (found.GetProperty("missing").GetInt32(), found.GetProperty("stale").GetInt32(), found.GetProperty("vanished").GetInt32()));
        Assert.Contains("1 missing, 1 stale, 0 vanished of 60 held", (await RunAsync("status")).Output, StringComparison.Ordinal);

        // From either of the two processes.
        Assert.Contains("61 held: 0 missing, 0 stale, 0 vanished.", (await ReconcileAsync()).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Holds_a_bad_night_back_says_so_and_goes_on_when_told()
    {
        foreach (var i in Enumerable.Range(0, 55))
        {
            _upstream.Knobs.Unlisted[$"package-{i}"] = true;
        }

        _upstream.Knobs.DocumentCount = 5;
        var (code, output, errors) = await ReconcileAsync();
        Assert.Equal(4, code);
        Assert.Contains("No vanished package is removed", output, StringComparison.Ordinal);
        Assert.Contains("Removals are held back, 55 packages stay", errors, StringComparison.Ordinal);
        Assert.Contains("REMOVALS ARE HELD BACK", (await RunAsync("status")).Output, StringComparison.Ordinal);

        // They live: asked for, they stay.
        Assert.Equal(0, (await ReconcileAsync("--accept-removals")).Code);
        var status = (await RunAsync("status")).Output;
        Assert.Contains("60 held, 0 removed", status, StringComparison.Ordinal);
        Assert.DoesNotContain("HELD BACK", status, StringComparison.Ordinal);
    }

    [Claim("A reconciliation with a package in doubt is no success (never-again 13)",
        Red = "`reconcile` ends with 0 whatever failed")]
    [Fact]
    public async Task A_package_in_doubt_is_a_failure_as_in_a_sync()
    {
        _upstream.Delete("package-7");
        var (code, output, errors) = await ReconcileAsync();
        Assert.Equal(1, code);
        Assert.Contains("1 failed (1 of them in doubt)", output, StringComparison.Ordinal);
        Assert.Contains("package-7: ", errors, StringComparison.Ordinal);
        Assert.Equal(1, (await RunAsync("sync", "package-7", "--feed=none")).Code);
    }

    [Fact]
    public async Task A_list_that_cannot_be_read_is_a_failure_and_changes_nothing()
    {
        _upstream.Knobs.Fail("*_all_docs", 503, retryAfter: "3600");
        var (code, output, errors) = await ReconcileAsync();
        Assert.Equal((1, ""), (code, output));
        Assert.EndsWith("answered 503. It asks for a pause of 60 minutes. Run it again later.\n", errors, StringComparison.Ordinal);
        var status = (await RunAsync("status")).Output;
        Assert.Contains("failed: ", status, StringComparison.Ordinal);
        Assert.Contains("0 vanished of 0 held", status, StringComparison.Ordinal);
    }

    [Claim("`verify --against-upstream` and `reconcile` fail for the same causes with the same exit codes",
        With = [nameof(Verify_against_the_upstream_doubts_a_list_as_reconcile_does)],
        Red = "`verify` ends as if no list had been doubted: the second was red")]
    [Fact]
    public async Task Verify_against_the_upstream_fails_without_a_list_as_reconcile_does()
    {
        _upstream.Knobs.Feed = FakeFeedDialect.None;
        string[] more = [$"--upstream={_upstream.Url}", "--feed=none"];
        var (code, _, errors) = await RunAsync(["reconcile", .. more]);
        Assert.Equal(2, code);
        Assert.Equal((code, errors), await VerifyAsync(more));
    }

    [Fact]
    public async Task Verify_against_the_upstream_doubts_a_list_as_reconcile_does()
    {
        foreach (var i in Enumerable.Range(0, 55))
        {
            _upstream.Knobs.Unlisted[$"package-{i}"] = true;
        }

        string[] more = [$"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all"];
        Assert.Equal(4, (await RunAsync(["verify", "--against-upstream", .. more])).Code);
        Assert.Equal(4, (await ReconcileAsync()).Code);
    }

    private async Task<(int Code, string Errors)> VerifyAsync(string[] more)
    {
        var (code, _, errors) = await RunAsync(["verify", "--against-upstream", .. more]);
        return (code, errors);
    }

    private Task<(int Code, string Output, string Errors)> ReconcileAsync(params string[] more) =>
        RunAsync(["reconcile", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all", .. more]);

    private Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments) => CliProcess.RunAsync(_folder.Path, arguments);
}
