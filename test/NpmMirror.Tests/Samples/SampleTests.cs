using System.Text;
using NpmMirror.Testing;
using NpmMirror.Tests.Cli;

namespace NpmMirror.Tests.Samples;

/// <summary>The samples, built from the packed library in fresh projects outside of the tree.</summary>
[Trait("Duration", "long")]
public sealed class SampleTests(PackedLibrary library) : IClassFixture<PackedLibrary>
{
    [Claim("An application with a mirror at `/npm` is under 15 lines, a program that prints what changes under 8, each built from the packed packages",
        With = [nameof(The_packed_library_makes_an_application_with_a_mirror_at_a_path), nameof(The_packed_library_makes_a_program_that_prints_changes)])]
    [Theory]
    [InlineData("Watch", 8)]
    [InlineData("Embed", 15)]
    public void A_sample_is_a_few_lines_of_code(string sample, int linesMax) =>
        Assert.InRange(File.ReadLines(Path.Combine(TestTools.Root, $"samples/{sample}/Program.cs")).Count(line => line.Trim() is { Length: > 0 } code && !code.StartsWith("//", StringComparison.Ordinal)), 2, linesMax - 1);

    [Claim("The library packs with README and documentation, and a program of its own is built from the package and prints changes (samples/Watch)",
        Red = "the package has no README")]
    [Fact]
    public async Task The_packed_library_makes_a_program_that_prints_changes()
    {
        Assert.SkipUnless(TestTools.Has("dotnet"), TestTools.Missing("dotnet"));
        var program = await library.BuildAsync("Watch", "Microsoft.NET.Sdk", "NpmMirror");
        Assert.True(File.Exists(library.FileOf("NpmMirror", "README.md")));
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("2.1.3"));
        await RunAsync(program, [registry.Url.AbsoluteUri, "0"], async told =>
        {
            await Eventually.Async(() => told().Contains("@ 1", StringComparison.Ordinal));
            registry.PublishVersion("ms", "2.1.4");
            await Eventually.Async(() => told().Contains("> ms", StringComparison.Ordinal));
            registry.Delete("ms");
            await Eventually.Async(() => told().Contains("- ms", StringComparison.Ordinal));
        });
    }

    [Fact]
    public async Task The_packed_library_makes_an_application_with_a_mirror_at_a_path()
    {
        Assert.SkipUnless(TestTools.Has("dotnet"), TestTools.Missing("dotnet"));
        var program = await library.BuildAsync("Embed", "Microsoft.NET.Sdk.Web", "NpmMirror.AspNetCore", "NpmMirror.Sqlite");
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("2.1.3"));
        using var folder = new TestFolder();
        using var client = new HttpClient();
        await RunAsync(program, [registry.Url.AbsoluteUri, folder.Path, "http://127.0.0.1:0"], async told =>
        {
            const string Listening = "Now listening on: ";
            await Eventually.Async(() => told().Contains(Listening, StringComparison.Ordinal) && told().Split(Listening)[1].Contains('\n', StringComparison.Ordinal));
            var address = told().Split(Listening)[1].Split('\n')[0].Trim();
            Assert.StartsWith("Hello", await client.GetStringAsync(new Uri($"{address}/hello"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
            Assert.Contains($"\"{address}/npm/ms/-/ms-2.1.3.tgz\"", await client.GetStringAsync(new Uri($"{address}/npm/ms"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
            Assert.NotEmpty(await client.GetByteArrayAsync(new Uri($"{address}/npm/ms/-/ms-2.1.3.tgz"), TestContext.Current.CancellationToken));
            Assert.True(File.Exists(folder.File("npm-mirror.sqlite")));
        });
    }

    [Claim("An engine of one's own (samples/Engine, over LMDB), built from the packed packages, keeps the whole contract; the program fills it and serves from it, and loses nothing when it is killed",
        Red = "`LmdbPackages` compares no generations; `LmdbQueue` gives out leased items; `LongKeys` holds no key to be long")]
    [Fact]
    public async Task A_module_with_an_engine_keeps_the_contract_and_serves()
    {
        Assert.SkipUnless(TestTools.Has("dotnet"), TestTools.Missing("dotnet"));
        var samples = await library.BuildAsTheyAreAsync("Engine", "Engine.Tests");
        var contract = library.RunAsync(Path.Combine(samples, "Engine.Tests/bin/Debug/net10.0/Engine.Tests.dll"), TimeSpan.FromMinutes(5), "-noLogo", "-noColor");

        await using var upstream = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        upstream.Publish(new FakePackage("ms").Version("2.1.3"));
        using var folder = new TestFolder();
        string[] settings = [$"--upstream={upstream.Url}", $"--store.module={samples}/Engine/bin/Debug/net10.0/Engine.dll", "--store.options.mapBytes=1073741824"];
        var (code, output, errors) = await CliProcess.RunManagedAsync(folder.Path, ["sync", "--metadata=all", .. settings]);
        Assert.True(code == 0, errors);
        Assert.StartsWith("1 changed, 0 unchanged, 0 removed, 0 failed", output, StringComparison.Ordinal);

        // Served, while another process counts; then killed.
        await using (var serve = CliProcess.StartManaged(folder.Path, ["serve", "--listen=http://127.0.0.1:0", .. settings]))
        {
            var address = (await serve.WaitForOutputAsync("Serving "))["Serving ".Length..].Split(' ')[0];
            using var client = new HttpClient();
            Assert.Contains("\"2.1.3\"", await client.GetStringAsync(new Uri($"{address}ms"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
            upstream.PublishVersion("ms", "2.1.4");
            await Eventually.Async(async () => (await client.GetStringAsync(new Uri($"{address}ms"), TestContext.Current.CancellationToken)).Contains("\"2.1.4\"", StringComparison.Ordinal));
            (code, output, errors) = await CliProcess.RunManagedAsync(folder.Path, ["status", .. settings[1..]]);
            Assert.True(code == 0, errors);
            Assert.Contains("lmdb:", output, StringComparison.Ordinal);
            await serve.SignalAsync("KILL");
            await serve.WaitForExitAsync();
        }

        (code, output, errors) = await CliProcess.RunManagedAsync(folder.Path, ["verify", .. settings[1..]]);
        Assert.True(code == 0, output + errors);
        Assert.Contains("4 log rows, 1 document", output, StringComparison.Ordinal);

        var run = await contract;
        Assert.True(run.ExitCode == 0, run.Output);
        Assert.Matches("Total: 1[0-9][0-9], Errors: 0, Failed: 0, Skipped: 0", run.Output);
    }

    /// <summary>Runs a program while <paramref name="work"/> reads its output.</summary>
    private async Task RunAsync(string program, string[] arguments, Func<Func<string>, Task> work)
    {
        using var process = library.Start(program, arguments);
        try
        {
            var told = new StringBuilder();
            _ = TestProcess.GatherAsync(process.StandardOutput, told, CancellationToken.None);
            _ = TestProcess.GatherAsync(process.StandardError, told, CancellationToken.None);
            await work(() =>
            {
                lock (told)
                {
                    return told.ToString();
                }
            });
        }
        finally
        {
            process.Kill();
        }
    }
}
