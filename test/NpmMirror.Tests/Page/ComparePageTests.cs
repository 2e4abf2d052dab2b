using System.Formats.Tar;
using System.Net;
using System.Text;
using NpmMirror.Page.Comparing;
using NpmMirror.Page.Sources;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Page;

/// <summary>Two versions side by side, and the files of one.</summary>
public sealed class ComparePageTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("Two versions are compared: install scripts and maintainers first, then the files of the stored tarballs; a removed version too",
        With = [nameof(A_removed_version_is_compared_by_its_tarball), nameof(Files_that_differ_a_lot_are_compared_within_limits)],
        Red = "`ManifestMembers` orders by name alone")]
    [Fact]
    public async Task Two_versions_are_compared_manifest_first()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(Package());
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        await HoldAsync(mirror, "1.0.0", "1.1.0");
        var text = await HtmlAsync(mirror, "/package/tool/compare?from=1.0.0&to=1.1.0");
        Assert.Contains("<h3>scripts <span class=\"mark bad\">runs at install</span></h3>", text);
        Assert.Contains("node evil.js", text);
        Assert.True(text.IndexOf("<h3>scripts", StringComparison.Ordinal) < text.IndexOf("<h3>dependencies", StringComparison.Ordinal));
        Assert.Contains("<tr class=\"taken\"><td class=\"at\">-</td><td>exports.x = 1;</td></tr>", text);
        Assert.Contains("<tr class=\"added\"><td class=\"at\">&#x2B;</td><td>exports.x = 2;</td></tr>", text);
        Assert.Contains("<h3>evil.js <span class=\"mark good\">added</span>", text);
        Assert.Contains("&lt;script&gt;pwned=1&lt;/script&gt;", text);
        Assert.DoesNotContain("<script>pwned", text);

        using var unknown = await mirror.GetAsync("/package/tool/compare?from=1.0.0&to=9.9.9", ("Accept", "text/html"));
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Contains("that of 2.0.0 is not", await HtmlAsync(mirror, "/package/tool/compare?from=1.0.0&to=2.0.0"));
    }

    [Fact]
    public async Task A_removed_version_is_compared_by_its_tarball()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(Package());
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        await HoldAsync(mirror, "1.0.0", "1.1.0");
        await mirror.PutAsync("tool", """{"name":"tool","versions":{"1.0.0":{"name":"tool","version":"1.0.0"}}}""");
        await mirror.SettleAsync();
        Assert.Contains("exports.x = 2;", await HtmlAsync(mirror, "/package/tool/compare?from=1.0.0&to=1.1.0"));
        Assert.Contains(">evil.js</a>", await HtmlAsync(mirror, "/package/tool/v/1.1.0/files"));
    }

    [Fact]
    public async Task A_file_has_a_link_for_each_line()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(Package());
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        await HoldAsync(mirror, "1.1.0");
        var list = await HtmlAsync(mirror, "/package/tool/v/1.1.0/files");
        Assert.Contains("href=\"../../../../package/tool/v/1.1.0/files/lib/index.js\"", list);
        var file = await HtmlAsync(mirror, "/package/tool/v/1.1.0/files/lib/index.js");
        Assert.Contains("<tr id=\"L1\"><td class=\"at\"><a href=\"#L1\">1</a></td><td>// &lt;script&gt;pwned=1&lt;/script&gt;</td></tr>", file);
        Assert.Contains("<tr id=\"L2\"><td class=\"at\"><a href=\"#L2\">2</a></td><td>exports.x = 2;</td></tr>", file);
        using var absent = await mirror.GetAsync("/package/tool/v/1.1.0/files/no/such", ("Accept", "text/html"));
        Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);
        using var unstored = await mirror.GetAsync("/package/tool/v/2.0.0/files", ("Accept", "text/html"));
        Assert.Equal(HttpStatusCode.NotFound, unstored.StatusCode);
    }

    [Fact]
    public async Task The_past_of_a_security_holder_is_not_compared()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(Package());
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        await HoldAsync(mirror, "1.0.0", "1.1.0");
        registry.Publish(FakePackage.SecurityHolder("tool"));
        await mirror.TextAsync("tool?refresh=1");
        foreach (var path in new[] { "/package/tool/v/1.1.0/files", "/package/tool/v/1.1.0/files/lib/index.js", "/package/tool/compare?from=1.0.0&to=1.1.0" })
        {
            using var answer = await mirror.GetAsync(path, ("Accept", "text/html"));
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            Assert.DoesNotContain("exports.x", await answer.Content.ReadAsStringAsync(Cancelled));
        }

        Assert.DoesNotContain("1.1.0", await HtmlAsync(mirror, "/package/tool"));
    }

    [Claim("A hostile archive costs no more than its limits: bytes that it unpacks to, lengths of names, numbers of files",
        Red = "`TarEntries` does not compare the size of a header's record with its limit: the long name was red")]
    [Theory]
    [InlineData("bomb", "has a file of")]
    [InlineData("long name", "A name or header")]
    [InlineData("large file", "has a file of")]
    [InlineData("many", "unpacks to more than")]
    [InlineData("cut", "cut short")]
    [InlineData("noise", "no tar archive")]
    public async Task A_hostile_archive_ends_the_walk(string kind, string words)
    {
        var bytes = kind switch
        {
            "bomb" => Archive(("package/a", new byte[3_000_000])),
            "many" => Archive([.. Enumerable.Range(0, 3).Select(i => ($"package/{i}", new byte[600_000]))]),
            "long name" => Header('x', 100_000_000),
            "large file" => Header('0', 8_000_000_000),
            "cut" => Archive(("package/a", new byte[5_000]))[..3_000],
            _ => Encoding.ASCII.GetBytes(new string('z', 2_000)),
        };
        var entries = new TarEntries(new MemoryStream(bytes), decodedMaxBytes: 1_000_000);
        var problem = await Assert.ThrowsAsync<InvalidDataException>(async () =>
        {
            var buffer = new byte[64];
            while (await entries.NextAsync(Cancelled))
            {
                await entries.ReadAsync(buffer, Cancelled);
            }
        });
        Assert.Contains(words, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Long_names_and_large_numbers_of_an_archive_are_read()
    {
        var name = "package/" + new string('d', 90) + "/" + new string('f', 120);
        var entries = new TarEntries(new MemoryStream(Archive((name, "one"u8.ToArray()), ("package/two", "two"u8.ToArray()))), 1_000_000);
        Assert.True(await entries.NextAsync(Cancelled));
        Assert.Equal(name, entries.Name);
        Assert.True(await entries.NextAsync(Cancelled));
        Assert.Equal("package/two", entries.Name);
        var buffer = new byte[10];
        Assert.Equal(3, await entries.ReadAsync(buffer, Cancelled));
        Assert.Equal(0, await entries.ReadAsync(buffer, Cancelled));
        Assert.False(await entries.NextAsync(Cancelled));
    }

    [Fact]
    public void Files_that_differ_a_lot_are_compared_within_limits()
    {
        var many = string.Join('\n', Enumerable.Range(0, 2_500).Select(i => $"a{i}"));
        var others = string.Join('\n', Enumerable.Range(0, 2_500).Select(i => $"b{i}"));
        var from = Tree(Enumerable.Range(0, 40).Select(i => ($"f{i}", many)).Prepend(("a-long", new string('x', 200_000))));
        var to = Tree(Enumerable.Range(0, 40).Select(i => ($"f{i}", others)).Prepend(("a-long", new string('y', 200_000))));
        var (files, count) = FileChanges.Of(from, to, TimeProvider.System);
        Assert.Equal(41, count);
        Assert.All(files, file => Assert.True(file.Lines.Count <= 400));
        Assert.True(files.Sum(file => file.Lines.Count) <= 4_400);
        Assert.Equal("Too long to be compared by line.", files.Single(file => file.Path == "a-long").Note ?? "");
    }

    private static SourceTree Tree(IEnumerable<(string Path, string Text)> files) => new(
        files.ToDictionary(file => file.Path, file => new SourceFile(file.Path, file.Text.Length, Digest.OfSha256(Encoding.UTF8.GetBytes(file.Text)), file.Text, false)), null);

    private static byte[] Archive(params (string Name, byte[] Bytes)[] files)
    {
        using var archive = new MemoryStream();
        using (var writer = new TarWriter(archive, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var (name, bytes) in files)
            {
                writer.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(bytes) });
            }
        }

        return archive.ToArray();
    }

    private static byte[] Header(char type, long size)
    {
        var header = new byte[512];
        Encoding.ASCII.GetBytes("package/a").CopyTo(header, 0);
        Encoding.ASCII.GetBytes(Convert.ToString(size, 8).PadLeft(11, '0')).CopyTo(header, 124);
        header[156] = (byte)type;
        return header;
    }

    private static FakePackage Package() => new FakePackage("tool")
        .Version("1.0.0", version => version.Files["lib/index.js"] = "// one\nexports.x = 1;\n")
        .Version("1.1.0", version =>
        {
            version.Files["lib/index.js"] = "// <script>pwned=1</script>\nexports.x = 2;\n";
            version.Files["evil.js"] = "require('child_process');\n";
            version.Scripts["postinstall"] = "node evil.js";
            version.Dependencies["left-pad"] = "1";
        })
        .Version("2.0.0");

    private static async Task HoldAsync(ServedMirror mirror, params string[] versions)
    {
        foreach (var version in versions)
        {
            using var answer = await mirror.GetAsync($"tool/-/tool-{version}.tgz");
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            await Eventually.Async(async () => await mirror.Store.Tarballs.FindTarballAsync(PackageName.Parse("tool"), $"tool-{version}.tgz", Cancelled) is { State: TarballState.Held });
        }
    }

    private static async Task<string> HtmlAsync(ServedMirror mirror, string path)
    {
        using var answer = await mirror.GetAsync(path, ("Accept", "text/html"));
        return await answer.Content.ReadAsStringAsync(Cancelled);
    }
}
