using System.IO.Compression;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Renditions;
using NpmMirror.Storage;
using NpmMirror.Tests.AspNetCore;
using NpmMirror.Visibility;

namespace NpmMirror.Tests.Renditions;

public sealed class RenditionCacheTests
{
    private static readonly RenditionKey Key = new(View.Live, PackumentForm.Full, null, "http://127.0.0.1/npm", ContentCoding.Gzip);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_budget_ends_even_after_concurrent_keeps_makes_and_drops()
    {
        var store = new MemoryStore(TimeProvider.System);
        using var budget = new ByteBudget(100_000_000);
        var news = new PackageNews();
        using var cache = new RenditionCache(store.Packages, news, budget, new MirrorOptions { CacheBytes = 40_000 }, TimeProvider.System);
        var names = Enumerable.Range(0, 20).Select(i => PackageName.Parse($"p{i}")).ToList();
        foreach (var name in names)
        {
            await ServedMirror.PutAsync(store, name.Value, Documents.Of(name.Value));
        }

        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 500; i++)
            {
                var name = names[random.Next(names.Count)];
                if (random.Next(4) == 0)
                {
                    cache.Drop(name);
                    continue;
                }

                var ticket = cache.Ticket(name);
                var package = cache.Keep((await store.Packages.FindAsync(name, default))!, ticket);
                var rendition = cache.Rendition(package, Key with { Coding = (ContentCoding)random.Next(4) });
                Assert.NotNull(await cache.BodyAsync(rendition, default));
            }
        })));

        Assert.InRange(cache.UsedBytes, 0, 40_000);
        cache.DropAll();
        Assert.Equal(0, cache.UsedBytes);
    }

    [Claim("A packument in memory outlives late news of a change that it has already, and no later one",
        Red = "`DropBefore` drops whatever its generation is (as before)")]
    [Fact]
    public async Task Late_news_of_a_generation_that_is_held_drop_nothing()
    {
        await using var store = new MemoryStore(TimeProvider.System);
        using var budget = new ByteBudget(100_000_000);
        var news = new PackageNews();
        using var cache = new RenditionCache(store.Packages, news, budget, new MirrorOptions(), TimeProvider.System);
        await ServedMirror.PutAsync(store, "ms", Documents.Of("ms"));
        var row = (await store.Packages.FindAsync(PackageName.Parse("ms"), Cancellation))!;
        var kept = cache.Keep(row, cache.Ticket(row.Name));
        news.TellChanged(row.Name, row.Generation);
        Assert.Same(kept, cache.Find(row.Name));
        news.TellChanged(row.Name, row.Generation + 1);
        Assert.Null(cache.Find(row.Name));

        // A row that was read before the news came is not kept for later requests.
        var ticket = cache.Ticket(row.Name);
        news.TellChanged(row.Name, row.Generation + 1);
        Assert.True(cache.Keep(row, ticket).IsDropped);
    }

    [Claim("A packument is compressed quickly for a client that waits, and harder once it is asked for again, under one ETag; a dropped one does not come back",
        With = [nameof(A_dropped_rendition_is_not_put_back_by_harder_compression)],
        Red = "the thorough bytes replace whatever is there (Swap instead of Replace)")]
    [Theory]
    [InlineData(ContentCoding.Gzip)]
    [InlineData(ContentCoding.Brotli)]
    public async Task A_second_request_compresses_harder_under_the_same_etag(Enum kind)
    {
        var coding = (ContentCoding)kind;
        await using var store = new MemoryStore(TimeProvider.System);
        using var budget = new ByteBudget(100_000_000);
        var news = new PackageNews();
        using var cache = new RenditionCache(store.Packages, news, budget, new MirrorOptions(), TimeProvider.System);
        var rendition = await LongRenditionAsync(store, cache, coding);
        var (quick, etag) = ((await cache.BodyAsync(rendition, Cancellation))!, rendition.ETag);
        Assert.Equal(0, cache.ImprovedCount);
        Assert.Same(quick, await cache.BodyAsync(rendition, Cancellation));
        await Eventually.Async(() => cache.ImprovedCount == 1);
        var thorough = (await cache.BodyAsync(rendition, Cancellation))!;
        Assert.True(thorough.Length < quick.Length, $"{thorough.Length} bytes after {quick.Length}");
        Assert.Equal(await DecodedAsync(quick, coding), await DecodedAsync(thorough, coding));
        Assert.Equal((etag, 1), (rendition.ETag, cache.MadeCount));
        cache.DropAll();
        Assert.Equal(0, cache.UsedBytes);
    }

    [Claim("While a packument is compressed once more the mirror says so, from before the second answer until the smaller bytes are the ones sent (`npm_mirror.renditions.improving`)",
        Red = "the count falls before the bytes are replaced")]
    [Fact]
    public async Task Improvement_is_under_way_until_the_smaller_bytes_are_sent()
    {
        await using var store = new MemoryStore(TimeProvider.System);
        using var budget = new ByteBudget(1_000_000);
        using var cache = new RenditionCache(store.Packages, new PackageNews(), budget, new MirrorOptions(), TimeProvider.System);
        var rendition = await LongRenditionAsync(store, cache, ContentCoding.Gzip);
        var quick = (await cache.BodyAsync(rendition, Cancellation))!;
        Assert.Equal(0, cache.ImprovingCount);
        using (await budget.ReserveAsync(1_000_000, Cancellation))
        {
            await cache.BodyAsync(rendition, Cancellation);
            Assert.Equal(1, cache.ImprovingCount);
            await Eventually.Async(() => budget.WaitingCount == 1);
            Assert.Equal(1, cache.ImprovingCount);
        }

        await Eventually.Async(() => cache.ImprovingCount == 0);
        Assert.True(rendition.Body!.Length < quick.Length);
    }

    [Fact]
    public async Task A_dropped_rendition_is_not_put_back_by_harder_compression()
    {
        await using var store = new MemoryStore(TimeProvider.System);
        using var budget = new ByteBudget(1_000_000);
        var news = new PackageNews();
        using var cache = new RenditionCache(store.Packages, news, budget, new MirrorOptions(), TimeProvider.System);
        var rendition = await LongRenditionAsync(store, cache, ContentCoding.Gzip);
        await cache.BodyAsync(rendition, Cancellation);
        using (await budget.ReserveAsync(1_000_000, Cancellation))
        {
            await cache.BodyAsync(rendition, Cancellation);
            await Eventually.Async(() => budget.WaitingCount == 1);
            cache.DropAll();
        }

        await Eventually.Async(() => cache.ImprovedCount == 1);
        Assert.Equal((null, 0L), (rendition.Body, cache.UsedBytes));
    }

    [Fact]
    public async Task An_endless_number_of_manifests_of_one_package_is_not_kept()
    {
        var store = new MemoryStore(TimeProvider.System);
        using var budget = new ByteBudget(100_000_000);
        var news = new PackageNews();
        using var cache = new RenditionCache(store.Packages, news, budget, new MirrorOptions(), TimeProvider.System);
        var name = PackageName.Parse("ms");
        await ServedMirror.PutAsync(store, "ms", Documents.Of("ms"));
        var package = cache.Keep((await store.Packages.FindAsync(name, TestContext.Current.CancellationToken))!, cache.Ticket(name));
        var kept = Enumerable.Range(0, 1_000).Count(i => cache.Rendition(package, Key with { Version = $"1.0.{i}" }).IsKept);
        Assert.InRange(kept, 1, 200);
    }

    [Fact]
    public void The_etag_tells_documents_forms_views_bases_and_codings_apart()
    {
        var one = Digest.OfSha256("one"u8);
        var tags = new[]
        {
            Key.ETagOf(one),
            Key.ETagOf(Digest.OfSha256("two"u8)),
            (Key with { Form = PackumentForm.Abbreviated }).ETagOf(one),
            (Key with { Version = "1.0.0" }).ETagOf(one),
            (Key with { Version = "" }).ETagOf(one),
            (Key with { BaseUrl = "http://127.0.0.1/npm2" }).ETagOf(one),
            (Key with { Coding = ContentCoding.Brotli }).ETagOf(one),
        };
        Assert.Equal(tags.Length, tags.Distinct().Count());
        Assert.Equal(Key.ETagOf(one), (Key with { }).ETagOf(Digest.OfSha256("one"u8)));
        Assert.All(tags, tag => Assert.Matches("^\"[0-9a-f]{32}\"$", tag));
    }

    /// <summary>A package whose document compresses better where more is tried.</summary>
    private static async Task<Rendition> LongRenditionAsync(MemoryStore store, RenditionCache cache, ContentCoding coding)
    {
        var name = PackageName.Parse("long");
        var readme = string.Concat(Enumerable.Range(0, 5_000).Select(i => $"{i % 97} packages of {i * 7919 % 1009} that {i % 13} others need "));
        await ServedMirror.PutAsync(store, "long", $"{{\"name\":\"long\",\"versions\":{{}},\"readme\":\"{readme}\"}}");
        return cache.Rendition(cache.Keep((await store.Packages.FindAsync(name, Cancellation))!, cache.Ticket(name)), Key with { Coding = coding });
    }

    private static async Task<byte[]> DecodedAsync(byte[] coded, ContentCoding coding = ContentCoding.Gzip)
    {
        var from = new MemoryStream(coded);
        await using Stream stream = coding == ContentCoding.Brotli ? new BrotliStream(from, CompressionMode.Decompress) : new GZipStream(from, CompressionMode.Decompress);
        using var decoded = new MemoryStream();
        await stream.CopyToAsync(decoded);
        return decoded.ToArray();
    }
}
