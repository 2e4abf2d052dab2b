using System.Globalization;
using System.Text;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

/// <summary>The columns of packuments, of honest ones and of hostile ones.</summary>
public sealed class PackumentColumnsTests
{
    private static readonly PackageName Name = PackageName.Parse("ms");

    [Fact]
    public void Reads_the_values_that_people_ask_for()
    {
        var (columns, versions) = Read("""
            {"name":"ms","description":"Tiny","keywords":["time","time","ms"],"maintainers":[{"name":"ann","email":"a@example.org"},"bob <b@example.org>"],"license":"MIT",
            "dist-tags":{"latest":"1.0.0","next":"2.0.0"},
            "versions":{"1.0.0":{"dependencies":{"a.b":"^1.0.0","$c":"*"},"license":{"type":"ISC"},"deprecated":"old"},"2.0.0":{"licenses":[{"type":"MIT"},"BSD"]}},
            "time":{"1.0.0":"2020-01-02T03:04:05.000Z"}}
            """);
        Assert.Equal(("Tiny", "MIT"), (columns.Description, columns.License));
        Assert.Equal(["time", "ms"], columns.Keywords);
        Assert.Equal(["ann", "bob"], columns.Maintainers);
        Assert.Equal([new("latest", "1.0.0"), new("next", "2.0.0")], columns.DistTags);
        Assert.Equal([new("a.b", "^1.0.0"), new("$c", "*")], versions[0].Dependencies);
        Assert.Equal(("ISC", "old", new DateTimeOffset(2020, 1, 2, 3, 4, 5, TimeSpan.Zero)), (versions[0].License, versions[0].Deprecated, versions[0].PublishedAt!.Value));
        Assert.Equal(("MIT OR BSD", null, null), (versions[1].License, versions[1].Deprecated, versions[1].PublishedAt));
    }

    [Fact]
    public void Takes_members_that_the_document_lacks_from_the_latest_version()
    {
        var (columns, _) = Read("""{"name":"ms","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"description":"d","keywords":"a, b","license":"MIT","maintainers":["ann"]}}}""");
        Assert.Equal(("d", "MIT"), (columns.Description, columns.License));
        Assert.Equal(["a", "b"], columns.Keywords);
        Assert.Equal(["ann"], columns.Maintainers);
    }

    [Claim("The columns of a hostile packument are left out or cut, and cost no more than their bounds")]
    [Theory]
    [InlineData("null")]
    [InlineData("7")]
    [InlineData("{}")]
    [InlineData("[[[]],{},null,7,\"\",{\"name\":{}},{\"type\":[]}]")]
    [InlineData("{\"name\":[],\"type\":{}}")]
    [InlineData("\"\"")]
    [InlineData("true")]
    public void Leaves_out_members_of_another_type(string value)
    {
        var (columns, versions) = Read($$"""
            {"name":"ms","description":{{value}},"keywords":{{value}},"maintainers":{{value}},"license":{{value}},"dist-tags":{{value}},
            "versions":{"1.0.0":{"dependencies":{{value}},"license":{{value}},"licenses":{{value}},"deprecated":false},"2.0.0":{{value}}},"time":{{value}}}
            """);
        Assert.Equal((null, null), (columns.Description, columns.License));
        Assert.Empty(columns.Keywords);
        Assert.Empty(columns.Maintainers);
        Assert.All(versions, version => Assert.Null(version.Deprecated));
        Assert.All(versions, version => Assert.Null(version.License));
    }

    [Fact]
    public void Cuts_a_long_text()
    {
        var many = string.Join(',', Enumerable.Range(0, 20_000).Select(i => string.Create(CultureInfo.InvariantCulture, $"\"k{i}\"")));
        var deps = string.Join(',', Enumerable.Range(0, 20_000).Select(i => string.Create(CultureInfo.InvariantCulture, $"\"d{i}\":\"1\"")));
        var (columns, versions) = Read($$"""
            {"name":"ms","description":"{{new string('x', 60_000)}}","keywords":[{{many}}],"maintainers":["{{new string('x', 300)}}"],"license":"\ud83d",
            "dist-tags":{},"versions":{"1.0.0":{"dependencies":{ {{deps}} },"deprecated":"{{new string('x', 60_000)}}"} } }
            """);
        Assert.Equal(4096, columns.Description!.Length);
        Assert.Equal(PackumentColumns.ListMax, columns.Keywords.Count);
        Assert.Empty(columns.Maintainers);
        Assert.Equal(5000, versions[0].Dependencies.Count);
        Assert.Equal(1000, versions[0].Deprecated!.Length);
    }

    [Fact]
    public void Gives_none_for_a_packument_of_another_package()
    {
        var document = Encoding.UTF8.GetBytes("""{"name":"ms","versions":{}}""");
        var index = PackumentReader.Read(document, Name).Index.ToBytes();
        Assert.NotNull(PackumentColumns.TryRead(Name, index, document, out _));
        Assert.Null(PackumentColumns.TryRead(PackageName.Parse("other"), index, document, out _));
        Assert.Null(PackumentColumns.TryRead(Name, index, document.AsSpan(1), out _));
        Assert.Null(PackumentColumns.TryRead(Name, index, new byte[document.Length], out _));
        Assert.Null(PackumentColumns.TryRead(Name, "index of first"u8, document, out _));
        Assert.Null(PackumentColumns.TryRead(Name, [], document, out _));
    }

    private static (PackumentColumns Columns, List<VersionColumns> Versions) Read(string json)
    {
        var document = Encoding.UTF8.GetBytes(json);
        var index = PackumentReader.Read(document, Name).Index.ToBytes();
        var columns = PackumentColumns.TryRead(Name, index, document, out var read);
        return (columns!, [.. read!.Versions.Select(version => VersionColumns.Read(version, document))]);
    }
}
