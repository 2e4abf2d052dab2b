using System.CommandLine;
using NpmMirror.Cli.Commands;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Cli;

public sealed class HeadArgumentTests
{
    private const string Hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    [Theory]
    [InlineData("17:" + Hash)]
    [InlineData("0:" + Hash)]
    [InlineData("17:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08")]
    public void A_position_a_colon_and_a_hash_are_a_head(string text)
    {
        var (head, errors) = Read(text);
        Assert.Empty(errors);
        Assert.Equal((text[..text.IndexOf(':', StringComparison.Ordinal)], Hash), ($"{head!.Value.Position.Value}", head.Value.Hash.Hex));
    }

    [Theory]
    [InlineData("")]
    [InlineData("17")]
    [InlineData(":" + Hash)]
    [InlineData("-1:" + Hash)]
    [InlineData("+1:" + Hash)]
    [InlineData(" 1:" + Hash)]
    [InlineData("x:" + Hash)]
    [InlineData("99999999999999999999:" + Hash)]
    [InlineData("17:" + Hash + "00")]
    [InlineData("17:9f86d0")]
    [InlineData("17:zz86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    public void Anything_else_is_refused_with_an_example(string text) =>
        Assert.Contains("is no head of a log; write its position, a colon and its hash", Assert.Single(Read(text).Errors), StringComparison.Ordinal);

    private static (LogHead? Head, List<string> Errors) Read(string text)
    {
        var option = new Option<LogHead?>("--head") { CustomParser = HeadArgument.Parse };
        var result = new RootCommand { option }.Parse(["--head", text]);
        return (result.Errors.Count == 0 ? result.GetValue(option) : null, [.. result.Errors.Select(error => error.Message)]);
    }
}
