using System.CommandLine;
using NpmMirror.Testing;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror fake-upstream</c>: a registry to try things against; see <see cref="FakeUpstreamProgram"/>.</summary>
internal static class FakeUpstreamCommand
{
    /// <summary>The command as help shows it; its arguments are its own and never get here.</summary>
    public static Command Create() => new("fake-upstream", "Run a registry with made-up packages, to try a mirror against; --help tells its own options");

    /// <summary>Runs it.</summary>
    public static async Task<int> RunAsync(string[] arguments)
    {
        if (arguments.Any(argument => argument is "--help" or "-h" or "-?"))
        {
            await Console.Out.WriteLineAsync(FakeUpstreamProgram.Usage);
            return ExitCode.Ok;
        }

        return await FakeUpstreamProgram.RunAsync(arguments);
    }
}
