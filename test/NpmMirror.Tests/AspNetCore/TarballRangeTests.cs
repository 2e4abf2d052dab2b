using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Packages;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>The bytes of a tarball that are sent; anything but a single valid range is no range.</summary>
public sealed class TarballRangeTests
{
    private const string Tag = "\"0123456789abcdef\"";
    private const string Stored = "Tue, 03 Nov 2026 10:00:00 GMT";

    [Theory]
    [InlineData("bytes=0-", 206, 0, 100, "bytes 0-99/100")]
    [InlineData("bytes=0-0", 206, 0, 1, "bytes 0-0/100")]
    [InlineData("bytes=10-19", 206, 10, 20, "bytes 10-19/100")]
    [InlineData("BYTES=10-19", 206, 10, 20, "bytes 10-19/100")]
    [InlineData("bytes=99-", 206, 99, 100, "bytes 99-99/100")]
    [InlineData("bytes=90-98", 206, 90, 99, "bytes 90-98/100")]
    [InlineData("bytes=90-99", 206, 90, 100, "bytes 90-99/100")]
    [InlineData("bytes=90-100", 206, 90, 100, "bytes 90-99/100")]
    [InlineData("bytes=90-9223372036854775807", 206, 90, 100, "bytes 90-99/100")]
    [InlineData("bytes=-1", 206, 99, 100, "bytes 99-99/100")]
    [InlineData("bytes=-100", 206, 0, 100, "bytes 0-99/100")]
    [InlineData("bytes=-101", 206, 0, 100, "bytes 0-99/100")]
    [InlineData("bytes=100-", 416, 0, 0, "bytes */100")]
    [InlineData("bytes=100-200", 416, 0, 0, "bytes */100")]
    [InlineData("bytes=-0", 416, 0, 0, "bytes */100")]
    [InlineData("bytes=20-10", 200, 0, 100, "")]
    [InlineData("bytes=0-1,3-4", 200, 0, 100, "")]
    [InlineData("lines=0-1", 200, 0, 100, "")]
    [InlineData("bytes=x", 200, 0, 100, "")]
    [InlineData("bytes=", 200, 0, 100, "")]
    public void A_single_range_of_bytes_is_answered_and_nothing_else(string range, int status, long from, long end, string told)
    {
        var (request, response) = Context(("Range", range));
        var chosen = TarballRange.Choose(request, response, 100);
        Assert.Equal(new TarballRange(status, from, end, 100), chosen);
        chosen.Announce(response);
        Assert.Equal((status, end - from, told), (response.StatusCode, response.ContentLength, response.Headers.ContentRange.ToString()));
    }

    [Fact]
    public void While_the_length_is_not_known_the_whole_is_sent()
    {
        var (request, response) = Context(("Range", "bytes=0-1"));
        var chosen = TarballRange.Choose(request, response, null);
        Assert.Equal(new TarballRange(200, 0, null, null), chosen);
        chosen.Announce(response);
        Assert.Null(response.ContentLength);
    }

    [Fact]
    public void Two_headers_are_no_range()
    {
        var (request, response) = Context(("Range", "bytes=0-1"));
        request.Headers.Append("Range", "bytes=2-3");
        Assert.Equal(200, TarballRange.Choose(request, response, 100).Status);
        request.Headers.Remove("Range");
        Assert.Equal(200, TarballRange.Choose(request, response, 100).Status);
    }

    [Theory]
    [InlineData(Tag, 206)]
    [InlineData("W/" + Tag, 200)]
    [InlineData("\"other\"", 200)]
    [InlineData(Stored, 206)]
    [InlineData("Tue, 03 Nov 2026 10:00:01 GMT", 200)]
    [InlineData("Tue, 03 Nov 2026 09:59:59 GMT", 200)]
    [InlineData("nonsense", 200)]
    public void A_condition_that_does_not_hold_gives_the_whole(string condition, int status)
    {
        var (request, response) = Context(("Range", "bytes=0-1"), ("If-Range", condition));
        (response.Headers.ETag, response.Headers.LastModified) = (Tag, Stored);
        Assert.Equal(status, TarballRange.Choose(request, response, 100).Status);
    }

    [Theory]
    [InlineData(Tag)]
    [InlineData(Stored)]
    public void A_condition_on_a_header_that_was_not_sent_gives_the_whole(string condition)
    {
        var (request, response) = Context(("Range", "bytes=0-1"), ("If-Range", condition));
        Assert.Equal(200, TarballRange.Choose(request, response, 100).Status);
    }

    private static (HttpRequest Request, HttpResponse Response) Context(params (string Name, string Value)[] headers)
    {
        var context = new DefaultHttpContext();
        foreach (var (name, value) in headers)
        {
            context.Request.Headers[name] = value;
        }

        return (context.Request, context.Response);
    }
}
