namespace NpmMirror.Tests;

public sealed class PackageNameTests
{
    [Claim("Names are case-exact, legacy names count, other texts are refused; names are ordered by UTF-8 bytes (never-again 18)",
        With =
        [
            nameof(Refuses_a_text_that_is_no_name),
            nameof(Refuses_half_a_surrogate_pair),
            nameof(Orders_by_utf8_bytes_not_by_utf16_units),
            nameof(Names_that_differ_only_in_case_are_two_names),
        ],
        Red = "names compared ignoring case; `.` and `..` taken for names")]
    [Theory]
    [InlineData("express")]
    [InlineData("@types/node")]
    [InlineData("JSONStream")]
    [InlineData("-")]
    [InlineData("...")]
    [InlineData("@_000407/transpose.js")]
    [InlineData("日本語")]
    [InlineData("_tilde~'!(*)")]
    public void Accepts_names_of_the_registry(string name) => Assert.Equal(name, PackageName.Parse(name).Value);

    [Fact]
    public void Names_that_differ_only_in_case_are_two_names() => Assert.NotEqual(PackageName.Parse("JSONStream"), PackageName.Parse("jsonstream"));

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("@a/..")]
    [InlineData("@/a")]
    [InlineData("@types")]
    [InlineData("a/b")]
    [InlineData("_design/app")]
    [InlineData("a b")]
    [InlineData("a%2fb")]
    [InlineData("a\\b")]
    [InlineData("a\0b")]
    public void Refuses_a_text_that_is_no_name(string name) => Assert.False(PackageName.TryParse(name, out _));

    // Not as inline data: attributes are stored as UTF-8, which has no lone surrogates.
    [Fact]
    public void Refuses_half_a_surrogate_pair() => Assert.False(PackageName.TryParse("a\ud800b", out _));

    [Fact]
    public void Orders_by_utf8_bytes_not_by_utf16_units()
    {
        // U+FF5E is below U+1F600 in UTF-8, above its surrogates in UTF-16.
        Assert.True(PackageName.Parse("\uff5e") < PackageName.Parse("\U0001f600"));
        Assert.True(PackageName.Parse("Z") < PackageName.Parse("a"));
    }

    [Fact]
    public void Encodes_scopes_as_npm_does()
    {
        Assert.Equal("@types%2fnode", PackageName.Parse("@types/node").UrlSegment);
        Assert.Equal("@types/node", PackageName.Parse("@types/node").UrlPath);
    }
}
