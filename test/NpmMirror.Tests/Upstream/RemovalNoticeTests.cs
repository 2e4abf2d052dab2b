using System.Text.Json;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

public sealed class RemovalNoticeTests
{
    [Fact]
    public void A_written_notice_is_read()
    {
        var notice = new RemovalNotice("Unpublished", "by \"its\" owner", new DateTimeOffset(2026, 11, 22, 4, 5, 6, TimeSpan.Zero), "13-abc");
        using var body = new MemoryStream();
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            notice.WriteTo(json);
            json.WriteEndObject();
        }

        using var answer = JsonDocument.Parse(body.ToArray());
        Assert.Equal(notice, RemovalNotice.Of(answer.RootElement));
    }

    [Claim("An upstream's notice of a removal is read only if it is short and makes sense",
        With = [nameof(A_value_that_is_too_long_or_no_time_is_left_out)],
        Red = "revisions may be any text, or hold any characters: the first was red; texts may be of any length: the last")]
    [Theory]
    [InlineData("{}")]
    [InlineData("{\"removed\":true}")]
    [InlineData("{\"removed\":{\"kind\":\"Gone\"}}")]
    [InlineData("{\"removed\":{\"rev\":\"1-a\"}}")]
    [InlineData("{\"removed\":{\"kind\":1,\"rev\":\"1-a\"}}")]
    [InlineData("{\"removed\":{\"kind\":\"Gone\",\"rev\":\"none\"}}")]
    [InlineData("{\"removed\":{\"kind\":\"Gone\",\"rev\":\"1-a b\"}}")]
    [InlineData("{\"removed\":{\"kind\":\"Gone\",\"rev\":\"1-\\u0000\"}}")]
    public void A_notice_that_makes_no_sense_is_not_read(string json)
    {
        using var answer = JsonDocument.Parse(json);
        Assert.Null(RemovalNotice.Of(answer.RootElement));
    }

    [Fact]
    public void A_value_that_is_too_long_or_no_time_is_left_out()
    {
        using var answer = JsonDocument.Parse($$"""{"removed":{"kind":"Gone","rev":"1-a","reason":"{{new string('x', 501)}}","at":"yesterday"} }""");
        Assert.Equal(new RemovalNotice("Gone", null, null, "1-a"), RemovalNotice.Of(answer.RootElement));
        using var endless = JsonDocument.Parse($$"""{"removed":{"kind":"Gone","rev":"1-{{new string('a', 200)}}"} }""");
        Assert.Null(RemovalNotice.Of(endless.RootElement));
    }
}
