using System.Diagnostics;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary><c>run.sh</c>, on a machine with all that it needs and on machines without.</summary>
[Trait("Duration", "long")]
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed class RunScriptTests : IDisposable
{
    private const string Sentence = "npm-mirror needs the .NET 10 SDK: install the package dotnet-sdk-10.0 or your platform's installer, then run this again.\n";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Claim("run.sh says in one sentence that the SDK is missing",
        With = [nameof(Says_the_same_when_only_an_older_sdk_is_there)],
        Red = "run.sh looks for no SDK: the first was red; it takes any SDK: the second")]
    [Fact]
    public async Task Says_in_one_sentence_that_dotnet_is_missing() => Assert.Equal((1, Sentence), await RunAsync());

    [Fact]
    public async Task Says_the_same_when_only_an_older_sdk_is_there()
    {
        File.WriteAllText(_folder.File("dotnet"), "#!/bin/sh\necho '8.0.100 [/usr/lib/dotnet/sdk]'\n");
        File.SetUnixFileMode(_folder.File("dotnet"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        File.CreateSymbolicLink(_folder.File("grep"), "/bin/grep");
        Assert.Equal((1, Sentence), await RunAsync());
    }

    // test.sh has built the program; without it, a first build takes minutes.
    [Claim("run.sh serves with the program that build.sh makes, a native one where it can be had, and with paths relative to its caller")]
    [Fact(Timeout = 1_200_000)]
    public async Task Runs_the_program_that_it_builds()
    {
        await using var upstream = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        upstream.Publish(new FakePackage("ms").Version("2.1.3"));
        await using var mirror = CliProcess.StartScript("run.sh", _folder.Path, [$"--upstream={upstream.Url}", "--listen=http://127.0.0.1:0"]);
        var line = await mirror.WaitForOutputAsync("Serving ", seconds: 600);
        Assert.Contains($" from {upstream.Url}", line, StringComparison.Ordinal);

        // Relative to the caller's folder, not to the script's.
        Assert.True(Directory.Exists(_folder.File("npm-mirror-data")));
        if (TestProgram.IsNative)
        {
            // It has become the very file that the tests of the command line run.
            Assert.Equal(TestProgram.Command[0], File.ResolveLinkTarget($"/proc/{mirror.Id}/exe", returnFinalTarget: false)!.FullName);
        }

        await mirror.SignalAsync("TERM");
        Assert.Equal(0, await mirror.WaitForExitAsync());
    }

    private async Task<(int Code, string Errors)> RunAsync()
    {
        var start = new ProcessStartInfo("/bin/bash", [Path.Combine(TestTools.Root, "run.sh")]) { RedirectStandardError = true, WorkingDirectory = _folder.Path };
        start.Environment["PATH"] = _folder.Path;
        using var bash = Process.Start(start)!;
        var errors = await bash.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await bash.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (bash.ExitCode, errors);
    }
}
