using System.Text;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

public sealed class PackumentDiffTests
{
    private const string Old = """
        {"name":"a","_rev":"1-x","description":"d","maintainers":[{"name":"m","email":"e"}],"dist-tags":{"latest":"1.0.0","next":"2.0.0"},
        "versions":{"1.0.0":{"version":"1.0.0","license":"MIT","engines":{"node":"1","npm":"2"},"dist":{"shasum":"aa","tarball":"http://x/a-1.0.0.tgz","attestations":{"url":"http://x/1"}}},
        "2.0.0":{"version":"2.0.0","dist":{"shasum":"bb","tarball":"http://x/a-2.0.0.tgz"}}},
        "time":{"created":"2011-01-01","modified":"2012-01-01","1.0.0":"2011-01-01","2.0.0":"2012-01-01"},"users":{"u":true,"v":1.0}}
        """;

    [Fact]
    public void The_same_bytes_are_the_same()
    {
        Assert.True(Compare(Old, Old).IsEmpty);
    }

    [Claim("Hashes of two packages cannot be foretold: each index draws a seed, and the documents of one package keep it",
        With = [$"{nameof(Syncing.HashSeedTests)}.{nameof(Syncing.HashSeedTests.A_package_keeps_the_seed_of_its_hashes)}"],
        Red = "`PackumentReader.DrawSeed` returns 1: the first was red; `PackageSync.StoreAsync` does not pass the held index's seed: the second")]
    [Fact]
    public void Each_index_hashes_with_a_seed_of_its_own()
    {
        var (one, other) = (Fixture.Read("a", Old).Index, Fixture.Read("a", Old).Index);
        Assert.Empty(one.Versions.Select(version => version.Hash).Intersect(other.Versions.Select(version => version.Hash)));
        Assert.True(Compare(one, other).IsEmpty);
    }

    [Claim("Another host in a URL or another spelling is no change; every other difference is named with its old value",
        With =
        [
            nameof(Another_spelling_of_the_same_is_no_change),
            nameof(Another_change_in_dist_is_a_change_of_dist),
            nameof(A_changed_rev_alone_is_a_change_of_one_member),
        ],
        Red = "`JsonEquality` compares bytes only: the second was red; `dist` is never compared: the third; `_rev` is compared elsewhere: the last")]
    [Fact]
    public void Another_host_in_a_URL_is_no_change()
    {
        var moved = Old.Replace("http://x/", "https://other.example.org/longer/path/", StringComparison.Ordinal);
        Assert.True(Compare(Old, moved).IsEmpty);
    }

    [Claim("Two manifests that have one hash and are not equal are told as a change: hashes are no proof",
        With = [$"{nameof(Syncing.HashSeedTests)}.{nameof(Syncing.HashSeedTests.A_change_is_told_when_two_manifests_have_one_hash)}"],
        Red = "`PackumentComparison.Manifests` takes equal hashes for equal manifests (as before)")]
    [Fact]
    public void Equal_hashes_of_different_manifests_hide_no_change()
    {
        var (first, second) = (CollidingPackuments.First("a"), CollidingPackuments.Second("a"));
        var oldIndex = PackumentReader.Read(first, PackageName.Parse("a"), hashSeed: CollidingPackuments.Seed).Index;
        var newIndex = PackumentReader.Read(second, PackageName.Parse("a"), hashSeed: CollidingPackuments.Seed).Index;
        Assert.Equal(oldIndex.Versions[0].Hash, newIndex.Versions[0].Hash);
        var changed = Assert.Single(PackumentDiff.Compare(oldIndex, first, newIndex, second).Changed);
        Assert.Equal("description", Assert.Single(changed.Members).Name);
    }

    [Theory]
    [InlineData("\"shasum\":\"aa\",\"tarball\":\"http://x/a-1.0.0.tgz\"", "\"tarball\":\"http://y/a-1.0.0.tgz\",\"shasum\":\"aa\"")]
    [InlineData("\"license\":\"MIT\",\"engines\":{\"node\":\"1\",\"npm\":\"2\"}", "\"engines\":{\"npm\":\"2\",\"n\\u006fde\":\"1\"},\"license\":\"M\\u0049T\"")]
    [InlineData("\"name\":\"m\",\"email\":\"e\"", "\"email\":\"e\" , \"name\":\"m\"")]
    [InlineData("\"u\":true,\"v\":1.0", "\"v\":1.0,\"u\":false,\"u\":true")]
    [InlineData("\"latest\":\"1.0.0\",\"next\":\"2.0.0\"", "\"next\":\"2.0.0\",\"latest\":\"1.0.0\"")]
    [InlineData("\"1.0.0\":\"2011-01-01\",\"2.0.0\":\"2012-01-01\"", "\"2.0.0\":\"2012-01-01\",\"1.0.0\":\"2011-01-01\"")]
    [InlineData("{\"name\":\"a\",\"_rev\":\"1-x\",\"description\":\"d\",", "{\"description\":\"d\",\"_rev\":\"1-x\",\"name\":\"a\",")]
    public void Another_spelling_of_the_same_is_no_change(string from, string to) => Assert.True(Compare(Old, Replace(from, to)).IsEmpty);

    [Theory]
    [InlineData("\"modified\":\"2012-01-01\"", "\"modified\":\"2013-01-01\"")]
    [InlineData("\"time\":{", "\"modified\":\"2013-01-01\",\"time\":{")]
    [InlineData("\"time\":{", "\"time\":{\"0.9.0\":\"2010-01-01\",")]
    public void Marks_of_modification_and_times_of_other_versions_are_no_change(string from, string to) => Assert.True(Compare(Old, Replace(from, to)).IsEmpty);

    [Fact]
    public void A_changed_rev_alone_is_a_change_of_one_member()
    {
        var diff = Compare(Old, Replace("1-x", "2-y"));
        var member = Assert.Single(diff.Members);
        Assert.Equal("_rev", member.Name);
        Assert.Equal("\"1-x\"", TextOf(member.OldValue));
        Assert.Empty(diff.Changed);
    }

    [Fact]
    public void Tells_versions_that_came_and_went()
    {
        var diff = Compare(Old, Replace("\"2.0.0\":{\"version\"", "\"3.0.0\":{\"version\""));
        Assert.Equal("3.0.0", Assert.Single(diff.Added).Version);
        Assert.Equal("2.0.0", Assert.Single(diff.Removed).Version);
        Assert.Empty(diff.Members);
    }

    [Fact]
    public void Tells_changed_members_of_a_manifest_with_their_old_values()
    {
        var change = Assert.Single(Compare(Old, Replace("\"license\":\"MIT\",\"engines\":{\"node\":\"1\",\"npm\":\"2\"},", "\"deprecated\":\"no\",\"license\":\"BSD\",")).Changed);
        Assert.Equal("1.0.0", change.Version);
        Assert.Equal(["deprecated", "license", "engines"], change.Members.Select(member => member.Name));
        Assert.Equal(["", "\"MIT\"", "{\"node\":\"1\",\"npm\":\"2\"}"], change.Members.Select(member => TextOf(member.OldValue)));
    }

    [Theory]
    [InlineData("\"shasum\":\"aa\"", "\"shasum\":\"ab\"")]
    [InlineData(",\"tarball\":\"http://x/a-1.0.0.tgz\"", "")]
    [InlineData("\"tarball\":\"http://x/a-1.0.0.tgz\"", "\"tarball\":5")]
    [InlineData(",\"attestations\":{\"url\":\"http://x/1\"}", "")]
    [InlineData("{\"url\":\"http://x/1\"}", "null")]
    public void Another_change_in_dist_is_a_change_of_dist(string from, string to)
    {
        var change = Assert.Single(Compare(Old, Replace(from, to)).Changed);
        Assert.Equal("dist", Assert.Single(change.Members).Name);
    }

    [Fact]
    public void Tells_how_tags_moved()
    {
        var diff = Compare(Old, Replace("\"latest\":\"1.0.0\",\"next\":\"2.0.0\"", "\"latest\":\"2.0.0\",\"beta\":\"2.0.0\""));
        Assert.Equal([("latest", "1.0.0", "2.0.0"), ("beta", null, "2.0.0"), ("next", "2.0.0", null)], diff.Tags);
        Assert.Empty(diff.Members);
    }

    [Fact]
    public void Tells_that_maintainers_changed()
    {
        var diff = Compare(Old, Replace("\"name\":\"m\"", "\"name\":\"n\""));
        Assert.True(diff.AreMaintainersChanged);
        Assert.Empty(diff.Members);
    }

    [Theory]
    [InlineData("\"1.0.0\":\"2011-01-01\"", "\"1.0.0\":\"2011-01-02\"")]
    [InlineData("\"created\":\"2011-01-01\"", "\"created\":\"2011-01-02\"")]
    [InlineData("\"created\":\"2011-01-01\",", "")]
    public void A_changed_past_in_time_is_a_change_of_time(string from, string to)
    {
        var member = Assert.Single(Compare(Old, Replace(from, to)).Members);
        Assert.Equal("time", member.Name);
        Assert.StartsWith("{\"created\"", TextOf(member.OldValue));
    }

    [Theory]
    [InlineData("\"users\":{\"u\":true,\"v\":1.0}", "\"users\":{\"u\":true,\"v\":1}", "users")]
    [InlineData("\"users\":{\"u\":true,\"v\":1.0}", "\"readme\":\"\"", "readme,users")]
    [InlineData("\"description\":\"d\"", "\"description\":\"\\ud800\"", "description")]
    [InlineData("\"versions\":{", "\"versions\":{\"0.0.1\":null,", "versions")]
    [InlineData("\"dist-tags\":{", "\"dist-tags\":{\"x\":null,", "dist-tags")]
    public void Other_members_that_differ_are_named(string from, string to, string expected) =>
        Assert.Equal(expected, string.Join(',', Compare(Old, Replace(from, to)).Members.Select(member => member.Name)));

    [Theory]
    [InlineData("[1]", "[2]", false)]
    [InlineData("[1,2]", "[2,1]", false)]
    [InlineData("[1]", "[1,1]", false)]
    [InlineData("{\"a\":1,\"a\":2}", "{\"a\":2}", true)]
    [InlineData("{\"a\":1}", "{\"b\":1}", false)]
    [InlineData("{\"a\":null}", "{}", false)]
    [InlineData("\"\\u0061\"", "\"a\"", true)]
    [InlineData("\"\\ud83d\\ude00\"", "\"\U0001f600\"", true)]
    [InlineData("{\"\\ud800\":[\"\\udc00\"]}", "{ \"\\uD800\" : [ \"\\uDC00\" ] }", true)]
    [InlineData("{\"\\ud800\":1}", "{\"\\ud801\":1}", false)]
    [InlineData("1", "1.0", false)]
    [InlineData("true", "false", false)]
    public void Values_are_equal_when_they_mean_the_same(string left, string right, bool areEqual) =>
        Assert.Equal(areEqual, JsonEquality.AreEqual(Encoding.UTF8.GetBytes(left), Encoding.UTF8.GetBytes(right)));

    [Fact]
    public void Deep_values_are_compared_without_running_out_of_stack()
    {
        var deep = string.Concat(Enumerable.Repeat("{\"a\":[", 400)) + "1" + string.Concat(Enumerable.Repeat("]}", 400));
        Assert.True(JsonEquality.AreEqual(Encoding.UTF8.GetBytes(deep), Encoding.UTF8.GetBytes(deep.Replace(":", " : ", StringComparison.Ordinal))));
    }

    private static string Replace(string from, string to)
    {
        Assert.Contains(from, Old, StringComparison.Ordinal);
        return Old.Replace(from, to, StringComparison.Ordinal);
    }

    private static string TextOf(Slice slice) => Encoding.UTF8.GetString(slice.Of(Encoding.UTF8.GetBytes(Old)));

    private static PackumentDiff Compare(PackumentIndex one, PackumentIndex other)
    {
        var document = Encoding.UTF8.GetBytes(Old);
        return PackumentDiff.Compare(one, document, other, document);
    }

    private static PackumentDiff Compare(string left, string right)
    {
        var (oldIndex, oldDocument) = Fixture.Read("a", left);
        var (newIndex, newDocument) = Fixture.Read("a", right, oldIndex.HashSeed);
        return PackumentDiff.Compare(oldIndex, oldDocument, newIndex, newDocument);
    }
}
