using System.Text.Json;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary><c>monitor</c> prints as the older tool did, a line a change.</summary>
public sealed class MonitorCommandTests : IAsyncLifetime
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

    [Claim("monitor (B2)",
        With = [nameof(Prints_an_object_a_line_for_programs), nameof(Tells_errors_on_standard_error_and_goes_on)],
        Red = "a data folder is made: the first was red; a sequence that is text is told as a number: the second; errors go to standard output: the last")]
    [Fact]
    public async Task Prints_new_updated_deleted_and_sequence_and_keeps_nothing()
    {
        await using var monitor = Start("--last_seq=0");
        await monitor.WaitForOutputAsync("@ 1");
        _upstream.Publish(new FakePackage("ms").Version("2.1.3").Version("2.1.4"));
        await monitor.WaitForOutputAsync("@ 2");
        _upstream.Delete("ms");
        await monitor.WaitForOutputAsync("@ 3");
        await monitor.SignalAsync("TERM");

        Assert.Equal(0, await monitor.WaitForExitAsync());
        Assert.Equal("Started...\n+ ms@2.1.3\n@ 1\n> ms@2.1.4\n@ 2\n- ms\n@ 3\nTerminated.\n", monitor.Output);
        Assert.Empty(monitor.Errors);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Prints_an_object_a_line_for_programs()
    {
        await using var monitor = Start("--last_seq=0", "--json");
        await monitor.WaitForOutputAsync("\"rev\"");
        await monitor.SignalAsync("INT");

        Assert.Equal(0, await monitor.WaitForExitAsync());
        var events = monitor.Output.TrimEnd().Split('\n').Select(line => JsonDocument.Parse(line).RootElement).Where(told => told.GetProperty("event").GetString() != "poll").ToList();
        Assert.Equal(["start", "new", "rev", "end"], events.Select(told => told.GetProperty("event").GetString()));
        Assert.Equal("2.1.3", events[1].GetProperty("latest").GetString());
        Assert.Equal("1", events[2].GetProperty("last_seq").GetString());
    }

    [Fact]
    public async Task Tells_errors_on_standard_error_and_goes_on()
    {
        _upstream.Knobs.Fail("/ms", 503, timesMax: 1);
        await using var monitor = Start("--last_seq=0");
        await monitor.WaitForErrorAsync("ms: ");
        await monitor.WaitForOutputAsync("+ ms@2.1.3");
    }

    [Fact]
    public async Task An_upstream_without_a_feed_is_told_with_the_option_that_names_one()
    {
        _upstream.Knobs.Feed = FakeFeedDialect.None;
        await using var monitor = Start();
        Assert.Equal(2, await monitor.WaitForExitAsync());
        Assert.Contains("has no feed of changes; name one with feed", monitor.Errors, StringComparison.Ordinal);
    }

    [Claim("Compatibility B2: a sequence that the feed refuses ends `monitor` with the option's name, exit 2",
        Red = "`monitor` takes the refusal for trouble that passes")]
    [Fact]
    public async Task A_refused_sequence_is_told_with_the_option_that_named_it()
    {
        await using var monitor = Start("--last_seq=zzz");
        Assert.Equal(2, await monitor.WaitForExitAsync());
        Assert.Equal(
            $"The feed at {_upstream.Url.AbsoluteUri.TrimEnd('/')} refuses the sequence “zzz” (400, “Bad Request”); give last_seq one that this feed has told, 0 for everything or now for its head.\n",
            monitor.Errors);
    }

    [Theory]
    [InlineData("2")]
    [InlineData("9223372036854775807")]
    public async Task A_sequence_beyond_the_head_is_refused_with_the_option_that_named_it(string beyond)
    {
        await using var monitor = Start($"--last_seq={beyond}");
        Assert.Equal(2, await monitor.WaitForExitAsync());
        Assert.Equal(
            $"The feed at {_upstream.Url.AbsoluteUri.TrimEnd('/')} stands at “1”, before the sequence “{beyond}”; give last_seq one that this feed has told, 0 for everything or now for its head.\n",
            monitor.Errors);
        Assert.Empty(monitor.Output);
    }

    [Fact]
    public async Task The_server_of_couch_host_gives_feed_and_documents()
    {
        await using var monitor = CliProcess.Start(_folder.Path, ["monitor", "--couch.host=127.0.0.1", $"--couch.port={_upstream.Url.Port}", "--couch.db=", "--last_seq=0"]);
        await monitor.WaitForOutputAsync("+ ms@2.1.3");
        Assert.Empty(monitor.Errors);
    }

    private CliProcess Start(params string[] options) => CliProcess.Start(_folder.Path, ["monitor", $"--upstream={_upstream.Url}", .. options]);
}
