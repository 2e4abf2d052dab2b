using System.Diagnostics;

namespace NpmMirror.Tests.Cli;

/// <summary><c>build.sh</c> in a tree of its own, on machines of all kinds: their tools are scripts that note how they were called.</summary>
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed class BuildScriptTests : IDisposable
{
    private const string Restore = "restore src/NpmMirror.Cli/NpmMirror.Cli.csproj";
    private const string Publish = "publish src/NpmMirror.Cli/NpmMirror.Cli.csproj";

    private readonly TestFolder _folder = new();

    public BuildScriptTests()
    {
        Directory.CreateDirectory(_folder.File("src"));
        Directory.CreateDirectory(_folder.File("bin"));
        File.Copy(Path.Combine(TestTools.Root, "build.sh"), _folder.File("build.sh"));
        foreach (var file in new[] { "Directory.Build.props", "global.json", ".editorconfig", "src/Program.cs" })
        {
            File.WriteAllText(_folder.File(file), "");
        }

        foreach (var tool in new[] { "bash", "dirname", "find", "flock", "mkdir", "mv", "rm", "timeout" })
        {
            File.CreateSymbolicLink(_folder.File($"bin/{tool}"), new[] { $"/usr/bin/{tool}", $"/bin/{tool}" }.First(File.Exists));
        }

        Tool("uname", "echo Linux x86_64");
        Tool("objcopy", "");
        Tool("gcc", "echo /usr/lib/crt1.o");
        Tool("dotnet", """
            echo "$*" >>calls
            while [ $# -gt 0 ]; do
              if [ "$1" = -o ]; then mkdir -p "$2"; echo new >"$2/npm-mirror"; fi
              shift
            done
            """);
    }

    public void Dispose() => _folder.Dispose();

    [Claim("build.sh makes a native program on Linux for x64 and arm64, says so, and builds again only what has changed",
        With = [nameof(Builds_nothing_twice), nameof(Builds_again_what_has_changed)])]
    [Theory]
    [InlineData("x86_64", "linux-x64")]
    [InlineData("aarch64", "linux-arm64")]
    public async Task Builds_a_native_program(string machine, string runtime)
    {
        Tool("uname", $"echo Linux {machine}");
        var (code, errors) = await BuildAsync();
        Assert.Equal((0, "Building npm-mirror for the first time, with a download of packages: a native program, two to four minutes. Later starts build nothing.\n"), (code, errors));
        Assert.Collection(Calls(), call => AssertCall(call, Restore, $"-p:NativeRuntime={runtime}"), call => AssertCall(call, Publish, $"-p:NativeRuntime={runtime}"));
    }

    [Fact]
    public async Task Builds_nothing_twice()
    {
        await BuildAsync();
        Assert.Equal((0, ""), await BuildAsync());
        Assert.Equal(2, Calls().Length);
    }

    [Fact]
    public async Task Builds_again_what_has_changed()
    {
        await BuildAsync();
        File.WriteAllText(_folder.File("src/Program.cs"), "changed");
        Assert.StartsWith("Building npm-mirror because its source has changed", (await BuildAsync()).Errors, StringComparison.Ordinal);
    }

    [Claim("Where no native program can be built, build.sh says what is missing and builds the one that runs on the .NET runtime",
        With = [nameof(Without_the_headers_of_the_C_library_it_builds_the_other_program), nameof(Without_the_compiler_it_builds_the_other_program), nameof(On_another_system_it_builds_the_other_program)])]
    [Theory]
    [InlineData("gcc")]
    [InlineData("objcopy")]
    public async Task Without_a_linker_it_says_what_to_install_and_builds_the_other_program(string missing)
    {
        File.Delete(_folder.File($"bin/{missing}"));
        await AssertOtherAsync("There is no native program here: a linker is missing (on Debian: apt-get install gcc libc6-dev).");
    }

    [Fact]
    public async Task Without_the_headers_of_the_C_library_it_builds_the_other_program()
    {
        Tool("gcc", "echo crt1.o");
        await AssertOtherAsync("There is no native program here: a linker is missing (on Debian: apt-get install gcc libc6-dev).");
    }

    [Fact]
    public async Task Without_the_compiler_it_builds_the_other_program()
    {
        var dotnet = File.ReadAllText(_folder.File("bin/dotnet"));
        Tool("dotnet", "case \"$*\" in restore*NativeRuntime*) exit 1 ;; esac\n" + dotnet);
        var (code, errors) = await BuildAsync();
        Assert.Equal(0, code);
        Assert.Contains("There is no native program here: the native compiler's packages cannot be had from the NuGet source that is configured.", errors, StringComparison.Ordinal);
        AssertCall(Calls()[^1], Publish, "-p:CompiledAhead=true");

        // The next start does not ask for them again.
        Assert.Equal((0, ""), await BuildAsync());
    }

    [Fact]
    public async Task On_another_system_it_builds_the_other_program()
    {
        Tool("uname", "echo Darwin arm64");
        var (code, errors) = await BuildAsync();
        Assert.Equal(0, code);
        Assert.StartsWith("There is no native program here: it is built on Linux alone, for x64 and arm64.", errors, StringComparison.Ordinal);
        Assert.EndsWith("-p:UseSharedCompilation=false", Assert.Single(Calls()), StringComparison.Ordinal);
    }

    [Claim("NPM_MIRROR_BUILD chooses the program: jit the one that loads engine modules, native no other one; a wrong word is told",
        With = [nameof(The_native_program_alone_is_built_if_it_is_asked_for), nameof(A_wrong_word_is_told)])]
    [Fact]
    public async Task The_program_for_the_runtime_is_built_if_it_is_asked_for()
    {
        await BuildAsync();
        var (code, errors) = await BuildAsync("jit");
        Assert.Equal((0, "Building npm-mirror in another form: a program for the .NET runtime, about a minute. Later starts build nothing.\n"), (code, errors));
        AssertCall(Calls()[^1], Publish, "-p:CompiledAhead=true");
        Assert.Equal((0, ""), await BuildAsync("jit"));
    }

    [Fact]
    public async Task The_native_program_alone_is_built_if_it_is_asked_for()
    {
        File.Delete(_folder.File("bin/gcc"));
        Assert.Equal((1, "The native program cannot be built: a linker is missing (on Debian: apt-get install gcc libc6-dev).\n"), await BuildAsync("native"));
        Assert.False(File.Exists(_folder.File("calls")));
    }

    [Fact]
    public async Task A_wrong_word_is_told() => Assert.Equal((1, "NPM_MIRROR_BUILD is “aot”; give native or jit, or leave it out.\n"), await BuildAsync("aot"));

    // dotnet that is ended by a signal may say that all is well.
    [Claim("A build that fails, or makes no program, leaves the program that is there",
        Red = "build.sh does not look for the new program before the old one goes: the second was red")]
    [Theory]
    [InlineData("case \"$*\" in publish*) exit 1 ;; esac")]
    [InlineData("exit 0")]
    public async Task A_build_that_fails_leaves_the_earlier_program(string dotnet)
    {
        await BuildAsync();
        File.WriteAllText(_folder.File("artifacts/npm-mirror/npm-mirror"), "old");
        File.WriteAllText(_folder.File("src/Program.cs"), "broken");
        Tool("dotnet", dotnet);
        Assert.Equal(1, (await BuildAsync()).Code);
        Assert.Equal("old", File.ReadAllText(_folder.File("artifacts/npm-mirror/npm-mirror")));

        // And it is tried again.
        Assert.Equal(1, (await BuildAsync()).Code);
    }

    private async Task AssertOtherAsync(string reason)
    {
        var (code, errors) = await BuildAsync();
        Assert.Equal(0, code);
        Assert.StartsWith(reason, errors, StringComparison.Ordinal);
        Assert.Collection(Calls(), call => AssertCall(call, Restore, "-p:CompiledAhead=true"), call => AssertCall(call, Publish, "-p:CompiledAhead=true"));
    }

    private static void AssertCall(string call, string start, string end)
    {
        Assert.StartsWith(start, call, StringComparison.Ordinal);
        Assert.EndsWith(end, call, StringComparison.Ordinal);
    }

    private string[] Calls() => File.ReadAllLines(_folder.File("calls"));

    private void Tool(string name, string script)
    {
        File.WriteAllText(_folder.File($"bin/{name}"), $"#!/bin/bash\n{script}\n");
        File.SetUnixFileMode(_folder.File($"bin/{name}"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private async Task<(int Code, string Errors)> BuildAsync(string? wanted = null)
    {
        var start = new ProcessStartInfo("/bin/bash", [_folder.File("build.sh")]) { RedirectStandardError = true };
        start.Environment["PATH"] = _folder.File("bin");
        start.Environment["NPM_MIRROR_BUILD"] = wanted;
        using var bash = Process.Start(start)!;
        var errors = await bash.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await bash.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (bash.ExitCode, errors);
    }
}
