using System.IO.Compression;
using System.Net;
using System.Text.Json;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class PackumentServingTests
{
    private const string Abbreviated = "application/vnd.npm.install-v1+json";

    [Claim("Weights of `Accept` and `Accept-Encoding` count",
        With = [$"{nameof(Renditions.ContentCodingTests)}.{nameof(Renditions.ContentCodingTests.Takes_the_best_coding_that_the_client_allows)}"],
        Red = "`WeightedValues` reads no weights: both were red")]
    [Theory]
    [InlineData(null, "application/json")]
    [InlineData("*/*", "application/json")]
    [InlineData("application/json", "application/json")]
    [InlineData("application/json; q=1.0, */*", "application/json")]
    [InlineData("application/json, */*", "application/json")]
    [InlineData("text/html", "application/json")]
    [InlineData("application/vnd.npm.install-v1+json", Abbreviated)]
    [InlineData("application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", Abbreviated)]
    [InlineData("APPLICATION/VND.NPM.INSTALL-V1+JSON", Abbreviated)]
    [InlineData("application/vnd.npm.install-v1+json;q=0", "application/json")]
    [InlineData("application/vnd.npm.install-v1+json; q=0.000, */*", "application/json")]
    [InlineData("application/json, application/vnd.npm.install-v1+json;q=0.5", "application/json")]
    [InlineData("application/json;q=0, application/vnd.npm.install-v1+json;q=0.5", Abbreviated)]
    [InlineData("application/vnd.npm.install-v1+jsonp", "application/json")]
    [InlineData("text/x;a=\"application/vnd.npm.install-v1+json\"", "application/json")]
    public async Task Gives_the_form_that_the_client_names(string? accept, string expected)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms", accept is null ? [] : [("Accept", accept)]);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(expected, answer.Content.Headers.ContentType!.ToString());
        using var document = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(expected == Abbreviated, !document.RootElement.TryGetProperty("readme", out _));
    }

    [Claim("Forms, headers and validators as the registry has them; each form, base and coding has its own ETag (never-again 2)",
        With =
        [
            nameof(Each_form_base_and_coding_has_an_etag_of_its_own),
            nameof(One_forms_etag_never_validates_the_other),
            nameof(Not_modified_carries_every_header_that_a_cache_updates),
            nameof(If_none_match_is_compared_as_a_list_weakly_and_wins_over_a_date),
        ],
        Red = "`RenditionKey.ETagOf` leaves the form out")]
    [Fact]
    public async Task Sends_the_headers_that_caches_need()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms", ("Accept-Encoding", "gzip"));
        Assert.Equal("public, max-age=300", answer.Headers.CacheControl!.ToString());
        Assert.Equal(["Accept", "Accept-Encoding"], answer.Headers.Vary);
        Assert.False(answer.Headers.ETag!.IsWeak);
        Assert.Equal("Wed, 03 Feb 2021 04:05:06 GMT", answer.Content.Headers.GetValues("Last-Modified").Single());
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.NotNull(answer.Content.Headers.ContentLength);
    }

    [Fact]
    public async Task Rewrites_tarball_urls_to_the_address_it_was_asked_by()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("@types/ms", Documents.Of("@types/ms"));
        using var document = JsonDocument.Parse(await mirror.TextAsync("@types%2fms"));
        var tarball = document.RootElement.GetProperty("versions").GetProperty("1.1.0").GetProperty("dist").GetProperty("tarball").GetString();
        Assert.Equal($"{mirror.Address}npm/@types/ms/-/ms-1.1.0.tgz", tarball);
    }

    [Claim("`time` complete, `modified` upstream's (never-again 8)",
        Red = "`Last-Modified` is the moment of storing: `PackumentServingTests.Sends_the_headers_that_caches_need` was red")]
    [Fact]
    public async Task A_partial_time_map_or_a_changed_modified_never_goes_out()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms", ("Accept", Abbreviated));
        using var document = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        var root = document.RootElement;
        Assert.Equal("2021-02-03T04:05:06.000Z", root.GetProperty("modified").GetString());
        Assert.Equal(["created", "modified", "1.0.0", "1.1.0", "0.9.0"], root.GetProperty("time").EnumerateObject().Select(entry => entry.Name));
    }

    [Claim("One ETag for each form, base and coding; one form's never validates the other (never-again 2)",
        With = [nameof(One_forms_etag_never_validates_the_other)],
        Red = "`RenditionKey.ETagOf` leaves out the coding, the base or the form")]
    [Fact]
    public async Task Each_form_base_and_coding_has_an_etag_of_its_own()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        var tags = new List<string>();
        foreach (var accept in new[] { "*/*", Abbreviated })
        {
            foreach (var coding in new[] { "identity", "gzip", "br", "zstd" })
            {
                foreach (var host in new[] { mirror.Address.Authority, "localhost" })
                {
                    using var answer = await mirror.GetAsync("ms", ("Accept", accept), ("Accept-Encoding", coding), ("Host", host));
                    tags.Add(answer.Headers.ETag!.Tag);
                }
            }
        }

        Assert.Equal(16, tags.Distinct().Count());
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task A_coded_body_is_the_plain_one_in_one_piece(string coding)
    {
        await using var mirror = await ServedMirror.StartAsync();
        // Long, and of a kind that does not shrink: coders must hand it out piece by piece.
        await mirror.PutAsync("ms", Documents.Of("ms", Convert.ToHexString(new Random(1).GetItems<byte>([.. Enumerable.Range(0, 256).Select(value => (byte)value)], 300_000))));
        var plain = await mirror.TextAsync("ms");
        JsonDocument.Parse(plain).Dispose();
        using var answer = await mirror.GetAsync("ms", ("Accept-Encoding", coding));
        Assert.Equal([coding], answer.Content.Headers.ContentEncoding);
        var coded = await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        using Stream decoder = coding switch
        {
            "gzip" => new GZipStream(new MemoryStream(coded), CompressionMode.Decompress),
            "br" => new BrotliStream(new MemoryStream(coded), CompressionMode.Decompress),
            _ => new ZstdSharp.DecompressionStream(new MemoryStream(coded)),
        };
        using var reader = new StreamReader(decoder);
        Assert.Equal(plain, await reader.ReadToEndAsync(TestContext.Current.CancellationToken));
        Assert.Equal(coding == "gzip" ? 1 : 0, Count(coded, [0x1f, 0x8b, 0x08]));
    }

    [Fact]
    public async Task Not_modified_carries_every_header_that_a_cache_updates()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var first = await mirror.GetAsync("ms");
        using var answer = await mirror.GetAsync("ms", ("If-None-Match", first.Headers.ETag!.Tag));
        Assert.Equal(HttpStatusCode.NotModified, answer.StatusCode);
        Assert.Equal(first.Headers.ETag, answer.Headers.ETag);
        Assert.Equal(["Accept", "Accept-Encoding"], answer.Headers.Vary);
        Assert.Equal("public, max-age=300", answer.Headers.CacheControl!.ToString());
    }

    [Fact]
    public async Task If_none_match_is_compared_as_a_list_weakly_and_wins_over_a_date()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var first = await mirror.GetAsync("ms");
        var tag = first.Headers.ETag!.Tag;
        var modified = first.Content.Headers.GetValues("Last-Modified").Single();
        Assert.Equal(304, await StatusAsync(mirror, ("If-None-Match", $"\"other\", W/{tag}")));
        Assert.Equal(304, await StatusAsync(mirror, ("If-None-Match", "*")));
        Assert.Equal(200, await StatusAsync(mirror, ("If-None-Match", "\"other\""), ("If-Modified-Since", modified)));
        Assert.Equal(304, await StatusAsync(mirror, ("If-Modified-Since", modified)));
        // A later date says nothing: the date is upstream's.
        Assert.Equal(200, await StatusAsync(mirror, ("If-Modified-Since", "Wed, 03 Feb 2027 04:05:06 GMT")));
    }

    [Fact]
    public async Task One_forms_etag_never_validates_the_other()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var abbreviated = await mirror.GetAsync("ms", ("Accept", Abbreviated));
        using var answer = await mirror.GetAsync("ms", ("If-None-Match", abbreviated.Headers.ETag!.Tag));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Head_is_get_without_the_body()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        for (var round = 0; round < 2; round++)
        {
            using var get = await mirror.GetAsync("ms");
            using var request = new HttpRequestMessage(HttpMethod.Head, "ms");
            using var head = await mirror.SendAsync(request);
            Assert.Equal(get.Content.Headers.ContentLength, head.Content.Headers.ContentLength);
            Assert.Equal(get.Headers.ETag, head.Headers.ETag);
        }
    }

    [Claim("`{pkg}/{version|tag}`, dist-tags, ping, keys, attestations, search",
        With =
        [
            nameof(Says_which_version_it_does_not_find_as_a_json_string),
            $"{nameof(OperationsTests)}.{nameof(OperationsTests.Pings_are_answered_as_each_side_expects)}",
            $"{nameof(ForwardingTests)}.{nameof(ForwardingTests.Keys_and_attestations_once_seen_are_served_without_the_registry)}",
            $"{nameof(ForwardingTests)}.{nameof(ForwardingTests.Search_is_answered_by_the_registry)}",
        ],
        Red = "every tag is taken for `latest`: the first two were red; keys and attestations are not kept: the fourth")]
    [Theory]
    [InlineData("ms/1.0.0", "1.0.0")]
    [InlineData("ms/latest", "1.1.0")]
    [InlineData("ms/beta", "1.0.0")]
    public async Task Gives_the_full_manifest_of_a_version_or_tag(string path, string version)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync(path, ("Accept", Abbreviated));
        using var document = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(version, document.RootElement.GetProperty("version").GetString());
        Assert.StartsWith(mirror.Address.AbsoluteUri, document.RootElement.GetProperty("dist").GetProperty("tarball").GetString());
        Assert.Equal("application/json", answer.Content.Headers.ContentType!.ToString());
    }

    [Theory]
    [InlineData("9.9.9")]
    [InlineData("%5E1.0.0")]
    public async Task Says_which_version_it_does_not_find_as_a_json_string(string version)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var answer = await mirror.GetAsync($"ms/{version}");
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal($"version not found: {Uri.UnescapeDataString(version)}", JsonSerializer.Deserialize<string>(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)));
    }

    [Claim("Scoped spellings and double slashes (never-again 6)",
        Red = "empty segments count, or a scope and its name are no name in two segments")]
    [Fact]
    public async Task Scoped_names_work_in_every_spelling_and_a_double_slash_counts_as_one()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("@types/ms", Documents.Of("@types/ms"));
        var expected = await mirror.TextAsync("@types/ms");
        foreach (var target in new[] { "/npm/@types%2fms", "/npm/@types%2Fms", "/npm//@types/ms", "//npm/@types%2Fms", "/npm/%40types%2fms" })
        {
            Assert.EndsWith(expected, await mirror.RawGetAsync(target));
        }
    }

    [Claim("Another public URL needs no second sync (never-again 20)",
        Red = "the first base that was asked for is written for all")]
    [Fact]
    public async Task Another_public_address_needs_no_second_sync()
    {
        var store = new MemoryStore(TimeProvider.System);
        await using (var before = await ServedMirror.StartAsync(store, configure: options => options.PublicUrl = "https://old.example.org/npm/"))
        {
            await before.PutAsync("ms", Documents.Of("ms"));
            Assert.Contains("https://old.example.org/npm/ms/-/ms-1.0.0.tgz", await before.TextAsync("ms"));
        }

        await using var after = await ServedMirror.StartAsync(store, configure: options => options.PublicUrl = "https://new.example.org/r");
        Assert.Contains("https://new.example.org/r/ms/-/ms-1.0.0.tgz", await after.TextAsync("ms"));
    }

    private static async Task<int> StatusAsync(ServedMirror mirror, params (string, string)[] headers)
    {
        using var answer = await mirror.GetAsync("ms", headers);
        return (int)answer.StatusCode;
    }

    private static int Count(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> mark)
    {
        var count = 0;
        for (var at = bytes.IndexOf(mark); at >= 0; at = bytes.IndexOf(mark))
        {
            count++;
            bytes = bytes[(at + 1)..];
        }

        return count;
    }
}
