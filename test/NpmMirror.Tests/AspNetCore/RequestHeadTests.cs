using System.Text;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class RequestHeadTests
{
    private const string Npm = "GET /npm/ms HTTP/1.1\r\nconnection: keep-alive\r\nuser-agent: npm/11.0.0\r\nnpm-session: 1\r\naccept: application/json\r\nHost: localhost:4873\r\naccept-encoding: gzip,deflate\r\n\r\n";

    [Fact]
    public void Reads_the_headers_that_decide_an_answer()
    {
        Assert.Equal(RequestKind.Simple, RequestHead.Read(Encoding.Latin1.GetBytes(Npm.Replace("npm-session: 1", "IF-None-Match:\t\"a\"  ", StringComparison.Ordinal)), out var head));
        Assert.Equal("/npm/ms", Encoding.ASCII.GetString(head.Target));
        Assert.Equal("localhost:4873", Encoding.ASCII.GetString(head.Host));
        Assert.Equal("application/json", Encoding.ASCII.GetString(head.Accept));
        Assert.Equal("gzip,deflate", Encoding.ASCII.GetString(head.AcceptEncoding));
        Assert.Equal("\"a\"", Encoding.ASCII.GetString(head.IfNoneMatch));
    }

    [Theory]
    [InlineData("GET /npm", "HEAD /npm")]
    [InlineData("keep-alive", "close")]
    [InlineData("npm-session: 1", "if-modified-since: Sun, 22 Nov 2026 00:00:00 GMT")]
    public void Leaves_requests_that_need_more_to_the_server(string part, string instead) =>
        Assert.Equal(RequestKind.Plain, Kind(Npm.Replace(part, instead, StringComparison.Ordinal)));

    [Theory]
    [InlineData("GET", "POST")]
    [InlineData("GET ", "GET  ")]
    [InlineData("GET /npm/ms", "GET http://localhost:4873/npm/ms")]
    [InlineData("GET /npm/ms", "GET /npm/m s")]
    [InlineData("GET /npm/ms", "GET /npm/m\ts")]
    [InlineData("GET /npm/ms", "GET /npm/mé")]
    [InlineData("HTTP/1.1", "HTTP/1.0")]
    [InlineData("HTTP/1.1\r\n", "HTTP/1.1\r")]
    [InlineData("HTTP/1.1\r\n", "HTTP/1.1\n")]
    [InlineData("Host: localhost:4873\r\n", "")]
    [InlineData("Host: localhost:4873", "Host: localhost:4873\r\nhost: elsewhere")]
    [InlineData("npm-session: 1", "accept: */*")]
    [InlineData("npm-session: 1", "Accept-Encoding: br")]
    [InlineData("npm-session: 1", "connection: upgrade")]
    [InlineData("npm-session: 1", "upgrade: h2c")]
    [InlineData("npm-session: 1", "content-length: 0")]
    [InlineData("npm-session: 1", "CONTENT-LENGTH: 5")]
    [InlineData("npm-session: 1", "transfer-encoding: chunked")]
    [InlineData("npm-session: 1", "expect: 100-continue")]
    [InlineData("npm-session: 1", "content-length : 5")]
    [InlineData("npm-session: 1", " npm-session: folded")]
    [InlineData("npm-session: 1", "npm-session: a\n b")]
    [InlineData("npm-session: 1", "npm-session: a\0b")]
    [InlineData("npm-session: 1", "npm-session: é")]
    [InlineData("npm-session: 1", "npm-session")]
    [InlineData("npm-session: 1", ": nameless")]
    public void Leaves_the_connection_to_the_server_where_any_doubt_is(string part, string instead)
    {
        var changed = Npm.Replace(part, instead, StringComparison.Ordinal);
        Assert.NotEqual(Npm, changed);
        Assert.Equal(RequestKind.Opaque, Kind(changed));
    }

    private static RequestKind Kind(string head) => RequestHead.Read(Encoding.Latin1.GetBytes(head), out _);
}
