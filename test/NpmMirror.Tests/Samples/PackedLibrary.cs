using System.Text.RegularExpressions;

namespace NpmMirror.Tests.Samples;

/// <summary>The library as its users get it: packed into a folder, from which a program of its own is restored and built.</summary>
public sealed partial class PackedLibrary : IDisposable
{
    private static readonly string[] Projects = ["src/NpmMirror", "src/NpmMirror.AspNetCore", "src/NpmMirror.Sqlite", "test/NpmMirror.Conformance"];

    private static readonly TimeSpan BuildMax = TimeSpan.FromMinutes(4);

    // A version that no folder of packages on this machine holds already: the built one is used.
    private static readonly string Version = $"0.0.1-test.{Guid.NewGuid():N}";

    private readonly TestFolder _folder = new();
    private Task? _packed;

    public void Dispose() => _folder.Dispose();

    /// <summary>Builds a sample outside of the tree, with packages in the place of projects. Returns its program.</summary>
    internal async Task<string> BuildAsync(string sample, string sdk, params string[] packages)
    {
        await (_packed ??= PackAsync());
        var program = $"program-{sample}";
        Directory.CreateDirectory(_folder.Folder(program));
        File.Copy(Path.Combine(TestTools.Root, $"samples/{sample}/Program.cs"), _folder.File($"{program}/Program.cs"));
        File.WriteAllText(_folder.File($"{program}/{sample}.csproj"), $"""
            <Project Sdk="{sdk}">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <ImplicitUsings>enable</ImplicitUsings>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
              </PropertyGroup>
              <ItemGroup>
                {string.Concat(packages.Select(package => $"<PackageReference Include=\"{package}\" Version=\"{Version}\" />"))}
              </ItemGroup>
            </Project>
            """);

        WriteNuGetConfig(program);
        await RunAsync("build", _folder.Folder(program), "-o", _folder.Folder($"built-{sample}"), "-p:UseSharedCompilation=false");
        foreach (var package in packages)
        {
            Assert.True(File.Exists(FileOf(package, $"lib/net10.0/{package}.xml")));
        }

        return _folder.File($"built-{sample}/{sample}.dll");
    }

    /// <summary>Builds samples outside of the tree as they are, but for the projects of the tree: packages are in their place. Returns the folder that holds the samples' folders.</summary>
    internal async Task<string> BuildAsTheyAreAsync(params string[] samples)
    {
        await (_packed ??= PackAsync());
        var versions = File.ReadAllText(Path.Combine(TestTools.Root, "Directory.Packages.props"));
        foreach (var file in samples.SelectMany(sample => Directory.GetFiles(Path.Combine(TestTools.Root, "samples", sample))).Where(file => Path.GetExtension(file) is ".cs" or ".csproj"))
        {
            var text = OurProject().Replace(File.ReadAllText(file), $"<PackageReference Include=\"$1\" Version=\"{Version}\" />");
            text = UnversionedPackage().Replace(text, match => $"<PackageReference Include=\"{match.Groups[1].Value}\" Version=\"[{Regex.Match(versions, $"\"{match.Groups[1].Value}\" Version=\"(.*?)\"").Groups[1].Value}]\" />");
            File.WriteAllText(_folder.File($"as-is/{Path.GetRelativePath(Path.Combine(TestTools.Root, "samples"), file)}"), text);
        }

        File.WriteAllText(_folder.File("as-is/Directory.Build.props"), """
            <Project>
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <ImplicitUsings>enable</ImplicitUsings>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
              </PropertyGroup>
            </Project>
            """);
        WriteNuGetConfig("as-is");
        await RunAsync("build", _folder.Folder($"as-is/{samples[^1]}"), "-p:UseSharedCompilation=false");
        return _folder.Folder("as-is");
    }

    // Our packages from the folder, their dependencies from the packages of this build: nothing is downloaded, nothing stays afterwards.
    private void WriteNuGetConfig(string program)
    {
        var restored = Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget/packages");
        File.WriteAllText(_folder.File($"{program}/nuget.config"), $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="{_folder.Folder("restored")}" /></config>
              <packageSources><clear /><add key="folder" value="{_folder.Folder("packages")}" /></packageSources>
              <fallbackPackageFolders><clear /><add key="built" value="{restored}" /></fallbackPackageFolders>
            </configuration>
            """);
    }

    /// <summary>A file of a package that a sample was built with, as it was restored.</summary>
    internal string FileOf(string package, string file) => _folder.File($"restored/{package.ToLowerInvariant()}/{Version}/{file}");

    /// <summary>Runs a built program to its end.</summary>
    internal Task<TestRun> RunAsync(string program, TimeSpan max, params string[] arguments) =>
        TestProcess.RunAsync([.. TestTools.Command("dotnet"), program, .. arguments], _folder.Path, Surroundings(), max, TestContext.Current.CancellationToken);

    /// <summary>Starts a built program.</summary>
    internal System.Diagnostics.Process Start(string program, params string[] arguments) =>
        TestProcess.Start([.. TestTools.Command("dotnet"), program, .. arguments], _folder.Path, Surroundings());

    private async Task PackAsync()
    {
        foreach (var project in Projects)
        {
            await RunAsync("pack", Path.Combine(TestTools.Root, project), "-c", Configuration, "--no-build", $"-p:PackageVersion={Version}", "-o", _folder.Folder("packages"));
        }
    }

    [GeneratedRegex("""<ProjectReference Include="../../(?:src|test)/.*?/([^/]*).csproj" />""")]
    private static partial Regex OurProject();

    [GeneratedRegex("""<PackageReference Include="([^"]*)" />""")]
    private static partial Regex UnversionedPackage();

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
            // No build process stays alive that the test would wait for.
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
