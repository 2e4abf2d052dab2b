using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary>The end of a command whose output was closed: <c>npm-mirror monitor | head</c>.</summary>
public sealed class ClosedOutputTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private FakeRegistry _upstream = null!;

    public static TheoryData<string> Commands => ["status", "status --json", "verify", "verify --json", "removed --json", "gc", "config", "sync ms", "--help"];

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("1.0.0"));
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A command ends when its output is closed, quietly and not with success; servers go on",
        With =
        [
            nameof(A_monitor_whose_upstream_is_away_ends_with_its_reader_too),
            nameof(A_command_with_closed_output_ends_quietly_and_not_with_0),
            nameof(A_mirror_goes_on_without_a_reader_of_its_output),
        ],
        Red = "`MonitorCommand.EndWithReaderAsync` looks at nothing: the second was red; `WatchedWriter` writes on: the first and the third; `Announce` lets the end of its reader through: the last")]
    [Fact]
    public async Task A_monitor_ends_with_its_reader_also_when_nothing_changes()
    {
        string[] head = ["bash", "-c", "\"$@\" | head -n 1; echo \"code ${PIPESTATUS[0]}\"", "bash"];
        await using var monitor = CliProcess.StartBelow(head, _folder.Path, ["monitor", $"--upstream={_upstream.Url}"]);
        Assert.Equal(0, await monitor.WaitForExitAsync());
        Assert.Equal(("Started...\ncode 141\n", ""), (monitor.Output, monitor.Errors));
    }

    [Fact]
    public async Task A_monitor_whose_upstream_is_away_ends_with_its_reader_too()
    {
        await using var monitor = StartUnread(["monitor", "--upstream=http://127.0.0.1:9/"]);
        await monitor.WaitForErrorAsync("code 141");
    }

    [Trait("Duration", "long")]
    [Theory]
    [MemberData(nameof(Commands))]
    public async Task A_command_with_closed_output_ends_quietly_and_not_with_0(string command)
    {
        Assert.Equal(0, (await CliProcess.RunAsync(_folder.Path, ["sync", "ms", $"--upstream={_upstream.Url}"])).Code);
        await using var unread = StartUnread(command.Split(' '));
        await unread.WaitForExitAsync();
        Assert.Equal("code 141\n", unread.Errors);
    }

    [Trait("Duration", "long")]
    [Fact]
    public async Task A_mirror_goes_on_without_a_reader_of_its_output()
    {
        await using var mirror = StartUnread(["mirror", $"--upstream={_upstream.Url}", "--metadata=all", "--log.level=warning"]);
        await Eventually.Async(() => _upstream.Requests.CountOf("/ms") > 0);
        _upstream.Publish(new FakePackage("later").Version("1.0.0"));
        await Eventually.Async(() => _upstream.Requests.CountOf("/later") > 0);
        Assert.False(mirror.HasExited);
    }

    /// <summary>Starts the program once the reader of its output has gone for certain; its exit code is the last line on standard error.</summary>
    private CliProcess StartUnread(string[] arguments)
    {
        const string script = "trap '' PIPE; { while printf . 2>/dev/null; do :; done; \"$@\"; echo \"code $?\" >&2; } | head -c 1";
        return CliProcess.StartBelow(["bash", "-c", script, "bash"], _folder.Path, arguments);
    }
}
