using NpmMirror.Options;

namespace NpmMirror.Cli.Settings;

/// <summary>Dotted flags: <c>--a.b=value</c> and <c>--a.b value</c>.</summary>
internal static class FlagReader
{
    /// <summary>Flags that are no options of the tree but some command's own; a value may follow them.</summary>
    private static readonly string[] Own =
    [
        "--json", "--help", "--version", "--older-than", "--head", "--restart", "--repair", "--against-upstream", "--delete", "--recode", "--since", "--package",
        "--from", "--to", "--blobs-from", "--blobs-to", "--from-option", "--to-option", "--blobs-from-option", "--blobs-to-option",
    ];

    /// <summary>Takes the options of the tree, each with its value, out of the arguments; the rest is for the command.</summary>
    public static (IReadOnlyList<string> Flags, IReadOnlyList<string> Others) Split(IReadOnlyList<string> arguments)
    {
        List<string> flags = [], rest = [];
        for (var i = 0; i < arguments.Count; i++)
        {
            var argument = arguments[i];
            if (argument == "--")
            {
                rest.AddRange(arguments.Skip(i));
                break;
            }

            if (!IsFlag(argument) || Own.Contains(argument.Split('=')[0]))
            {
                rest.Add(argument);
            }
            else if (TakesNext(argument) && i + 1 < arguments.Count && !IsFlag(arguments[i + 1]))
            {
                flags.Add($"{argument}={arguments[++i]}");
            }
            else
            {
                flags.Add(argument);
            }
        }

        return (flags, rest);
    }

    /// <summary>The settings in flags; a token that is not one becomes a fault.</summary>
    public static IEnumerable<Setting> Read(IEnumerable<string> tokens, ICollection<string> faults)
    {
        foreach (var token in tokens)
        {
            var equals = token.IndexOf('=', StringComparison.Ordinal);
            if (equals == 2)
            {
                faults.Add($"{MirrorException.Quote(token)} names no option; write options as --name=value.");
            }
            else if (equals > 0)
            {
                yield return new Setting(token[2..equals], token[(equals + 1)..], token[..equals]);
            }
            else if (SettingsBinder.Find(Setting.KeyOf(token[2..])) is { } option && option.Type == typeof(bool))
            {
                yield return new Setting(token[2..], "true", token);
            }
            else
            {
                faults.Add(SettingsBinder.Find(Setting.KeyOf(token[2..])) is { } known
                    ? $"{token} has no value; give {OptionValue.Describe(known)}: --{known.Name}=…"
                    : SettingsBinder.DescribeUnknown(token[2..], token));
            }
        }
    }

    private static bool IsFlag(string token) => token.StartsWith("--", StringComparison.Ordinal) && token.Length > 2;

    // A bare --publishOnly says true; the next word is the command's.
    private static bool TakesNext(string flag) =>
        !flag.Contains('=', StringComparison.Ordinal) && SettingsBinder.Find(Setting.KeyOf(flag[2..]))?.Type != typeof(bool);
}
