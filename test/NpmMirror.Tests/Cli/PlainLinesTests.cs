using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Cli;
using NpmMirror.Notes;
using NpmMirror.Sqlite;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary>No command, and no line of the log, prints a stranger's words so that they steer the terminal or look like another line.</summary>
public sealed partial class PlainLinesTests
{
    private const string Hostile = "9.9.9-\u001b[31m\u0007\r\nFAKE LINE\u202e\u009b2J\u2028x";
    private const string Plain = "9.9.9-\\u001b[31m\\u0007  FAKE LINE\\u202e\\u009b2J\\u2028x";

    [Fact]
    public async Task A_monitor_prints_a_tag_of_a_stranger_on_one_plain_line()
    {
        using var folder = new TestFolder();
        await using var upstream = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        upstream.Publish(new FakePackage("evil").Version("1.0.0"));
        upstream.Tag("evil", "latest", Hostile);
        await using var monitor = CliProcess.Start(folder.Path, ["monitor", $"--upstream={upstream.Url}", "--last_seq=0"]);
        Assert.Equal($"+ evil@{Plain}", await monitor.WaitForOutputAsync("evil"));
        Assert.DoesNotMatch(Steering(), monitor.Output + monitor.Errors);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Status_prints_a_sequence_of_a_stranger_plainly(bool asJson)
    {
        using var folder = new TestFolder();
        await using (var store = new SqliteStore(folder.File(SqliteEngine.FileName), TimeProvider.System))
        {
            await store.OpenAsync(TestContext.Current.CancellationToken);
            foreach (var cursor in new[] { MirrorCursors.Feed, MirrorCursors.Read, MirrorCursors.Handled })
            {
                await store.Notes.SetNoteAsync(cursor, Hostile, TestContext.Current.CancellationToken);
            }
        }

        var (code, output, errors) = await CliProcess.RunAsync(folder.Path, ["status", $"--data={folder.Path}", "--upstream=http://127.0.0.1:9/", .. asJson ? new[] { "--json" } : []]);
        Assert.Equal((0, ""), (code, errors));
        Assert.Contains("FAKE LINE", output, StringComparison.Ordinal);
        Assert.DoesNotMatch(Steering(), output);
    }

    [Fact]
    public void A_printed_line_is_one_plain_line_and_the_programs_own_text_passes()
    {
        using var text = new StringWriter { NewLine = "\n" };
        using var output = new PlainLines(text);
        output.WriteLine($"removed {Hostile}");
        output.Write("\rprogress\n");
        Assert.Equal($"removed {Plain}\n\rprogress\n", text.ToString());
    }

    [Fact]
    public void A_line_of_the_log_is_one_plain_line_with_its_exception()
    {
        using var text = new StringWriter { NewLine = "\n" };
        var entry = new LogEntry<string>(LogLevel.Warning, "NpmMirror.Mirror", new EventId(1001), Hostile, new InvalidOperationException(Hostile), (state, _) => state);
        new LogLines().Write(entry, null, text);
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*warn.*: NpmMirror\.Mirror\[1001\] " + Regex.Escape(Plain) + " System.InvalidOperationException: " + Regex.Escape(Plain) + "\n$", text.ToString());
    }

    [GeneratedRegex(@"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]|^FAKE LINE", RegexOptions.Multiline)]
    private static partial Regex Steering();
}
