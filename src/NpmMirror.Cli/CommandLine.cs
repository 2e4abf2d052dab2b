using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using NpmMirror.Cli.Commands;
using NpmMirror.Cli.Settings;

namespace NpmMirror.Cli;

/// <summary>The commands, and their common parts: options, help, faults, exit codes.</summary>
internal static class CommandLine
{
    /// <summary>Runs one command line and returns the exit code.</summary>
    public static async Task<int> RunAsync(string[] arguments)
    {
        // The fake upstream's options are no settings of a mirror.
        if (arguments is ["fake-upstream", ..])
        {
            return await FakeUpstreamCommand.RunAsync(arguments[1..]);
        }

        StandardOutput.EndWhenClosed();
        TerminalWriter.Install();
        PlainLines.Install();
        try
        {
            return await ParseAndRunAsync(arguments);
        }
        catch (ClosedOutputException)
        {
            return ExitCode.OutputClosed;
        }
    }

    private static async Task<int> ParseAndRunAsync(string[] arguments)
    {
        var (flags, rest) = FlagReader.Split(arguments switch
        {
            ["help", .. var command] => [.. command, "--help"],
            ["version" or "-v" or "-V", ..] => ["--version"],
            _ => arguments,
        });
        var root = CreateRoot(flags);
        // Without a replacer @types/node is a package, not a file of arguments.
        var parsed = root.Parse(rest, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });
        // Help of a word that is no command is a mistake too; the library would print the general help.
        var isFaulty = parsed.Action is OptionsHelp ? parsed.UnmatchedTokens.Any(token => !token.StartsWith('-')) : parsed.Errors.Count > 0;
        if (parsed.Action is ParseErrorAction || isFaulty)
        {
            foreach (var fault in CommandFaults.Of(parsed, flags))
            {
                await Console.Error.WriteLineAsync(fault);
            }

            return ExitCode.Usage;
        }

        using var signals = new Signals();
        return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, signals.Token);
    }

    internal static RootCommand CreateRoot(IReadOnlyList<string> flags)
    {
        var root = new RootCommand("Keeps a true, complete and verifiable copy of (part of) an npm registry and serves it to every npm client.")
        {
            ServeCommand.Create(flags),
            MirrorCommand.Create(flags),
            MonitorCommand.Create(flags),
            SyncCommand.Create(flags),
            ReconcileCommand.Create(flags),
            VerifyCommand.Create(flags),
            GcCommand.Create(flags),
            RemovedCommand.Create(flags),
            StatusCommand.Create(flags),
            ConfigCommand.Create(flags),
            BackupCommand.Create(flags),
            CopyCommand.Create(flags),
            FakeUpstreamCommand.Create(),
        };
        root.Add(CompletionCommand.Create(root));
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new OptionsHelp((HelpAction)help.Action!);
        return root;
    }
}
