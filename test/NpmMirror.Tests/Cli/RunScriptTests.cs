using System.Diagnostics;

namespace NpmMirror.Tests.Cli;

/// <summary><c>run.sh</c> on a machine that lacks what it needs.</summary>
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed class RunScriptTests : IDisposable
{
    private const string Sentence = "npm-mirror needs the .NET 10 SDK: install the package dotnet-sdk-10.0 or your platform's installer, then run this again.\n";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

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
