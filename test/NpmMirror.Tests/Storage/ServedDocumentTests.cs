using System.Text;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Tests.Packuments;

namespace NpmMirror.Tests.Storage;

public sealed class ServedDocumentTests
{
    private const string BaseUrl = "http://127.0.0.1:4873/npm";
    private static readonly PackageName Name = PackageName.Parse("p");

    [Fact]
    public void Gives_back_upstreams_bytes_of_every_fixture()
    {
        // The properties hold the rest: also of mutated documents, and under other base URLs.
        foreach (var (name, document) in Fixture.All())
        {
            PackumentProperties.Hold(name, document, document);
        }
    }

    [Theory]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p-1.0.0.tgz"}}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"https:\/\/registry.example.org\/p\/-\/p-1.0.0.tgz"}}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"https://other.example.org/download?file=p"}},"2.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p-2.0.0.tgz"}}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"https://registry.example.com/p/-/p-1.0.0.tgz"}},"2.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p-2.0.0.tgz"}}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"https://registry.example.org/files/p/-/p-1.0.0.tgz"}},"2.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p-2.0.0.tgz"}}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":""}},"2.0.0":{"dist":{}},"3.0.0":{}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"a"},"dist":{"tarball":"b","tarball":"c"}},"1.0.0":{"dist":{"tarball":"d"}}}}""")]
    [InlineData("""{"name":"p","readme":"http://127.0.0.1:4873/npm/p/-/p-1.0.0.tgz","versions":{"1.0.0":{"_resolved":"http://127.0.0.1:4873/npm/x","dist":{"tarball":"http://127.0.0.1:4873/npm/p/-/p-1.0.0.tgz"}}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"attestations":{"url":"https://registry.example.org/-/npm/v1/attestations/p@1.0.0"},"tarball":"https://registry.example.org/p/-/p-1.0.0.tgz"}}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"a":"http://127.0.0.1:4873/npm/","dist":{"tarball":"https://registry.example.org/a/very/long/way/to/the/tarball/of/p/-/p-1.0.0.tgz"},"b":"http://127.0.0.1:4873/npm/http://127.0.0.1:4873/npm/"},"2.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p-2.0.0.tgz"}}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p/-/p-1.0.0.tgz"}},"2.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p-2.0.0.tgz"}},"3.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p-3.0.0.tg"}}}}""")]
    [InlineData("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"https://registry.example.org/q/-/q-1.0.0.tgz"}},"2.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p-2.0.0.tgz"}}}}""")]
    [InlineData("\uFEFF{\"name\":\"p\",\"versions\":{\"1.0.0\":{\"dist\":{\"tarball\":\"x\"}}}}")]
    public void Gives_back_odd_addresses(string json)
    {
        var document = Encoding.UTF8.GetBytes(json);
        Assert.True(PackumentProperties.Hold(Name, document, document));
    }

    [Fact]
    public void Gives_back_addresses_that_lie_across_its_windows()
    {
        var random = new Random(20261122);
        var versions = string.Join(',', Enumerable.Range(0, 3000).Select(i => $$$"""
            "1.0.{{{i}}}":{"pad":"{{{new string('x', random.Next(120))}}}","dist":{"tarball":"https://{{{(i % 7 == 0 ? "other" : "registry")}}}.example.org/p/-/p-1.0.{{{i}}}.tgz"}}
            """));
        var document = Encoding.UTF8.GetBytes("{\"name\":\"p\",\"versions\":{" + versions + "}}");
        Assert.True(PackumentProperties.Hold(Name, document, document));
    }

    [Theory]
    [InlineData("p", "https://registry.example.org", "http://127.0.0.1:4873/npm")]
    [InlineData("@s/p", "https://registry.example.org/a/longer/path", "https://n.example.org")]
    [InlineData("p", "http://r", "https://npm.example.org/mirrors/npm")]
    public void Of_regular_addresses_nothing_is_kept_beside_the_served_text(string package, string upstream, string baseUrl)
    {
        var name = PackageName.Parse(package);
        foreach (var count in (int[])[1, 2, 500])
        {
            var versions = string.Join(',', Enumerable.Range(0, count).Select(i => $$$"""
                "1.0.{{{i}}}":{"dist":{"tarball":"{{{upstream}}}/{{{package}}}/-/p-1.0.{{{i}}}.tgz"}}
                """));
            var document = Encoding.UTF8.GetBytes("{\"name\":\"" + package + "\",\"versions\":{" + versions + "}}");
            var stored = DocumentCodecs.EncodeServed(document, Digest.OfSha256(document), PackumentReader.Read(document, name).Index, name, baseUrl);

            // The two prefixes, the seal and some lengths.
            var beside = stored.Bytes.Length - DocumentCodecs.FindServed(name, stored, baseUrl)!.Value.Length;
            Assert.InRange(beside, 0, upstream.Length + baseUrl.Length + 24);
            Assert.True(PackumentProperties.Hold(name, document, document));
        }
    }

    [Fact]
    public void Tells_of_a_document_that_was_cut_anywhere()
    {
        var document = Encoding.UTF8.GetBytes("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"odd"}}}}""");
        var stored = DocumentCodecs.EncodeServed(document, Digest.OfSha256(document), PackumentReader.Read(document, Name).Index, Name, BaseUrl);
        for (var length = 0; length < stored.Bytes.Length; length++)
        {
            var e = Assert.Throws<MirrorException>(() =>
            {
                using var decoded = DocumentCodecs.OpenDecoded(Name, stored with { Bytes = stored.Bytes[..length] });
                decoded.CopyTo(Stream.Null);
            });
            Assert.Contains("The stored document of p is damaged", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Under_a_base_url_with_a_quote_it_is_stored_otherwise()
    {
        var document = Encoding.UTF8.GetBytes("""{"name":"p","versions":{"1.0.0":{"dist":{"tarball":"https://registry.example.org/p/-/p-1.0.0.tgz"}}}}""");
        var index = PackumentReader.Read(document, Name).Index;
        Assert.Equal(DocumentCodec.Served, DocumentCodecs.EncodeServed(document, Digest.OfSha256(document), index, Name, BaseUrl).Codec);
        var stored = DocumentCodecs.EncodeServed(document, Digest.OfSha256(document), index, Name, "http://127.0.0.1:4873/\"quoted");
        Assert.NotEqual(DocumentCodec.Served, stored.Codec);
        using var decoded = DocumentCodecs.OpenDecoded(Name, stored);
        using var copy = new MemoryStream();
        decoded.CopyTo(copy);
        Assert.Equal(document, copy.ToArray());
    }

    [Fact]
    public void Is_one_gzip_member_that_others_read()
    {
        var document = Encoding.UTF8.GetBytes("""{"name":"p","versions":{}}""");
        var stored = DocumentCodecs.EncodeServed(document, Digest.OfSha256(document), PackumentReader.Read(document, Name).Index, Name, BaseUrl);
        var member = DocumentCodecs.FindServed(Name, stored, BaseUrl)!.Value.Span;
        Assert.Equal([0x1F, 0x8B, 8], member[..3].ToArray());
        Assert.Equal(document.Length, BitConverter.ToInt32(member[^4..]));
        Assert.Equal(0, member[1..].IndexOf((ReadOnlySpan<byte>)[0x1F, 0x8B, 8]) + 1);
    }
}
