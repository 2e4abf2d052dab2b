using NpmMirror.Cli;

namespace NpmMirror.Tests.Cli;

public sealed class TerminalWriterTests : IDisposable
{
    private const int Columns = 60;

    private readonly StringWriter _output = new();
    private readonly TerminalWriter _writer;

    public TerminalWriterTests() => _writer = new TerminalWriter(_output, static () => Columns);

    public void Dispose()
    {
        _writer.Dispose();
        _output.Dispose();
    }

    [Claim("On a terminal progress is one line below the log, and neither tears the other",
        With =
        [
            nameof(A_log_line_in_pieces_is_whole_before_progress_is_drawn_again),
            nameof(A_line_wider_than_the_terminal_is_cut_so_that_it_can_be_written_over),
            nameof(Nothing_is_left_of_it_when_it_is_taken_away),
            nameof(Many_writers_at_once_tear_nothing),
            $"{nameof(SyncTests)}.{nameof(SyncTests.Progress_on_a_terminal_is_one_line_below_the_log)}",
        ],
        Red = "`TerminalWriter` does not erase before it writes: the first and the last were red; it draws in the middle of a line: the second; it does not cut: the third; it leaves its line there: the fourth; it is not installed: the last")]
    [Fact]
    public void Log_lines_stand_above_the_line_of_progress_and_neither_is_torn()
    {
        for (var i = 0; i < 20; i++)
        {
            _writer.Show($"{i} done, {new string('x', 40 - (2 * i))}");
            _writer.WriteLine($"warn: {i}");
        }

        _writer.Show("20 done");
        Assert.Equal([.. Enumerable.Range(0, 20).Select(i => $"warn: {i}"), "20 done"], Screen());
    }

    [Fact]
    public void A_log_line_in_pieces_is_whole_before_progress_is_drawn_again()
    {
        _writer.Show("1 done");
        _writer.Write("warn: ");
        _writer.Show("2 done");
        _writer.Write('a');
        _writer.Write("bc".ToCharArray(), 0, 2);
        _writer.Write("\nwarn: d\n");
        Assert.Equal(["warn: abc", "warn: d", "2 done"], Screen());
    }

    [Fact]
    public void A_line_wider_than_the_terminal_is_cut_so_that_it_can_be_written_over()
    {
        _writer.Show(new string('y', 200));
        _writer.Show("short");
        Assert.Equal(["short"], Screen());
        _writer.Show(new string('y', 200));
        Assert.Equal([new string('y', Columns - 1)], Screen());
    }

    [Fact]
    public void Nothing_is_left_of_it_when_it_is_taken_away()
    {
        _writer.Show("1 done");
        _writer.Show("");
        _writer.WriteLine("the end");
        Assert.Equal(["the end"], Screen());
    }

    [Fact]
    public async Task Many_writers_at_once_tear_nothing()
    {
        await Parallel.ForAsync(0, 200, TestContext.Current.CancellationToken, (i, _) =>
        {
            _writer.Show($"{i} done");
            _writer.WriteLine($"warn: {i}");
            return ValueTask.CompletedTask;
        });
        _writer.Show("");
        Assert.Equal(Enumerable.Range(0, 200).Select(i => $"warn: {i}").Order(StringComparer.Ordinal), Screen().Order(StringComparer.Ordinal));
    }

    private List<string> Screen() => TerminalScreen.LinesOf(_output.ToString(), Columns);
}
