using System.CommandLine;
using NpmMirror.Options;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror completion SHELL</c>: a script with which the shell completes commands and options.</summary>
internal static class CompletionCommand
{
    /// <summary>The command; <paramref name="root"/> has all others.</summary>
    public static Command Create(RootCommand root)
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish" };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command("completion", "Print a script for your shell's completion: source <(npm-mirror completion bash)") { shell };
        command.SetAction(parsed =>
        {
            Console.Write(parsed.GetRequiredValue(shell) switch
            {
                "fish" => Fish(root),
                "zsh" => "autoload -U +X bashcompinit && bashcompinit\n" + Bash(root),
                _ => Bash(root),
            });
            return ExitCode.Ok;
        });
        return command;
    }

    private static string Bash(RootCommand root)
    {
        var own = root.Subcommands.Select(command => $"    {command.Name}) own=\"{string.Join(' ', OwnOptions(command))}\" ;;");
        var values = Settings().Where(option => OptionValue.WordsOf(option).Count > 0).Select(option => $"    --{option.Name}) words=\"{string.Join(' ', OptionValue.WordsOf(option))}\" ;;");

        // Bash makes a word of its own of each =, zsh does not.
        return $$"""
            _npm_mirror() {
              local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" own="" option="" front="" words=""
              if [[ "$current" == --*=* ]]; then option="${current%%=*}" front="${current%%=*}=" current="${current#*=}"
              elif [ "$current" = "=" ]; then option="$before" current=""
              elif [ "$before" = "=" ]; then option="${COMP_WORDS[COMP_CWORD-2]}"
              fi
              if [ -n "$option" ]; then
                case "$option" in
            {{string.Join('\n', values)}}
                esac
                COMPREPLY=($(compgen -P "$front" -W "$words" -- "$current"))
                return
              fi
              if [ "$COMP_CWORD" -eq 1 ]; then
                COMPREPLY=($(compgen -W "{{string.Join(' ', root.Subcommands.Select(command => command.Name))}} help version --help" -- "$current"))
                return
              fi
              case "${COMP_WORDS[1]}" in
            {{string.Join('\n', own)}}
              esac
              COMPREPLY=($(compgen -W "$own --help {{string.Join(' ', Settings().Select(option => $"--{option.Name}=").Append("--config="))}}" -- "$current"))
              if [[ "${COMPREPLY[0]-}" == *= ]]; then compopt -o nospace 2>/dev/null; fi
            }
            complete -o default -F _npm_mirror npm-mirror

            """;
    }

    private static string Fish(RootCommand root)
    {
        var lines = root.Subcommands.Select(command => $"complete -c npm-mirror -f -n __fish_use_subcommand -a {command.Name} -d {Quote(command.Description ?? "")}")
            .Concat(root.Subcommands.SelectMany(command => OwnOptions(command).Select(option => $"complete -c npm-mirror -n '__fish_seen_subcommand_from {command.Name}' -l {option[2..]}")))
            .Concat(Settings().Select(option => $"complete -c npm-mirror -n 'not __fish_use_subcommand' -l {option.Name} {FishValues(option)} -d {Quote(option.Description)}"));
        return string.Join('\n', lines) + "\n";
    }

    private static IEnumerable<string> OwnOptions(Command command) => command.Options.Select(option => option.Name).Where(name => name.StartsWith("--", StringComparison.Ordinal));

    private static IEnumerable<OptionDefinition> Settings() => OptionDefinition.All.Where(option => !option.IsFree);

    private static string FishValues(OptionDefinition option) => OptionValue.WordsOf(option) is { Count: > 0 } words ? $"-x -a '{string.Join(' ', words)}'" : "-r";

    private static string Quote(string text) => $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";
}
