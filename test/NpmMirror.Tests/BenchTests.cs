using System.Text.RegularExpressions;

namespace NpmMirror.Tests;

/// <summary>The scripts of bench/: they find what they start, they end, and they compare like with like.</summary>
public sealed partial class BenchTests
{
    private static readonly string Bench = Path.Combine(TestTools.Root, "bench");
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string> Scripts => [.. Directory.EnumerateFiles(Bench, "*.sh").Select(file => Path.GetFileName(file)).Where(name => name != "tools.sh").Order(StringComparer.Ordinal)];

    [Claim("Each script of bench/ can be read by its shell, names only files and projects that are there, ends within a time, and has its line in bench/README.md",
        With = [nameof(Every_module_imports_what_is_there)])]
    [Theory]
    [MemberData(nameof(Scripts))]
    public async Task A_script_names_what_is_there_and_is_bounded(string script)
    {
        var file = Path.Combine(Bench, script);
        var text = await File.ReadAllTextAsync(file, Token);
        var read = await RunAsync("bash", "-n", file);
        Assert.True(read.ExitCode == 0, read.Output);
        Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(file).HasFlag(UnixFileMode.UserExecute));
        var named = BenchPath().Matches(text).Select(match => Path.Combine(Bench, match.Groups[1].Value))
            .Concat(BuiltProject().Matches(text).Select(match => Path.Combine(Bench, match.Groups[1].Value, $"{match.Groups[1].Value}.csproj"))).ToList();
        Assert.All(named, path => Assert.True(File.Exists(path), $"{script} names {path}, which is not there."));
        var modules = named.Where(path => path.EndsWith(".mjs", StringComparison.Ordinal)).ToList();
        Assert.All(modules, module => Assert.Contains("await runWithin(", File.ReadAllText(module), StringComparison.Ordinal));
        Assert.True(modules.Count > 0 || text.Contains("timeout ", StringComparison.Ordinal), $"{script} may run for ever.");
        Assert.Contains($"bench/{script}", await File.ReadAllTextAsync(Path.Combine(Bench, "README.md"), Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_module_imports_what_is_there()
    {
        var linked = await NodeAsync("--experimental-vm-modules", Path.Combine(TestTools.Root, "test/tools/link.mjs"), Path.Combine(Bench, "compare"));
        Assert.True(linked.ExitCode == 0, linked.Output);
        Assert.Contains($"{Directory.GetFiles(Path.Combine(Bench, "compare"), "*.mjs").Length} linked", linked.Output, StringComparison.Ordinal);
    }

    [Claim("The benchmarks start the program that ./build.sh made, be it native or one that dotnet runs, and say so in a sentence if there is none")]
    [Theory]
    [InlineData("npm-mirror.dll", "npm-mirror.dll")]
    [InlineData("npm-mirror", "npm-mirror")]
    [InlineData(null, "./build.sh made no program in")]
    public async Task The_program_that_was_built_is_found(string? built, string told)
    {
        using var checkout = new TempFolder();
        var folder = Directory.CreateDirectory(Path.Combine(checkout.Path, "artifacts/npm-mirror")).FullName;
        if (built is not null)
        {
            await File.WriteAllTextAsync(Path.Combine(folder, built), "", Token);
        }

        var run = await SourcedAsync($"program_of '{checkout.Path}'");
        Assert.Equal(built is null ? 1 : 0, run.ExitCode);
        Assert.Contains(built is null ? told : Path.Combine(folder, told) + "\n", run.Output, StringComparison.Ordinal);
    }

    [Claim("Benchmarks that want packuments say which folder has none, and make some up, the same each time, where none is given",
        With = [nameof(Made_up_packuments_are_the_same_each_time_and_can_be_read)])]
    [Fact]
    public async Task A_folder_without_packuments_is_named()
    {
        using var empty = new TempFolder();
        var run = await SourcedAsync($"find_corpus --rounds 1 --corpus '{empty.Path}'");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains($"There are no packuments in {empty.Path}: --corpus names a folder of files such as express.json", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Made_up_packuments_are_the_same_each_time_and_can_be_read()
    {
        using var folder = new TempFolder();
        var sums = new List<string>();
        foreach (var name in new[] { "first", "second" })
        {
            var made = Path.Combine(folder.Path, name);
            var run = await NodeAsync(Path.Combine(Bench, "compare/made-up.mjs"), "--folder", made, "--packages", "12");
            Assert.True(run.ExitCode == 0, run.Output);
            var files = Directory.GetFiles(made).Order(StringComparer.Ordinal).ToList();
            Assert.Equal(15, files.Count);
            sums.Add(string.Join(' ', files.Select(file => Digest.OfSha256(File.ReadAllBytes(file)))));
            foreach (var file in files)
            {
                var package = PackageName.Parse(Uri.UnescapeDataString(Path.GetFileNameWithoutExtension(file)));
                Assert.NotEmpty(NpmMirror.Packuments.PackumentReader.Read(await File.ReadAllBytesAsync(file, Token), package).Index.Versions);
            }
        }

        Assert.Equal(sums[0], sums[1]);
    }

    [Claim("A round of the benchmarks after which a system has other bytes, another ETag or another type is void; one with another text, or systems that differ from the start, end the run",
        Red = "`changeSince` compares the text only")]
    [Fact]
    public async Task A_round_with_other_bytes_is_void()
    {
        var run = await NodeAsync(Path.Combine(TestTools.Root, "test/tools/rounds.mjs"), Path.Combine(Bench, "compare"));
        Assert.True(run.ExitCode == 0, run.Output);
        var lines = run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.TrimEnd('\r').Split(',')[0]);
        Assert.Equal(["the same: counts", "other compression: void", "other ETag: void", "other type: void", "other text: error", "alike: counts", "unlike: error", "right volume: counts", "half the volume: error"], lines);
    }

    private static Task<TestRun> SourcedAsync(string command) => RunAsync("bash", "-c", $"set -euo pipefail; source '{Bench}/tools.sh'; {command}");

    private static async Task<TestRun> NodeAsync(params string[] arguments)
    {
        Assert.SkipUnless(TestTools.Has("node"), TestTools.Missing("node"));
        return await RunAsync(["node", .. arguments]);
    }

    private static Task<TestRun> RunAsync(params string[] command) =>
        TestProcess.RunAsync([.. TestTools.Command(command[0]), .. command[1..]], TestTools.Root, new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "" }, Longest, Token);

    [GeneratedRegex("""\$bench/([\w./-]+\.\w+)""")]
    private static partial Regex BenchPath();

    [GeneratedRegex(@"(?:build_project |\$bench/|bench/)((?:NpmMirror\.|Bare)\w+)")]
    private static partial Regex BuiltProject();
}
