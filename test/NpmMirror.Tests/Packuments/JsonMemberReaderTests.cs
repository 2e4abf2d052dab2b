using System.Text;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

public sealed class JsonMemberReaderTests
{
    [Claim("The abbreviated form is cut out by walking over members, which finds the same as a full reader and ends within the object with any damage",
        With = [nameof(Any_damage_ends_within_the_object)],
        Red = "`JsonMemberReader.Start` is counted from the slice: the first was red; it lets a `JsonException` through: the last")]
    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[1,2]")]
    [InlineData("{ \"a\" : 1 , \"b\":\"x\" }")]
    [InlineData("{\"a\":{\"b\":[{\"c\":\"}\\\"]\"},[]]},\"d\":-1.5e3,\"e\":true,\"f\":null}")]
    [InlineData("{\"\":\"\",\"q\\\"uote\":\"\\\\\",\"u\\u0041\":[\"\\\\\\\"\"]}")]
    [InlineData("{\r\n\t\"a\"\r\n:\t[ ]\n,\"a\":{ \"x\" : { } }\n}")]
    public void Finds_the_members_that_a_full_reader_finds(string json)
    {
        var document = Encoding.UTF8.GetBytes("[0," + json + ",0]");
        var slice = new Slice(3, document.Length - 6);
        var expected = JsonMembers.Read(document, slice);
        var actual = new OrderedDictionary<string, Slice>(StringComparer.Ordinal);
        var members = new JsonMemberReader(document, slice);
        while (members.MoveNext())
        {
            actual[JsonText.Decode(members.Name)] = members.Value;
            Assert.Equal((byte)'"', document[members.Start]);
        }

        Assert.Equal(expected, actual);
    }

    [Fact]
    public void Any_damage_ends_within_the_object()
    {
        var whole = Encoding.UTF8.GetBytes("{\"name\":\"a\\\"b\",\"list\":[1,{\"x\":\"y\"}],\"n\":12,\"t\":true}");
        var random = new Random(1);
        var (ended, refused) = (0, 0);
        for (var i = 0; i < 20_000; i++)
        {
            var damaged = whole.ToArray();
            for (var changes = random.Next(1, 4); changes > 0; changes--)
            {
                damaged[random.Next(damaged.Length)] = "\"\\{}[]:, x"u8[random.Next(10)];
            }

            try
            {
                var slice = new Slice(0, random.Next(1, damaged.Length + 1));
                var members = new JsonMemberReader(damaged, slice);
                for (var count = 0; members.MoveNext(); count++)
                {
                    Assert.True(count < damaged.Length);
                    Assert.True(members.Value.Offset + members.Value.Length <= slice.Length);
                }

                ended++;
            }
            catch (MirrorException e)
            {
                Assert.Equal(MirrorFault.StoreDamaged, e.Fault);
                refused++;
            }
        }

        Assert.True(ended > 100 && refused > 1_000, $"{ended} ended, {refused} refused");
    }
}
