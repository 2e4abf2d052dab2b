using System.Text.Json;

namespace NpmMirror.Tests;

/// <summary>Strangers' text can neither steer nor deceive a terminal.</summary>
public sealed class PlainTextTests
{
    [Claim("No text of a stranger steers the terminal or looks like another line: commands, progress, the log, messages that quote",
        With =
        [
            nameof(Half_characters_and_invisible_ones_of_any_plane_are_written_out),
            nameof(Json_stays_the_same_json),
            nameof(Text_that_is_quoted_in_a_message_is_plain),
            $"{nameof(Cli.PlainLinesTests)}.{nameof(Cli.PlainLinesTests.A_monitor_prints_a_tag_of_a_stranger_on_one_plain_line)}",
            $"{nameof(Cli.PlainLinesTests)}.{nameof(Cli.PlainLinesTests.Status_prints_a_sequence_of_a_stranger_plainly)}",
            $"{nameof(Cli.PlainLinesTests)}.{nameof(Cli.PlainLinesTests.A_printed_line_is_one_plain_line_and_the_programs_own_text_passes)}",
            $"{nameof(Cli.PlainLinesTests)}.{nameof(Cli.PlainLinesTests.A_line_of_the_log_is_one_plain_line_with_its_exception)}",
        ],
        Red = "`PlainText` takes every character for visible, or changes nothing: the second was red; `PlainLines` prints as it is given: the seventh; `LogLines` writes as it is given: the last")]
    [Theory]
    [InlineData("1.0.0", "1.0.0")]
    [InlineData("", "")]
    [InlineData("größer, 日本語 😀", "größer, 日本語 😀")]
    [InlineData("\u001b[31mred\u0007\0\u007f", "\\u001b[31mred\\u0007\\u0000\\u007f")]
    [InlineData("one\r\ntwo\tthree", "one  two three")]
    [InlineData("\u009b31m\u0085", "\\u009b31m\\u0085")]
    [InlineData("\u202egpj.exe\u2066\u200f", "\\u202egpj.exe\\u2066\\u200f")]
    [InlineData("a\u2028b\u2029c", "a\\u2028b\\u2029c")]
    [InlineData("zero\u200bwidth\ufeff\u00ad", "zero\\u200bwidth\\ufeff\\u00ad")]
    public void Invisible_characters_are_written_as_json_writes_them(string text, string plain) => Assert.Equal(plain, PlainText.Of(text));

    [Fact]
    public void Half_characters_and_invisible_ones_of_any_plane_are_written_out() =>
        Assert.Equal("\\ud83d!\\udb40\\udc41", PlainText.Of("\ud83d!" + char.ConvertFromUtf32(0xE0041)));

    [Fact]
    public void Json_stays_the_same_json()
    {
        using var json = JsonDocument.Parse(PlainText.Of("{\"tag\":\n\"\u202e\u200b\u0085x\"}"));
        Assert.Equal("\u202e\u200b\u0085x", json.RootElement.GetProperty("tag").GetString());
    }

    [Fact]
    public void Text_that_is_quoted_in_a_message_is_plain() => Assert.Equal("“\\u001b[2J \\u202e”", MirrorException.Quote("\u001b[2J\n\u202e"));
}
