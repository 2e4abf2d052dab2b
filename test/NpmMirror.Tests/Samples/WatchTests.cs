using System.Text;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Samples;

/// <summary>The library as its users get it: packed, restored from a folder into a program of its own, which is the sample.</summary>
[Trait("Duration", "long")]
public sealed class WatchTests : IDisposable
{
    private static readonly TimeSpan BuildMax = TimeSpan.FromMinutes(4);

    // A version that no folder of packages on this machine holds already: what is built here is what is tried.
    private static readonly string Version = $"0.0.1-test.{Guid.NewGuid():N}";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_packed_library_makes_a_program_that_prints_what_changes()
    {
        Assert.SkipUnless(TestTools.Has("dotnet"), TestTools.Missing("dotnet"));
        await RunAsync("pack", Path.Combine(TestTools.Root, "src/NpmMirror"), "-c", Configuration, "--no-build", $"-p:PackageVersion={Version}", "-o", _folder.Folder("packages"));
        Directory.CreateDirectory(_folder.Folder("program"));
        File.Copy(Path.Combine(TestTools.Root, "samples/Watch/Program.cs"), _folder.File("program/Program.cs"));
        File.WriteAllText(_folder.File("program/Watch.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <ImplicitUsings>enable</ImplicitUsings>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="NpmMirror" Version="{Version}" />
              </ItemGroup>
            </Project>
            """);

        // Our package from the folder, what it needs from the packages that building this brought: nothing is downloaded, nothing is left behind.
        var restored = Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget/packages");
        File.WriteAllText(_folder.File("program/nuget.config"), $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="{_folder.Folder("restored")}" /></config>
              <packageSources><clear /><add key="folder" value="{_folder.Folder("packages")}" /></packageSources>
              <fallbackPackageFolders><clear /><add key="built" value="{restored}" /></fallbackPackageFolders>
            </configuration>
            """);
        await RunAsync("build", _folder.Folder("program"), "-o", _folder.Folder("built"), "-p:UseSharedCompilation=false");
        Assert.True(File.Exists(_folder.File($"restored/npmmirror/{Version}/lib/net10.0/NpmMirror.xml")));
        Assert.True(File.Exists(_folder.File($"restored/npmmirror/{Version}/README.md")));

        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("2.1.3"));
        using var watch = TestProcess.Start([.. TestTools.Command("dotnet"), _folder.File("built/Watch.dll"), registry.Url.AbsoluteUri, "0"], _folder.Path, Surroundings());
        try
        {
            var told = new StringBuilder();
            _ = TestProcess.GatherAsync(watch.StandardOutput, told, CancellationToken.None);
            _ = TestProcess.GatherAsync(watch.StandardError, told, CancellationToken.None);
            await Eventually.Async(() => HasTold("@ 1"));
            registry.PublishVersion("ms", "2.1.4");
            await Eventually.Async(() => HasTold("> ms"));
            registry.Delete("ms");
            await Eventually.Async(() => HasTold("- ms"));

            bool HasTold(string line)
            {
                lock (told)
                {
                    return told.ToString().Contains(line, StringComparison.Ordinal);
                }
            }
        }
        finally
        {
            watch.Kill();
        }
    }

    // As this assembly was built, so is the library beside it.
    private static string Configuration => AppContext.BaseDirectory.TrimEnd('/').EndsWith("release", StringComparison.OrdinalIgnoreCase) ? "Release" : "Debug";

    private async Task RunAsync(string verb, string folder, params string[] arguments)
    {
        var run = await TestProcess.RunAsync([.. TestTools.Command("dotnet"), verb, "--nologo", .. arguments], folder, Surroundings(), BuildMax, TestContext.Current.CancellationToken);
        Assert.True(run.ExitCode == 0, run.Output);
    }

    private Dictionary<string, string> Surroundings()
    {
        var surroundings = new Dictionary<string, string>
        {
            // No process stays behind that would be waited for.
            ["MSBUILDDISABLENODEREUSE"] = "1",
            ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1",
            ["DOTNET_NOLOGO"] = "1",
            ["DOTNET_SKIP_FIRST_TIME_EXPERIENCE"] = "1",
            ["DOTNET_CLI_HOME"] = _folder.Path,
        };
        // Without NUGET_PACKAGES, which would win over the folder that nuget.config names.
        foreach (var name in new[] { "PATH", "HOME", "DOTNET_ROOT" })
        {
            if (Environment.GetEnvironmentVariable(name) is { } value)
            {
                surroundings[name] = value;
            }
        }

        return surroundings;
    }
}
