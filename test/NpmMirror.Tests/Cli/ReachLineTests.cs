using NpmMirror.Cli;
using NpmMirror.Options;

namespace NpmMirror.Tests.Cli;

/// <summary>The line below the address: which machines reach it.</summary>
public sealed class ReachLineTests
{
    [Theory]
    [InlineData("http://127.0.0.1:4990", "http://127.0.0.1:4990", "Only programs on this machine reach it; --listen=0.0.0.0:4990 opens it to others.")]
    [InlineData("http://[::1]:4990", "http://[::1]:4990", "Only programs on this machine reach it")]
    [InlineData("http://10.1.2.3:4990", "http://10.1.2.3:4990", "Other machines reach it at http://10.1.2.3:4990/npm/; add a name that they use instead to allowedHosts.")]
    public void Tells_from_where_an_address_is_reached(string bound, string shown, string told)
    {
        Assert.Equal(shown, ReachLine.ForThisMachine(new Uri(bound)));
        Assert.StartsWith(told, ReachLine.Describe(new Uri(bound), new MirrorOptions()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://0.0.0.0:4990")]
    [InlineData("http://[::]:4990")]
    public void Every_address_is_shown_as_one_that_can_be_opened(string bound)
    {
        Assert.Equal("http://127.0.0.1:4990", ReachLine.ForThisMachine(new Uri(bound)));
        var told = ReachLine.Describe(new Uri(bound), new MirrorOptions());
        Assert.DoesNotContain("Only programs on this machine", told, StringComparison.Ordinal);
        Assert.DoesNotContain("0.0.0.0", told, StringComparison.Ordinal);
    }

    [Fact]
    public void A_public_address_is_the_one_that_clients_use() =>
        Assert.Equal("Clients use https://npm.example.org/ (publicUrl).", ReachLine.Describe(new Uri("http://0.0.0.0:80"), new MirrorOptions { PublicUrl = "https://npm.example.org" }));
}
