using NpmMirror.Cli;
using NpmMirror.Options;

namespace NpmMirror.Tests.Cli;

/// <summary>The program's words to a new user.</summary>
public sealed class HelpTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Claim("Mistyped commands and options, and words of npm and Verdaccio, are told with the right word",
        Red = "the words of other tools are not known, or nearest words are not sought")]
    [Theory]
    [InlineData("srve", "“srve” is not a command; did you mean serve?")]
    [InlineData("reconcil --json", "“reconcil” is not a command; did you mean reconcile?")]
    [InlineData("install express", "“install” is not a command of npm-mirror. npm installs through a mirror that serves")]
    [InlineData("help frobnicate", "“frobnicate” is not a command.")]
    [InlineData("frobnicate --help", "“frobnicate” is not a command.")]
    [InlineData("start", "npm-mirror serve starts the mirror.")]
    [InlineData("login", "A mirror is read-only")]
    [InlineData("serve --port=4990", "“port” is not an option; here it is --listen=PORT.")]
    [InlineData("serve --port 4990", "“port” is not an option; here it is --listen=PORT.")]
    [InlineData("serve -p 4990", "“-p” is not an option; here it is --listen=PORT.")]
    [InlineData("serve --host=0.0.0.0", "“host” is not an option; here it is --listen=ADDRESS:PORT.")]
    [InlineData("serve --registry=https://registry.example.org", "“registry” is not an option; here it is --upstream=URL.")]
    [InlineData("serve --lisen=4990", "“lisen” is not an option; did you mean listen?")]
    [InlineData("serve --wholly-unknown-word=1", "npm-mirror --help lists them all.")]
    [InlineData("--port=5000", "No command is given; did you mean npm-mirror serve --listen=5000?")]
    [InlineData("--port 5000", "did you mean npm-mirror serve --listen=5000?")]
    [InlineData("--listen=5000 --tarballs=never", "did you mean npm-mirror serve --listen=5000 --tarballs=never?")]
    [InlineData("--upstream=https://me:word@registry.example.org/", "did you mean npm-mirror serve --upstream=https://***@registry.example.org/?")]
    [InlineData("--admin.token=abc", "did you mean npm-mirror serve --admin.token=***?")]
    [InlineData("verify left-pad", "npm-mirror verify does not take “left-pad”.")]
    public async Task A_mistyped_or_foreign_word_is_told_with_ours(string line, string told)
    {
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, line.Split(' '));
        Assert.Equal(2, code);
        Assert.Contains(told, errors, StringComparison.Ordinal);
        Assert.Empty(output);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Claim("Help lists the ten chief options first and every other one in a group; `version` and completions",
        With = [nameof(The_version_is_told), nameof(Bash_completes_commands_and_options), nameof(Other_shells_have_their_script)],
        Red = "chief options are listed twice, or a group lacks its first: the first was red; completion has no options: the third")]
    [Theory]
    [InlineData("help")]
    [InlineData("--help")]
    [InlineData("help serve")]
    public async Task Help_lists_the_ten_chief_options_first_and_every_other_one_in_a_group(string line)
    {
        var (code, output, _) = await CliProcess.RunAsync(_folder.Path, line.Split(' '));
        Assert.Equal(0, code);
        var settings = output[output.IndexOf("Settings, for every command", StringComparison.Ordinal)..].Split('\n');
        Assert.StartsWith("  --upstream ", settings[1], StringComparison.Ordinal);
        Assert.Equal(10, settings.Skip(1).TakeWhile(row => row.StartsWith("  --", StringComparison.Ordinal)).Count());
        Assert.All(OptionDefinition.All, option => Assert.Single(settings, row => row.StartsWith($"  --{option.Name}{(option.IsFree ? ".<name>" : "")} ", StringComparison.Ordinal)));
        Assert.All(OptionDefinition.All, option => Assert.NotEmpty(option.Group));
    }

    [Fact]
    public void Every_command_and_each_of_its_options_is_described()
    {
        var commands = CommandLine.CreateRoot([]).Subcommands;
        Assert.True(commands.Count > 12);
        Assert.All(commands, command => Assert.False(string.IsNullOrWhiteSpace(command.Description), command.Name));
        Assert.All(commands.SelectMany(command => command.Options), option => Assert.False(string.IsNullOrWhiteSpace(option.Description), option.Name));
    }

    [Theory]
    [InlineData("version")]
    [InlineData("--version")]
    [InlineData("-v")]
    public async Task The_version_is_told(string word)
    {
        var (code, output, _) = await CliProcess.RunAsync(_folder.Path, [word]);
        Assert.Equal(0, code);
        Assert.Matches("^[0-9]+\\.[0-9]+\\.[0-9]+", output);
    }

    [Theory]
    [InlineData("npm-mirror ser", 1, "serve")]
    [InlineData("npm-mirror verify --rep", 2, "--repair")]
    [InlineData("npm-mirror serve --store.eng", 2, "--store.engine=")]
    [InlineData("npm-mirror serve --metadata = l", 4, "listed listed+used")]
    [InlineData("npm-mirror serve --metadata=", 2, "--metadata=all --metadata=listed --metadata=listed+used --metadata=used")]
    [InlineData("npm-mirror mirror --tarballs = ", 3, "eager never on-demand")]
    [InlineData("npm-mirror serve --offline = t", 4, "true")]
    [InlineData("npm-mirror serve --log.level=debu", 2, "--log.level=debug")]
    public async Task Bash_completes_commands_and_options(string line, int word, string completed)
    {
        var (_, script, _) = await CliProcess.RunAsync(_folder.Path, ["completion", "bash"]);
        File.WriteAllText(_folder.File("completion"), script);
        var test = $"source ./completion; COMP_WORDS=({line}); COMP_CWORD={word}; _npm_mirror; echo \"${{COMPREPLY[@]}}\"";
        var run = await TestProcess.RunAsync(["/bin/bash", "-c", test], _folder.Path, new Dictionary<string, string>(), TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        Assert.Equal(completed, string.Join(' ', run.Output.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal)));
    }

    [Theory]
    [InlineData("zsh", "_npm_mirror npm-mirror")]
    [InlineData("fish", "complete -c npm-mirror -f -n __fish_use_subcommand -a serve")]
    [InlineData("fish", "-l metadata -x -a 'used all listed listed+used'")]
    public async Task Other_shells_have_their_script(string shell, string part)
    {
        var (code, script, _) = await CliProcess.RunAsync(_folder.Path, ["completion", shell]);
        Assert.Equal(0, code);
        Assert.Contains(part, script, StringComparison.Ordinal);
    }
}
