using System.Text;
using System.Text.RegularExpressions;

namespace NpmMirror.Tests.Cli;

/// <summary>The screen of a terminal after a program's output: a carriage return goes to the line's beginning, and later text overwrites it.</summary>
internal static partial class TerminalScreen
{
    /// <summary>The lines that are not empty, without colours. A line that reaches the last column would wrap, and fails the test.</summary>
    internal static List<string> LinesOf(string output, int columns)
    {
        var lines = new List<StringBuilder> { new() };
        var column = 0;
        foreach (var character in Colours().Replace(output, "").Replace("\r\n", "\n", StringComparison.Ordinal))
        {
            switch (character)
            {
                case '\r':
                    column = 0;
                    break;
                case '\n':
                    lines.Add(new StringBuilder());
                    column = 0;
                    break;
                default:
                    Assert.InRange(column, 0, columns - 1);
                    var line = lines[^1];
                    line.Length = Math.Max(line.Length, column + 1);
                    line[column++] = character;
                    break;
            }
        }

        return [.. lines.Select(line => line.ToString().TrimEnd()).Where(line => line.Length > 0)];
    }

    [GeneratedRegex("\u001b\\[[0-9;]*m")]
    private static partial Regex Colours();
}
