using System.Text;
using NpmMirror.AspNetCore.Answers;

namespace NpmMirror.Tests.AspNetCore;

public sealed class EntityTagsTests
{
    [Claim("An ETag is recognised only in a list of ETags",
        With = [nameof(A_client_whose_list_has_the_tag_inside_another_text_gets_the_document)],
        Red = "the tag is searched for in the header's text")]
    [Theory]
    [InlineData("\"a\"", true)]
    [InlineData("W/\"a\"", true)]
    [InlineData(" \"b\" , W/\"a\"\t", true)]
    [InlineData("\"b\",, \"a\"", true)]
    [InlineData("*", true)]
    [InlineData(" * ", true)]
    [InlineData("", false)]
    [InlineData("\"b\"", false)]
    [InlineData("a", false)]
    [InlineData("x\", \"a\"", false)]
    [InlineData("xx\", \"a\"", false)]
    [InlineData("W/x\", \"a\"", false)]
    [InlineData("\"\", \"a\"", true)]
    [InlineData("\"a", false)]
    [InlineData("w/\"a\"", false)]
    [InlineData("\"x\"a\"y\"", false)]
    [InlineData("\"x\"\"a\"", false)]
    [InlineData("\"b, \"a\", c\"", false)]
    [InlineData("note=\"a\"", false)]
    [InlineData("\"a\", nonsense", false)]
    [InlineData("\"a\", x", false)]
    [InlineData("\"a\", \"", false)]
    [InlineData("\"a\" \"b\"", false)]
    [InlineData("\"a\",", true)]
    [InlineData("\"a\" ,\t", true)]
    [InlineData("\"ä\", \"a\"", true)]
    public void A_tag_is_found_in_a_list_of_tags_and_in_no_other_text(string list, bool isFound)
    {
        Assert.Equal(isFound, EntityTags.Names(list, "\"a\""));
        Assert.Equal(isFound, EntityTags.Names(Encoding.Latin1.GetBytes(list), "\"a\""u8));
    }

    [Theory]
    [InlineData(1020)]
    [InlineData(1021)]
    [InlineData(1022)]
    [InlineData(70_000)]
    public void A_tag_at_the_end_of_a_list_of_any_length_is_found(int length)
    {
        var list = $"\"{new string('x', length - 6)}\",\"a\"";
        Assert.Equal(length, list.Length);
        Assert.True(EntityTags.Names(list, "\"a\""));
        Assert.False(EntityTags.Names(list, "\"x\""));
    }

    [Fact]
    public async Task A_client_whose_list_has_the_tag_inside_another_text_gets_the_document()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.SettleAsync();
        using var first = await mirror.GetAsync("ms");
        var tag = first.Headers.ETag!.Tag;

        // Twice, since a repeated request is answered on the connection.
        for (var i = 0; i < 2; i++)
        {
            using var inside = await mirror.GetAsync("ms", ("If-None-Match", $"\"x\"{tag[1..^1]}\"y\""));
            using var listed = await mirror.GetAsync("ms", ("If-None-Match", $"\"x\", W/{tag}"));
            Assert.Equal((200, 304), ((int)inside.StatusCode, (int)listed.StatusCode));
        }
    }
}
