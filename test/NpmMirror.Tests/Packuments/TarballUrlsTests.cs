using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

public sealed class TarballUrlsTests
{
    private const string Document = """
        {"versions":{"1.0.0":{"dist":{"tarball":"https://registry.example.org/files/odd%20name_v1.tar.gz?x=/y.tgz#z"}},
        "1.0.0-2":{"dist":{"tarball":"https:\/\/registry.example.org\/a-b\/-\/a-b-1.0.0.tgz"}},"2.0.0":{},"b-1.0.0":{"dist":{"tarball":"plain"}}}}
        """;

    [Claim("Tarballs are looked up in the packument and never by splitting the file name",
        Red = "`TarballUrls.FindVersion` takes what follows the last dash for the version")]
    [Theory]
    [InlineData("a-b-1.0.0.tgz", "1.0.0")]
    [InlineData("a-b-1.0.0-2.tgz", "1.0.0-2")]
    [InlineData("a-b-2.0.0.tgz", "2.0.0")]
    [InlineData("a-b-b-1.0.0.tgz", "b-1.0.0")]
    [InlineData("odd name_v1.tar.gz", "1.0.0")]
    [InlineData("plain", "b-1.0.0")]
    [InlineData("a-1.0.0.tgz", null)]
    [InlineData("a-b-1.0.0.TGZ", null)]
    [InlineData("a-b-9.9.9.tgz", null)]
    [InlineData("a-b-.tgz", null)]
    [InlineData("a-b.tgz", null)]
    [InlineData(".tgz", null)]
    [InlineData("..", null)]
    [InlineData("", null)]
    [InlineData("y.tgz#z", null)]
    [InlineData("a-b-1.0.0.tgz\0", null)]
    public void A_file_is_looked_up_and_never_split(string file, string? version)
    {
        var (index, document) = Fixture.Read("a-b", Document);
        Assert.Equal(version, TarballUrls.FindVersion(index, document, PackageName.Parse("a-b"), file)?.Version);
        Assert.Equal(version, TarballUrls.FindVersion(index, document, PackageName.Parse("@scope/a-b"), file)?.Version);
    }

    [Fact]
    public void Half_a_surrogate_pair_in_a_file_name_finds_nothing()
    {
        var (index, document) = Fixture.Read("a-b", Document);
        Assert.Null(TarballUrls.FindVersion(index, document, PackageName.Parse("a-b"), "a-b-\ud800.tgz"));
    }
}
