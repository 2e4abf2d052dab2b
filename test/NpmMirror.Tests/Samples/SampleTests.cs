using System.Text;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Samples;

/// <summary>The samples, built from the packed library in fresh projects outside of the tree.</summary>
[Trait("Duration", "long")]
public sealed class SampleTests(PackedLibrary library) : IClassFixture<PackedLibrary>
{
    [Claim("An application with a mirror at `/npm` is under 15 lines, a program that prints what changes under 8, each built from the packed packages",
        With = [nameof(The_packed_library_makes_an_application_with_a_mirror_at_a_path), nameof(The_packed_library_makes_a_program_that_prints_what_changes)])]
    [Theory]
    [InlineData("Watch", 8)]
    [InlineData("Embed", 15)]
    public void A_sample_is_a_few_lines_of_code(string sample, int linesMax) =>
        Assert.InRange(File.ReadLines(Path.Combine(TestTools.Root, $"samples/{sample}/Program.cs")).Count(line => line.Trim() is { Length: > 0 } code && !code.StartsWith("//", StringComparison.Ordinal)), 2, linesMax - 1);

    [Claim("The library packs with README and documentation, and a program of its own is built from the package and prints changes (samples/Watch)",
        Red = "the package has no README")]
    [Fact]
    public async Task The_packed_library_makes_a_program_that_prints_what_changes()
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
