using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>The grammar of RFC 7239, and texts that are none of it.</summary>
public sealed class ForwardedHeaderTests
{
    [Theory]
    [InlineData("host=a", "a")]
    [InlineData("HOST=a;proto=https", "a")]
    [InlineData("host=a, host=b", "b")]
    [InlineData("host=\"a,b;c\"", "a,b;c")]
    [InlineData("host=\"a\\\"b\"", "a\"b")]
    [InlineData("host=a,", null)]
    [InlineData("host", null)]
    [InlineData("=a", null)]
    [InlineData("host=a;host=b", null)]
    [InlineData("host=\"a", null)]
    [InlineData("host=\"a\"b", null)]
    [InlineData("host=\"a\\", null)]
    [InlineData("host=", "")]
    [InlineData("", null)]
    [InlineData(null, null)]
    public void The_nearest_proxys_element_counts(string? text, string? host) =>
        Assert.Equal(host, ForwardedHeader.ReadLast(text).GetValueOrDefault("host"));
}
