using System.Text;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

public sealed class PackumentReaderTests
{
    [Fact]
    public void Finds_the_parts_of_a_packument()
    {
        var document = Fixture.Odd("@odd/everything");
        var index = Read("@odd/everything", document);
        Assert.Equal("17-0123456789abcdef0123456789abcdef", index.Rev);
        Assert.Equal(["1.0.2-1.2.3", "1.1.0+build.5", "2.0.0", "3.0.0-beta.1", "3.0.0-beta.2"], index.Versions.Select(version => version.Version));
        Assert.Equal("9.9.9", index.DistTags["gone"]);
        Assert.Equal(DateTimeOffset.Parse("2024-05-06T07:08:10Z", null), index.ModifiedAt);
        Assert.Equal(DateTimeOffset.Parse("2012-01-01T00:00:00Z", null), index.CreatedAt);
        Assert.Equal(DateTimeOffset.Parse("2013-05-06T05:08:09.123456Z", null), index.Find("1.1.0+build.5")!.Value.PublishedAt);
        var version = index.Find("2.0.0")!.Value;
        Assert.Equal((byte)'{', version.Manifest.Of(document)[0]);
        Assert.Equal("https://registry.example.org/@odd/everything/-/everything-2.0.0.tgz", Manifest.TarballUrl(version, document));
        Assert.Equal("https://registry.example.org/-/npm/v1/attestations/@odd%2feverything@2.0.0", Manifest.AttestationsUrl(version, document));
        Assert.StartsWith("sha512-", Manifest.Promise(version, document).Integrity);
        Assert.True(index.Find("3.0.0-beta.2")!.Value.TarballUrl.IsEmpty);
        Assert.Null(index.Find("0.0.0"));
    }

    [Fact]
    public void The_last_of_equal_keys_counts_on_every_level()
    {
        var document = Fixture.Odd("duplicate-keys");
        var index = Read("duplicate-keys", document);
        Assert.Equal("2-b", index.Rev);
        Assert.Equal(["1.1.0", "1.0.0", "1.3.0"], index.Versions.Select(version => version.Version));
        Assert.Equal("1.1.0", Assert.Single(index.DistTags).Value);
        Assert.Equal(2012, index.Find("1.1.0")!.Value.PublishedAt!.Value.Year);
        Assert.EndsWith("right-1.0.0.tgz", Manifest.TarballUrl(index.Find("1.0.0")!.Value, document));
        Assert.EndsWith("right-1.1.0.tgz", Manifest.TarballUrl(index.Find("1.1.0")!.Value, document));
        Assert.Equal("b", Manifest.AttestationsUrl(index.Find("1.0.0")!.Value, document));
        Assert.Null(Manifest.AttestationsUrl(index.Find("1.1.0")!.Value, document));
        Assert.Null(Manifest.TarballUrl(index.Find("1.3.0")!.Value, document));
    }

    [Fact]
    public void Escaped_keys_are_the_same_keys()
    {
        var document = Fixture.Odd("escaped-keys");
        var index = Read("escaped-keys", document);
        Assert.Equal("1-x", index.Rev);
        Assert.Equal(["1.0.0", "1.0.1\n\""], index.Versions.Select(version => version.Version));
        Assert.Equal("1.0.0", index.DistTags["latest"]);
        Assert.Equal(2011, index.Versions[0].PublishedAt!.Value.Year);
        Assert.Equal("https://registry.example.org/escaped-keys/-/escaped-keys-1.0.0.tgz", Manifest.TarballUrl(index.Versions[0], document));
        Assert.Equal("x", Manifest.AttestationsUrl(index.Versions[0], document));
    }

    [Fact]
    public void Half_a_surrogate_pair_stays_half_a_pair()
    {
        var index = Read("lone-surrogates", Fixture.Odd("lone-surrogates"));
        Assert.Equal("1-\ud800", index.Rev);
        Assert.Equal("1.0.0-\ud800", index.Versions[0].Version);
        Assert.Equal("1.0.0-\U0001f600", index.Versions[1].Version);
        Assert.Equal("1.0.0-\ufffd\ufffd(\ufffd\ufffd\ufffd", index.Versions[2].Version);
        Assert.Equal("1.0.0-\ud800", index.DistTags["\udbff"]);
    }

    [Fact]
    public void Slices_count_the_byte_order_mark()
    {
        var document = Fixture.Odd("byte-order-mark");
        var version = Assert.Single(Read("byte-order-mark", document).Versions);
        Assert.Equal((byte)'{', document[version.Manifest.Offset]);
        Assert.Equal("https://registry.example.org/byte-order-mark/-/byte-order-mark-1.0.0.tgz", Manifest.TarballUrl(version, document));
    }

    [Fact]
    public void Names_of_JavaScript_are_names_like_others()
    {
        var index = Read("proto", Fixture.Odd("proto"));
        Assert.Equal(["__proto__", "constructor"], index.Versions.Select(version => version.Version));
        Assert.Equal("constructor", index.DistTags["__proto__"]);
        Assert.Equal(2011, index.Find("__proto__")!.Value.PublishedAt!.Value.Year);
    }

    [Claim("One bad version does not stop the others (never-again 3)",
        With = [$"{nameof(PackumentWriterTests)}.{nameof(PackumentWriterTests.Broken_versions_are_left_out_of_installs_and_kept_in_the_full_form)}"],
        Red = "a manifest that is no object throws: the first was red")]
    [Fact]
    public void One_bad_version_does_not_stop_the_others()
    {
        var parsed = PackumentReader.Read(Fixture.Odd("wrong-types"), PackageName.Parse("wrong-types"));
        Assert.Equal(["1.0.0", "1.0.1", "1.0.2", "1.0.8", "1.0.9"], parsed.Index.Versions.Select(version => version.Version));
        Assert.All(parsed.Index.Versions, version => Assert.Null(version.PublishedAt));
        Assert.Equal("1.0.0", Assert.Single(parsed.Index.DistTags).Value);
        Assert.Null(parsed.Index.Rev);
        Assert.Null(parsed.Index.ModifiedAt);
        Assert.True(parsed.Index.HasLeftOut);
    }

    [Theory]
    [InlineData("versions-array")]
    [InlineData("no-name")]
    public void Accepts_a_packument_that_lacks_nearly_everything(string name) => Assert.Equal(name, Read(name, Fixture.Odd(name)).Name);

    [Fact]
    public void Modified_falls_back_to_the_newest_date_it_knows()
    {
        Assert.Equal(2015, Fixture.Read("a", """{"time":{"1.0.0":"2014-01-01","0.9.0":"2015-06-07T08:09:10+02:00","x":5}}""").Index.ModifiedAt!.Value.Year);
        Assert.Equal(2013, Fixture.Read("a", """{"modified":7,"time":{"modified":"2013-01-01","1.0.0":"2014-01-01"}}""").Index.ModifiedAt!.Value.Year);
        Assert.Null(Fixture.Read("a", """{"versions":{}}""").Index.ModifiedAt);
    }

    [Fact]
    public void Knows_an_unpublished_package_and_not_one_that_came_back()
    {
        Assert.True(Read("unpublished", Fixture.Odd("unpublished")).IsUnpublished);
        Assert.False(Fixture.Read("a", """{"time":{"unpublished":{}},"versions":{"1.0.0":{}}}""").Index.IsUnpublished);
        Assert.False(Fixture.Read("a", """{"time":{"unpublished":{}},"versions":{"1.0.0":null}}""").Index.IsUnpublished);
        Assert.False(Fixture.Read("a", """{"time":{"unpublished":null}}""").Index.IsUnpublished);
        Assert.False(Fixture.Read("a", """{"versions":{}}""").Index.IsUnpublished);
    }

    [Fact]
    public void Knows_a_security_holder_and_not_a_package_that_has_more()
    {
        Assert.True(Read("security-holder", Fixture.Odd("security-holder")).IsSecurityHolder);
        Assert.False(Fixture.Read("a", """{"versions":{"0.0.1-security":{},"1.0.0":{}}}""").Index.IsSecurityHolder);
        Assert.False(Fixture.Read("a", """{"versions":{"0.0.1":{}}}""").Index.IsSecurityHolder);
        Assert.False(Fixture.Read("a", """{"versions":{}}""").Index.IsSecurityHolder);
    }

    [Theory]
    [InlineData("")]
    [InlineData("<!DOCTYPE html>")]
    [InlineData("[]")]
    [InlineData("\"a\"")]
    [InlineData("null")]
    [InlineData("{\"name\":\"a\"")]
    [InlineData("{\"name\":\"a\"} x")]
    [InlineData("{\"name\":\"a\",}")]
    [InlineData("{\"name\":\"a\" /* */}")]
    [InlineData("{\"name\":\"\\x\"}")]
    [InlineData("{'name':'a'}")]
    [InlineData("{\"a\":01}")]
    [InlineData("{\"a\":\"\t\"}")]
    public void Refuses_a_document_that_is_no_packument(string document)
    {
        var failure = Assert.Throws<MirrorException>(() => Fixture.Read("a", document));
        Assert.Equal(MirrorFault.UpstreamMalformed, failure.Fault);
        Assert.Contains("packument of a", failure.Message, StringComparison.Ordinal);
    }

    [Claim("A name in another case is reported, or accepted with `anyCase`",
        Red = "the case is not looked at, `anyCase` is not, or the message says nothing of it")]
    [Theory]
    [InlineData("jquery", "jQuery")]
    [InlineData("JSONStream", "jsonstream")]
    [InlineData("@types/node", "@Types/Node")]
    public void A_name_in_another_case_is_told_or_taken(string asked, string sent)
    {
        var document = Encoding.UTF8.GetBytes($$"""{ "name": "{{sent}}", "versions": { "1.0.0": { } } }""");
        var refused = Assert.Throws<MirrorException>(() => PackumentReader.Read(document, PackageName.Parse(asked)));
        Assert.Contains($"“{sent}”; names that differ in case are two packages: ask for it as the upstream spells it, or set anyCase=true", refused.Message, StringComparison.Ordinal);
        Assert.Equal("1.0.0", Assert.Single(PackumentReader.Read(document, PackageName.Parse(asked), isAnyCase: true).Index.Versions).Version);
        Assert.Throws<MirrorException>(() => PackumentReader.Read(document, PackageName.Parse("another"), isAnyCase: true));
    }

    [Claim("A packument of another package is refused",
        Red = "`PackumentReader.Read` skips the comparison of names")]
    [Theory]
    [InlineData("{\"name\":\"other\"}")]
    [InlineData("{\"_id\":\"other\"}")]
    [InlineData("{\"name\":\"a\",\"n\\u0061me\":\"A\"}")]
    [InlineData("{\"name\":\"\\ud800\"}")]
    public void Refuses_another_package(string document)
    {
        var failure = Assert.Throws<MirrorException>(() => Fixture.Read("a", document));
        Assert.Contains("Asked for the packument of a", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_name_is_accepted()
    {
        Assert.Equal("a", Fixture.Read("a", "{}").Index.Name);
        Assert.Equal("a", Fixture.Read("a", """{"_id":"a","name":null}""").Index.Name);
    }

    [Fact]
    public void Refuses_more_versions_than_there_can_be()
    {
        var document = new StringBuilder("{\"versions\":{\"0\":{}");
        for (var i = 1; i <= 1_000_000; i++)
        {
            document.Append(",\"").Append(i).Append("\":{}");
        }

        Assert.Contains("1,000,000", Assert.Throws<MirrorException>(() => Fixture.Read("a", document.Append("}}").ToString())).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2011-12-05T10:15:30.000Z", "2011-12-05T10:15:30.0000000Z")]
    [InlineData("2011-12-05 10:15", "2011-12-05T10:15:00.0000000Z")]
    [InlineData("2011-12-05", "2011-12-05T00:00:00.0000000Z")]
    [InlineData("2011-12-05T10:15:30.123456789+0130", "2011-12-05T08:45:30.1234567Z")]
    [InlineData("2011-12-05T10:15:30-05", "2011-12-05T15:15:30.0000000Z")]
    [InlineData("2012-02-29T00:00:00Z", "2012-02-29T00:00:00.0000000Z")]
    [InlineData("2011-02-29T00:00:00Z", null)]
    [InlineData("2011-12-05T24:00:00Z", null)]
    [InlineData("2011-12-05T10:15:30.Z", null)]
    [InlineData("2011-12-05T10:15:30ZZ", null)]
    [InlineData("0001-01-01T00:00:00+01:00", null)]
    [InlineData("9999-12-31T23:59:59-01:00", null)]
    [InlineData("0000-01-01", null)]
    [InlineData("Mon, 05 Dec 2011", null)]
    public void Reads_dates_as_UTC_wherever_it_stands(string text, string? expected) =>
        Assert.Equal(expected, IsoDate.TryParse(Encoding.UTF8.GetBytes(text), out var date) ? date.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", null) : null);

    private static PackumentIndex Read(string name, byte[] document) => PackumentReader.Read(document, PackageName.Parse(name)).Index;
}
