using System.Buffers;
using System.Text;
using System.Text.Json;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

public sealed class PackumentWriterTests
{
    private const string BaseUrl = "https://mirror.example.org/npm";

    [Claim("The full form is upstream's bytes with two URLs replaced (compatibility D2)",
        With = [nameof(Every_fixture_renders_to_itself_when_the_base_is_the_upstreams)],
        Red = "`UrlWriter` followed by a blank: both were red")]
    [Fact]
    public void The_full_form_is_upstreams_bytes_with_two_URLs_replaced()
    {
        var name = PackageName.Parse("@odd/everything");
        var document = Fixture.Odd(name.Value);
        var expected = Encoding.UTF8.GetString(document)
            .Replace("https://registry.example.org/-/npm/v1/attestations/", BaseUrl + "/-/npm/v1/attestations/", StringComparison.Ordinal)
            .Replace("https://registry.example.org/@odd/everything/-/", BaseUrl + "/@odd/everything/-/", StringComparison.Ordinal);
        Assert.Equal(expected, Write(PackumentForm.Full, name, document));
    }

    [Fact]
    public void Every_fixture_renders_to_itself_when_the_base_is_the_upstreams()
    {
        foreach (var (name, document) in Fixture.All().Where(package => package.Document.Length > 3_000))
        {
            var output = new ArrayBufferWriter<byte>();
            PackumentWriter.Write(PackumentForm.Full, PackumentReader.Read(document, name).Index, document, name, "https://registry.example.org", output);
            Assert.Equal(Encoding.UTF8.GetString(document), Encoding.UTF8.GetString(output.WrittenSpan));
        }
    }

    [Claim("The abbreviated form has all that installs need, and never a partial `time` (never-again 8)",
        With =
        [
            nameof(A_time_that_leaves_out_a_version_is_left_out),
            $"{nameof(AspNetCore.PackumentServingTests)}.{nameof(AspNetCore.PackumentServingTests.A_partial_time_map_or_a_changed_modified_never_goes_out)}",
        ],
        Red = "`AbbreviatedWriter` writes an incomplete `time`")]
    [Fact]
    public void The_abbreviated_form_has_only_the_members_that_installs_need()
    {
        var name = PackageName.Parse("@odd/everything");
        using var json = JsonDocument.Parse(Write(PackumentForm.Abbreviated, name, Fixture.Odd(name.Value)));
        Assert.Equal(["name", "modified", "dist-tags", "versions", "time"], Names(json.RootElement));
        Assert.Equal("2024-05-06T07:08:10.000Z", json.RootElement.GetProperty("modified").GetString());
        Assert.Equal(8, json.RootElement.GetProperty("time").EnumerateObject().Count());
        var version = json.RootElement.GetProperty("versions").GetProperty("2.0.0");
        Assert.Equal(
            [
                "name", "version", "dependencies", "devDependencies", "peerDependencies", "peerDependenciesMeta", "optionalDependencies", "acceptDependencies",
                "bundleDependencies", "bin", "directories", "engines", "_hasShrinkwrap", "funding", "cpu", "os", "libc", "dist", "hasInstallScript",
            ],
            Names(version));
        Assert.Equal(["shasum", "tarball", "integrity", "fileCount", "unpackedSize", "attestations", "signatures"], Names(version.GetProperty("dist")));
        Assert.Equal(BaseUrl + "/@odd/everything/-/everything-2.0.0.tgz", version.GetProperty("dist").GetProperty("tarball").GetString());
        Assert.Equal(BaseUrl + "/-/npm/v1/attestations/@odd%2feverything@2.0.0", version.GetProperty("dist").GetProperty("attestations").GetProperty("url").GetString());
        Assert.False(json.RootElement.GetProperty("versions").GetProperty("3.0.0-beta.2").GetProperty("dist").TryGetProperty("tarball", out _));
    }

    [Claim("The abbreviated form keeps bundled dependencies in both spellings",
        Red = "`AbbreviatedWriter` knows `bundleDependencies` only")]
    [Theory]
    [InlineData("bundleDependencies")]
    [InlineData("bundledDependencies")]
    [InlineData("bundled\\u0044ependencies")]
    public void Bundled_dependencies_are_kept_however_they_are_spelled(string member)
    {
        var (_, document) = Fixture.Read("a", "{\"versions\":{\"1.0.0\":{\"" + member + "\":[\"b\"]}}}");
        using var json = JsonDocument.Parse(Write(PackumentForm.Abbreviated, PackageName.Parse("a"), document));
        var name = member.Replace("\\u0044", "D", StringComparison.Ordinal);
        Assert.Equal("b", json.RootElement.GetProperty("versions").GetProperty("1.0.0").GetProperty(name)[0].GetString());
    }

    [Theory]
    [InlineData("\"scripts\":{\"preinstall\":\"x\"}", true)]
    [InlineData("\"scripts\":{\"\\u0069nstall\":\"x\"}", true)]
    [InlineData("\"scripts\":{\"postinstall\":\"x\"},\"hasInstallScript\":false", true)]
    [InlineData("\"scripts\":{\"prepare\":\"x\",\"install\":\"\",\"postinstall\":null},\"hasInstallScript\":true", false)]
    [InlineData("\"scripts\":{\"install\":\"x\"},\"scripts\":{}", false)]
    [InlineData("\"scripts\":[\"install\"]", false)]
    [InlineData("\"hasInstallScript\":true", true)]
    [InlineData("\"hasInstallScript\":false", false)]
    public void Install_scripts_are_computed(string member, bool hasInstallScript)
    {
        var (_, document) = Fixture.Read("a", "{\"versions\":{\"1.0.0\":{" + member + "}}}");
        using var json = JsonDocument.Parse(Write(PackumentForm.Abbreviated, PackageName.Parse("a"), document));
        Assert.Equal(hasInstallScript, json.RootElement.GetProperty("versions").GetProperty("1.0.0").TryGetProperty("hasInstallScript", out _));
    }

    [Fact]
    public void A_time_that_leaves_out_a_version_is_left_out()
    {
        var (_, document) = Fixture.Read("a", """{"time":{"1.0.0":"2011-01-01"},"versions":{"1.0.0":{},"1.0.1":{}}}""");
        Assert.DoesNotContain("time", Write(PackumentForm.Abbreviated, PackageName.Parse("a"), document), StringComparison.Ordinal);
    }

    [Fact]
    public void Broken_versions_are_left_out_of_installs_and_kept_in_the_full_form()
    {
        var name = PackageName.Parse("wrong-types");
        var document = Fixture.Odd(name.Value);
        using var abbreviated = JsonDocument.Parse(Write(PackumentForm.Abbreviated, name, document));
        Assert.Equal(["1.0.0", "1.0.1", "1.0.2", "1.0.8", "1.0.9"], Names(abbreviated.RootElement.GetProperty("versions")));
        Assert.Contains("\"1.0.3\":null,\"1.0.4\":[]", Write(PackumentForm.Full, name, document), StringComparison.Ordinal);
    }

    [Fact]
    public void A_byte_order_mark_is_not_passed_on() =>
        Assert.Equal('{', Write(PackumentForm.Full, PackageName.Parse("byte-order-mark"), Fixture.Odd("byte-order-mark"))[0]);

    [Fact]
    public void A_document_without_versions_has_an_empty_abbreviated_form() =>
        Assert.StartsWith("""{"name":"unpublished","modified":"2016-01-01T00:00:00.000Z","dist-tags":{},"versions":{},"time":{""", Write(PackumentForm.Abbreviated, PackageName.Parse("unpublished"), Fixture.Odd("unpublished")));

    [Theory]
    [InlineData("1.0.0+build.5", "a-1.0.0+build.5.tgz")]
    [InlineData("1.0.0-ä b", "a-1.0.0-%C3%A4%20b.tgz")]
    [InlineData("../x?y#z%", "a-..%2Fx%3Fy%23z%25.tgz")]
    [InlineData("\\\"", "a-%22.tgz")]
    public void Versions_are_encoded_for_a_path(string version, string file)
    {
        var (index, document) = Fixture.Read("a", "{\"versions\":{\"" + version + "\":{\"dist\":{\"tarball\":\"x\"}}}}");
        var output = new ArrayBufferWriter<byte>();
        PackumentWriter.WriteManifest(index.Versions[0], document, PackageName.Parse("a"), BaseUrl, output);
        Assert.Equal($$$"""{"dist":{"tarball":"{{{BaseUrl}}}/a/-/{{{file}}}"}}""", Encoding.UTF8.GetString(output.WrittenSpan));
        Assert.Equal(index.Versions[0], TarballUrls.FindVersion(index, document, PackageName.Parse("a"), Uri.UnescapeDataString(file)));
    }

    [Fact]
    public void An_index_of_another_document_is_refused()
    {
        var (index, document) = Fixture.Read("a", """{"versions":{"1.0.0":{}}}""");
        var failure = Assert.Throws<MirrorException>(() => PackumentWriter.Write(PackumentForm.Full, index, document.AsSpan(1), PackageName.Parse("a"), BaseUrl, new ArrayBufferWriter<byte>()));
        Assert.Equal(MirrorFault.StoreDamaged, failure.Fault);
    }

    private static string Write(PackumentForm form, PackageName name, byte[] document)
    {
        var output = new ArrayBufferWriter<byte>();
        PackumentWriter.Write(form, PackumentReader.Read(document, name).Index, document, name, BaseUrl, output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static IEnumerable<string> Names(JsonElement element) => element.EnumerateObject().Select(member => member.Name);
}
