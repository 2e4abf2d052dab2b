using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using NpmMirror.AspNetCore.Packages;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>The headers of a tarball's answer, and the conditions of a client that has it already.</summary>
public sealed class TarballHeadersTests
{
    private const string Tag = "\"000102030405060708090a0b0c0d0e0f\"";
    private const string Stored = "Tue, 03 Nov 2026 10:00:00 GMT";

    private static readonly Digest Sha512 = new([.. Enumerable.Range(0, 64).Select(i => (byte)i)]);
    private static readonly DateTimeOffset StoredAt = new(2026, 11, 3, 10, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_tarball_is_kept_by_clients_for_ever_only_if_its_hash_is_promised()
    {
        var response = Answer();
        string[] expected = ["Accept-Ranges: bytes", "Cache-Control: public, immutable, max-age=31557600", "Content-Type: application/octet-stream", $"ETag: {Tag}", $"Last-Modified: {Stored}"];
        Assert.Equal(expected, Lines(response));
        TarballHeaders.Write(response, Sha512, StoredAt, isPromised: false);
        Assert.DoesNotContain("immutable", response.Headers.CacheControl.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_hash_and_a_time_none_is_told()
    {
        var response = new DefaultHttpContext().Response;
        TarballHeaders.Write(response, default, null);
        Assert.Equal((0, 0), (response.Headers.ETag.Count, response.Headers.LastModified.Count));
    }

    [Claim("An answer that sends a client to another place for a tarball has nothing of the tarball itself, and no cache keeps it",
        Red = "each line of `TarballHeaders.Redirect` left out")]
    [Fact]
    public void A_redirection_tells_its_address_only_and_is_never_cached()
    {
        var response = Answer();
        TarballHeaders.Redirect(response, new Uri("https://bucket.example.org/a%20b?signature=c"));
        Assert.Equal(302, response.StatusCode);
        string[] expected = ["Cache-Control: no-store", "Content-Length: 0", "Location: https://bucket.example.org/a%20b?signature=c"];
        Assert.Equal(expected, Lines(response));
    }

    [Claim("A client is told that its tarball is still right only if one of its ETags, or without any its date, says so",
        Red = "`TarballHeaders.IsNotModified` asks for all headers, or for the date too")]
    [Theory]
    [InlineData(null, null, false)]
    [InlineData(Tag, null, true)]
    [InlineData("\"other\"", null, false)]
    [InlineData("\"other\"|" + Tag, null, true)]
    [InlineData("\"other\"", Stored, false)]
    [InlineData("", Stored, false)]
    [InlineData(null, Stored, true)]
    [InlineData(null, "Tue, 03 Nov 2026 10:00:01 GMT", true)]
    [InlineData(null, "Tue, 03 Nov 2026 09:59:59 GMT", false)]
    [InlineData(null, "nonsense", false)]
    public void A_client_that_has_the_tarball_is_told_so(string? tags, string? since, bool isNotModified)
    {
        var response = Answer();
        var request = response.HttpContext.Request;
        request.Headers.IfNoneMatch = tags is null ? StringValues.Empty : tags.Split('|');
        request.Headers.IfModifiedSince = since;
        Assert.Equal(isNotModified, TarballHeaders.IsNotModified(request, response));
    }

    [Theory]
    [InlineData(Tag, null)]
    [InlineData(null, Stored)]
    public void A_client_is_not_told_so_where_the_answer_has_neither_tag_nor_date(string? tags, string? since)
    {
        var response = new DefaultHttpContext().Response;
        var request = response.HttpContext.Request;
        (request.Headers.IfNoneMatch, request.Headers.IfModifiedSince) = (tags, since);
        Assert.False(TarballHeaders.IsNotModified(request, response));
    }

    private static IEnumerable<string> Lines(HttpResponse response) => response.Headers.Select(header => $"{header.Key}: {header.Value}").Order(StringComparer.Ordinal);

    private static HttpResponse Answer()
    {
        var response = new DefaultHttpContext().Response;
        TarballHeaders.Write(response, Sha512, StoredAt);
        return response;
    }
}
