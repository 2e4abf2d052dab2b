using System.CommandLine;
using NpmMirror.Cli.Settings;

namespace NpmMirror.Cli;

/// <summary>The faults of a command line that names no command, an unknown one, or words that no command takes; each with a likely meaning.</summary>
internal static class CommandFaults
{
    /// <summary>The sentences, the last one with where to look.</summary>
    public static IEnumerable<string> Of(ParseResult parsed, IReadOnlyList<string> flags)
    {
        var command = parsed.CommandResult.Command;
        if (command is RootCommand && parsed.UnmatchedTokens.Count == 0)
        {
            yield return NoCommand(flags);
        }
        else if (parsed.UnmatchedTokens.Count == 0)
        {
            foreach (var error in parsed.Errors)
            {
                yield return error.Message;
            }
        }
        else if (command is RootCommand root && !parsed.UnmatchedTokens[0].StartsWith('-'))
        {
            // The words after an unknown command are its own: one fault.
            yield return NotACommand(parsed.UnmatchedTokens[0], root);
        }
        else
        {
            foreach (var token in parsed.UnmatchedTokens)
            {
                yield return NotTaken(token, command);
            }
        }

        yield return command is RootCommand ? "npm-mirror --help lists the commands." : $"npm-mirror {command.Name} --help tells what it takes.";
    }

    private static string NoCommand(IReadOnlyList<string> flags) => flags.Count == 0
        ? "No command is given; npm-mirror serve starts the mirror."
        : $"No command is given; did you mean npm-mirror serve {string.Join(' ', flags.Select(OurFlag))}?";

    /// <summary>The flag as it is written here, without its secrets.</summary>
    private static string OurFlag(string flag)
    {
        var name = flag.TrimStart('-').Split('=')[0];
        var value = flag.Contains('=', StringComparison.Ordinal) ? flag[(flag.IndexOf('=', StringComparison.Ordinal) + 1)..] : null;
        var ours = OtherTools.OptionFor(name) ?? flag;
        if (ours != flag && value is not null && ours[(ours.IndexOf('=', StringComparison.Ordinal) + 1)..].All(char.IsAsciiLetterUpper))
        {
            // --port=5000 is --listen=5000: the word in capitals is replaced by the value.
            ours = ours[..(ours.IndexOf('=', StringComparison.Ordinal) + 1)] + value;
        }

        return Masked.IsSecretName(name) ? $"--{name}={Masked.Secret}" : PlainText.Of(Masked.Address(ours));
    }

    private static string NotACommand(string word, RootCommand root)
    {
        var quoted = MirrorException.Quote(word);
        if (OtherTools.CommandFor(word) is { } here)
        {
            return $"{quoted} is not a command of npm-mirror. {here}";
        }

        return Nearest.Find(word, root.Subcommands.Select(command => command.Name)) is { } nearest
            ? $"{quoted} is not a command; did you mean {nearest}?"
            : $"{quoted} is not a command.";
    }

    private static string NotTaken(string token, Command command)
    {
        var what = command is RootCommand ? "npm-mirror" : $"npm-mirror {command.Name}";
        return token.StartsWith('-') && OtherTools.OptionFor(token.TrimStart('-').Split('=')[0]) is { } here
            ? $"{MirrorException.Quote(token)} is not an option; here it is {here}."
            : $"{what} does not take {MirrorException.Quote(token)}.";
    }
}
