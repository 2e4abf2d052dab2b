using System.Diagnostics;
using System.Reflection.PortableExecutable;
using System.Runtime.InteropServices;
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

    // A first build may take many minutes on a busy machine.
    [Claim("run.sh says that it builds the program, compiled ahead of time if possible, and serves with paths relative to its caller")]
    [Fact(Timeout = 1_200_000)]
    public async Task Builds_the_program_compiled_ahead_and_serves()
    {
        await using var upstream = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        upstream.Publish(new FakePackage("ms").Version("2.1.3"));
        var mustBuild = !File.Exists(Path.Combine(TestTools.Root, "artifacts", "npm-mirror", "npm-mirror.dll"));
        await using var mirror = CliProcess.StartScript("run.sh", _folder.Path, [$"--upstream={upstream.Url}", "--listen=http://127.0.0.1:0"]);
        var line = await mirror.WaitForOutputAsync("Serving ", seconds: 600);
        Assert.Contains($" from {upstream.Url}", line, StringComparison.Ordinal);
        Assert.True(!mustBuild || mirror.Errors.Contains("Building npm-mirror", StringComparison.Ordinal), mirror.Errors);

        // Relative to the caller's folder, not to the script's.
        Assert.True(Directory.Exists(_folder.File("npm-mirror-data")));
        Assert.Equal(OperatingSystem.IsLinux() && RuntimeInformation.OSArchitecture == Architecture.X64, IsCompiledAhead("NpmMirror.dll"));
        await mirror.SignalAsync("TERM");
        Assert.Equal(0, await mirror.WaitForExitAsync());
    }

    private static bool IsCompiledAhead(string assembly)
    {
        using var file = new PEReader(File.OpenRead(Path.Combine(TestTools.Root, "artifacts", "npm-mirror", assembly)));
        return file.PEHeaders.CorHeader!.ManagedNativeHeaderDirectory.Size > 0;
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
