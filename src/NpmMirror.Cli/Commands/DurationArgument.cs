using System.CommandLine.Parsing;
using NpmMirror.Options;

namespace NpmMirror.Cli.Commands;

/// <summary>Durations on the command line, written as in settings: <c>7d</c>.</summary>
internal static class DurationArgument
{
    /// <summary>Reads the one value given.</summary>
    internal static TimeSpan Parse(ArgumentResult result)
    {
        var text = result.Tokens.Single().Value;
        if (DurationText.Parse(text) is { } duration)
        {
            return duration;
        }

        result.AddError($"{MirrorException.Quote(text)} is no duration; write 30m, 12h or 7d.");
        return default;
    }
}
