using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

public sealed class VersionOrderTests
{
    [Fact]
    public void Stands_as_semver_says()
    {
        string[] ascending = ["0.0.0", "0.9.10", "0.10.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.2-1.2.3", "1.0.2", "99999999999999999999.0.0"];
        for (var i = 1; i < ascending.Length; i++)
        {
            Assert.True(VersionOrder.Of(ascending[i - 1])!.CompareTo(VersionOrder.Of(ascending[i])) < 0, ascending[i]);
            Assert.True(VersionOrder.Of(ascending[i])!.CompareTo(VersionOrder.Of(ascending[i - 1])) > 0, ascending[i]);
        }

        Assert.Equal(0, VersionOrder.Of("1.0.0+a")!.CompareTo(VersionOrder.Of("1.0.0+b")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("1.0")]
    [InlineData("1.0.0.0")]
    [InlineData("v1.0.0")]
    [InlineData("1.0.x")]
    [InlineData("1.0.-1")]
    public void A_text_that_is_no_version_has_no_place(string text) => Assert.Null(VersionOrder.Of(text));
}
