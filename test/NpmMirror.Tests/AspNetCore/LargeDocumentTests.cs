using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;

namespace NpmMirror.Tests.AspNetCore;

public sealed class LargeDocumentTests
{
    [Claim("Large packuments neither fail nor pile up (never-again 3)",
        With = [nameof(The_cache_stays_within_its_bound_and_keeps_used_blobs)],
        Red = "long ones are not spilled: the first was red; `RenditionCache.Trim` lets nothing go, or gives no second chance: the last")]
    [Fact]
    public async Task A_long_packument_goes_out_uncompressed_without_being_held()
    {
        var folder = Directory.CreateTempSubdirectory();
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.Data = folder.FullName);
        await mirror.PutAsync("long", Long());
        var held = mirror.Cache.UsedBytes;
        using var plain = await mirror.GetAsync("long");
        var text = await plain.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal(plain.Content.Headers.ContentLength, Encoding.UTF8.GetByteCount(text));
        using var document = JsonDocument.Parse(text);
        Assert.Equal(9_000, document.RootElement.GetProperty("versions").EnumerateObject().Count());
        Assert.InRange(mirror.Cache.UsedBytes - held, 0, 2_000_000);
        Assert.Empty(folder.EnumerateFiles("*.tmp", SearchOption.AllDirectories));

        using var coded = await mirror.GetAsync("long", ("Accept-Encoding", "gzip"));
        await using var gzip = new GZipStream(await coded.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken), CompressionMode.Decompress);
        using var reader = new StreamReader(gzip);
        Assert.Equal(text, await reader.ReadToEndAsync(TestContext.Current.CancellationToken));

        using var page = JsonDocument.Parse(await mirror.TextAsync("_changes?include_docs=true"));
        Assert.Equal(text, page.RootElement.GetProperty("results")[0].GetProperty("doc").GetRawText());
        folder.Delete(recursive: true);
    }

    [Claim("The cache stays within its bytes and its account ends even",
        With =
        [
            $"{nameof(Renditions.RenditionCacheTests)}.{nameof(Renditions.RenditionCacheTests.The_budget_ends_even_after_concurrent_keeps_makes_and_drops)}",
        ],
        Red = "`Trim` lets nothing go: the first was red; a dropped package keeps its renditions' bytes, or what was made or held while it was dropped: the last")]
    [Fact]
    public async Task The_cache_stays_within_its_bound_and_keeps_used_blobs()
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.CacheBytes = 20_000);
        for (var i = 0; i < 200; i++)
        {
            await mirror.PutAsync($"p{i}", Documents.Of($"p{i}"));
            await mirror.SettleAsync();
            await mirror.TextAsync($"p{i}");
            await mirror.TextAsync("p0");
            Assert.InRange(mirror.Cache.UsedBytes, 0, 20_000);
        }

        // 200 packages made once, and the popular one never again.
        Assert.InRange(mirror.Cache.MadeCount, 200, 210);
    }

    [Fact]
    public async Task A_cache_of_nothing_still_answers()
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.CacheBytes = 0);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        for (var i = 0; i < 3; i++)
        {
            using var answer = await mirror.GetAsync("ms");
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
    }

    private static string Long()
    {
        var versions = string.Join(',', Enumerable.Range(0, 9_000).Select(i => $$"""
            "1.0.{{i}}":{"name":"long","version":"1.0.{{i}}","description":"{{new string('x', 900)}}","dist":{"tarball":"http://registry.example.org/long/-/long-1.0.{{i}}.tgz"} }
            """));
        return $$"""{"name":"long","dist-tags":{"latest":"1.0.0"},"versions":{ {{versions}} },"time":{"modified":"2021-02-03T04:05:06.000Z"} }""";
    }
}
