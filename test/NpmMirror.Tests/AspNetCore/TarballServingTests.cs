using System.Net;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Tarballs over HTTP, from a registry that is disturbed, through a mirror that is restarted.</summary>
public sealed class TarballServingTests : IAsyncLifetime
{
    private const string Path = "/left-pad/-/left-pad-1.0.0.tgz";

    private readonly MemoryStore _store = new(TimeProvider.System);
    private readonly MemoryBlobStore _blobs = new(TimeProvider.System);

    private FakeRegistry _registry = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private byte[] Tarball => _registry.Tarballs[Path];

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        _registry.Publish(new FakePackage("left-pad").Version("1.0.0", version => version.PaddingBytes = 300_000).Version("1.1.0"));
        _registry.Publish(new FakePackage("@scope/name").Version("1.0.0").Version("2.0.0-beta.1+build"));
    }

    public async ValueTask DisposeAsync()
    {
        await _registry.DisposeAsync();
        await _store.DisposeAsync();
    }

    [Claim("All spellings of scoped names, and the upstream's own file name, find the tarball (never-again 6)",
        With = [nameof(A_tarball_is_found_by_the_name_that_the_upstream_gives_it)],
        Red = "a scope repeated before the file is not known: the first was red; `TarballUrls` looks for this mirror's spelling only: the last")]
    [Theory]
    [InlineData("left-pad/-/left-pad-1.0.0.tgz", Path)]
    [InlineData("@scope/name/-/name-1.0.0.tgz", "/@scope/name/-/name-1.0.0.tgz")]
    [InlineData("@scope%2fname/-/name-1.0.0.tgz", "/@scope/name/-/name-1.0.0.tgz")]
    [InlineData("@scope%2Fname/-/name-1.0.0.tgz", "/@scope/name/-/name-1.0.0.tgz")]
    [InlineData("%40scope%2fname/-/name-1.0.0.tgz", "/@scope/name/-/name-1.0.0.tgz")]
    [InlineData("@scope/name/-/@scope/name-1.0.0.tgz", "/@scope/name/-/name-1.0.0.tgz")]
    [InlineData("/left-pad/-/left-pad-1.0.0.tgz", Path)]
    [InlineData("@scope/name/-/name-2.0.0-beta.1+build.tgz", "/@scope/name/-/name-2.0.0-beta.1+build.tgz")]
    [InlineData("@scope/name/-/name-2.0.0-beta.1%2Bbuild.tgz", "/@scope/name/-/name-2.0.0-beta.1+build.tgz")]
    public async Task Serves_every_spelling(string asked, string kept)
    {
        await using var mirror = await StartAsync();
        Assert.Equal(_registry.Tarballs[kept], await BytesAsync(await mirror.GetAsync("/npm/" + asked)));
        Assert.Equal(_registry.Tarballs[kept], await BytesAsync(await mirror.GetAsync("/npm/" + asked)));
        Assert.Equal(1, _registry.Requests.CountOf(kept));
    }

    [Fact]
    public async Task A_tarball_is_found_by_the_name_that_the_upstream_gives_it()
    {
        _registry.Publish(new FakePackage("odd").Version("1.0.0", version => version.TarballUrl = new Uri(_registry.Url, "files/0042.tgz").AbsoluteUri));
        _registry.Tarballs["/files/0042.tgz"] = _registry.Tarballs["/odd/-/odd-1.0.0.tgz"];
        await using var mirror = await StartAsync();
        Assert.Equal(_registry.Tarballs["/files/0042.tgz"], await BytesAsync(await mirror.GetAsync("/npm/odd/-/odd-1.0.0.tgz")));
        Assert.Equal(_registry.Tarballs["/files/0042.tgz"], await BytesAsync(await mirror.GetAsync("/npm/odd/-/0042.tgz")));
        Assert.Equal(1, _registry.Requests.CountOf("/files/0042.tgz"));
    }

    [Claim("Tarballs never carry a Content-Encoding and have the registry's headers (never-again 7)",
        Red = "a Content-Encoding is set")]
    [Fact]
    public async Task Sends_the_headers_of_the_registry_and_never_a_coding()
    {
        await using var mirror = await StartAsync();
        EntityTags tags = default;
        for (var i = 0; i < 2; i++)
        {
            using var answer = await mirror.GetAsync("/npm" + Path, ("Accept-Encoding", "gzip, br, zstd"));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal("application/octet-stream", answer.Content.Headers.ContentType!.ToString());
            Assert.Equal("public, immutable, max-age=31557600", string.Join(", ", answer.Headers.NonValidated["Cache-Control"]));
            Assert.Equal("bytes", answer.Headers.AcceptRanges.ToString());
            Assert.Equal("*", answer.Headers.NonValidated["Access-Control-Allow-Origin"].ToString());
            Assert.Equal(Tarball.Length, answer.Content.Headers.ContentLength);
            Assert.Empty(answer.Content.Headers.ContentEncoding);
            Assert.False(answer.Headers.ETag!.IsWeak);
            tags = i == 0 ? new(answer.Headers.ETag.Tag, "") : tags with { Stored = answer.Headers.ETag.Tag };
            Assert.Equal(Tarball, await BytesAsync(answer));
        }

        // While it arrives and when it is stored: one tag.
        Assert.Equal(tags.Arriving, tags.Stored);
    }

    [Claim("Range, If-Range, If-None-Match and HEAD; HEAD of a file not held starts no download",
        With = [nameof(A_part_of_another_file_is_never_sent), nameof(A_client_that_has_it_gets_304), nameof(HEAD_of_a_tarball_that_is_not_held_starts_no_download)],
        Red = "If-Range is not looked at, or HEAD opens the tarball")]
    [Theory]
    [InlineData("bytes=0-99", 0, 99)]
    [InlineData("bytes=100-", 100, null)]
    [InlineData("bytes=-5", -5, null)]
    [InlineData("bytes=250000-260000", 250_000, 260_000)]
    [InlineData("bytes=5-99999999", 5, null)]
    public async Task Serves_a_part(string range, int from, int? to)
    {
        await using var mirror = await StartAsync();
        from = from < 0 ? Tarball.Length + from : from;
        var last = to ?? (Tarball.Length - 1);
        for (var i = 0; i < 2; i++)
        {
            using var answer = await mirror.GetAsync("/npm" + Path, ("Range", range));
            Assert.Equal(HttpStatusCode.PartialContent, answer.StatusCode);
            Assert.Equal($"bytes {from}-{last}/{Tarball.Length}", answer.Content.Headers.ContentRange!.ToString());
            Assert.Equal(last - from + 1, answer.Content.Headers.ContentLength);
            Assert.Equal(Tarball[from..(last + 1)], await BytesAsync(answer));
        }
    }

    [Fact]
    public async Task A_part_that_is_not_there_is_416()
    {
        await using var mirror = await StartAsync();
        using var answer = await mirror.GetAsync("/npm" + Path, ("Range", "bytes=99999999-"));
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, answer.StatusCode);
        Assert.Equal($"bytes */{Tarball.Length}", answer.Content.Headers.ContentRange!.ToString());
    }

    [Theory]
    [InlineData("bytes=0-1,5-6")]
    [InlineData("lines=1-2")]
    [InlineData("bytes=9-2")]
    [InlineData("nonsense")]
    public async Task Anything_but_a_single_range_is_answered_whole(string range)
    {
        await using var mirror = await StartAsync();
        using var answer = await mirror.GetAsync("/npm" + Path, ("Range", range));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(Tarball, await BytesAsync(answer));
    }

    [Fact]
    public async Task A_part_of_another_file_is_never_sent()
    {
        await using var mirror = await StartAsync();
        var tag = (await mirror.GetAsync("/npm" + Path)).Headers.ETag!.Tag;
        Assert.Equal(HttpStatusCode.PartialContent, (await mirror.GetAsync("/npm" + Path, ("Range", "bytes=1-2"), ("If-Range", tag))).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm" + Path, ("Range", "bytes=1-2"), ("If-Range", "\"other\""))).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm" + Path, ("Range", "bytes=1-2"), ("If-Range", "Tue, 03 Nov 2015 10:00:00 GMT"))).StatusCode);
    }

    [Claim("A weak tag in If-Range is no reason to send a part",
        Red = "`TarballRange` compares weakly")]
    [Fact]
    public async Task A_weak_tag_is_no_reason_to_send_a_part()
    {
        await using var mirror = await StartAsync();
        var tag = (await mirror.GetAsync("/npm" + Path)).Headers.ETag!.Tag;
        // Also when the answer without a condition is remembered on the connection.
        for (var round = 0; round < 3; round++)
        {
            using var answer = await mirror.GetAsync("/npm" + Path, ("Range", "bytes=1-2"), ("If-Range", "W/" + tag));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal(Tarball, await BytesAsync(answer));
        }
    }

    [Fact]
    public async Task A_client_that_has_it_gets_304()
    {
        await using var mirror = await StartAsync();
        await BytesAsync(await mirror.GetAsync("/npm" + Path));
        await Eventually.Async(async () => await _blobs.ExistsAsync(new Digest(System.Security.Cryptography.SHA512.HashData(Tarball)), Cancelled));
        using var stored = await mirror.GetAsync("/npm" + Path);
        var tag = stored.Headers.ETag!.Tag;
        foreach (var condition in new[] { tag, "W/" + tag, $"\"x\", {tag}", "*" })
        {
            using var answer = await mirror.GetAsync("/npm" + Path, ("If-None-Match", condition));
            Assert.Equal(HttpStatusCode.NotModified, answer.StatusCode);
            Assert.Equal(tag, answer.Headers.ETag!.Tag);
        }

        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm" + Path, ("If-None-Match", "\"x\""))).StatusCode);
        if (stored.Content.Headers.NonValidated.TryGetValues("Last-Modified", out var modified))
        {
            Assert.Equal(HttpStatusCode.NotModified, (await mirror.GetAsync("/npm" + Path, ("If-Modified-Since", modified.ToString()))).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm" + Path, ("If-Modified-Since", "Tue, 03 Nov 2015 10:00:00 GMT"))).StatusCode);
        }
    }

    [Fact]
    public async Task HEAD_of_a_tarball_that_is_not_held_starts_no_download()
    {
        await using var mirror = await StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Head, new Uri("/npm" + Path, UriKind.Relative));
        using var answer = await mirror.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.NotNull(answer.Headers.ETag);
        Assert.True(answer.Headers.CacheControl!.NoCache);
        Assert.Equal(0, _registry.Requests.CountOf("*.tgz"));
        Assert.Equal(answer.Headers.ETag, (await mirror.GetAsync("/npm" + Path)).Headers.ETag);
    }

    [Fact]
    public async Task HEAD_of_a_held_tarball_tells_its_length()
    {
        await using var mirror = await StartAsync();
        await FetchUntilStoredAsync(mirror);
        using var request = new HttpRequestMessage(HttpMethod.Head, new Uri("/npm" + Path, UriKind.Relative));
        using var answer = await mirror.SendAsync(request);
        Assert.Equal(Tarball.Length, answer.Content.Headers.ContentLength);
        Assert.Empty(await answer.Content.ReadAsByteArrayAsync(Cancelled));
    }

    [Theory]
    [InlineData("left-pad/-/left-pad-9.9.9.tgz")]
    [InlineData("left-pad/-/name-1.0.0.tgz")]
    [InlineData("left-pad/-/left-pad-1.0.0.tgz.tgz")]
    [InlineData("left-pad/-/..%2f..%2fetc%2fpasswd")]
    [InlineData("unknown/-/unknown-1.0.0.tgz")]
    public async Task A_tarball_that_no_packument_lists_is_404_and_not_asked_for(string path)
    {
        await using var mirror = await StartAsync();
        using var answer = await mirror.GetAsync("/npm/" + path);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.StartsWith("{\"error\":\"", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        Assert.Equal(0, _registry.Requests.CountOf("*.tgz"));
    }

    [Fact]
    public async Task Dots_name_no_file()
    {
        await using var mirror = await StartAsync();
        Assert.StartsWith("HTTP/1.1 404", await mirror.RawGetAsync("/npm/left-pad/-/%2e%2e"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 404", await mirror.RawGetAsync("/npm/left-pad/-/../../left-pad-1.0.0.tgz"), StringComparison.Ordinal);
        Assert.Equal(0, _registry.Requests.CountOf("*.tgz"));
    }

    [Claim("Trouble upstream is never a 404 (never-again 4)",
        Red = "`RegistryErrors` answers 404 to what it does not know")]
    [Theory]
    [InlineData(500, HttpStatusCode.ServiceUnavailable)]
    [InlineData(503, HttpStatusCode.ServiceUnavailable)]
    [InlineData(429, HttpStatusCode.ServiceUnavailable)]
    [InlineData(401, HttpStatusCode.BadGateway)]
    public async Task Trouble_upstream_is_never_a_404(int upstream, HttpStatusCode expected)
    {
        await using var mirror = await StartAsync();
        _registry.Knobs.Fail("*.tgz", upstream);
        using var answer = await mirror.GetAsync("/npm" + Path);
        Assert.Equal(expected, answer.StatusCode);
        Assert.NotNull(answer.Headers.RetryAfter);
        Assert.StartsWith("{\"error\":\"", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
    }

    [Claim("Stored tarballs are served offline, after an unpublish and for a removed package (never-again 9, D3)",
        With = [nameof(Stored_tarballs_of_a_removed_package_are_served)],
        Red = "`TarballEndpoint` does not look for stored ones first")]
    [Fact]
    public async Task A_stored_tarball_is_served_without_upstream_and_after_an_unpublish()
    {
        var tarball = Tarball;
        await using (var mirror = await StartAsync())
        {
            await FetchUntilStoredAsync(mirror);
            _registry.UnpublishVersion("left-pad", "1.0.0");
            Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm/left-pad?refresh=1")).StatusCode);
            Assert.DoesNotContain("\"1.0.0\":{", await mirror.TextAsync("left-pad"), StringComparison.Ordinal);
        }

        await using var offline = await ServedMirror.StartAsync(_store, blobs: _blobs);
        Assert.Equal(tarball, await BytesAsync(await offline.GetAsync("/npm" + Path)));
        // A tarball that was never fetched is not there, but it is not said to be absent upstream.
        Assert.InRange((int)(await offline.GetAsync("/npm/left-pad/-/left-pad-1.1.0.tgz")).StatusCode, 502, 503);
    }

    [Fact]
    public async Task Stored_tarballs_of_a_removed_package_are_served()
    {
        await using var mirror = await StartAsync();
        await FetchUntilStoredAsync(mirror);
        await RemoveAsync(RemovalKind.Unpublished);
        await Eventually.Async(async () => (await mirror.GetAsync("/npm/left-pad")).StatusCode == HttpStatusCode.NotFound);
        Assert.Equal(Tarball, await BytesAsync(await mirror.GetAsync("/npm" + Path)));
    }

    [Claim("Tarballs of blocked packages, and of those that a security holder replaced, answer 451 at once",
        With = [nameof(After_a_security_holder_only_its_own_tarball_is_served)],
        Red = "VisibilityRules.OfPast knows no such removal, or PackageVisibility does not hear of commits")]
    [Theory]
    [InlineData(RemovedMode.Hide, HttpStatusCode.UnavailableForLegalReasons)]
    [InlineData(RemovedMode.Keep, HttpStatusCode.OK)]
    public async Task A_blocked_packages_tarballs_answer_451_with_the_reason(RemovedMode mode, HttpStatusCode expected)
    {
        await using var mirror = await StartAsync(options => options.Removed.Blocked = mode);
        await FetchUntilStoredAsync(mirror);
        await RemoveAsync(RemovalKind.Blocked);
        await Eventually.Async(async () => (await mirror.GetAsync("/npm" + Path)).StatusCode == expected);
        using var answer = await mirror.GetAsync("/npm" + Path);
        Assert.Equal(expected == HttpStatusCode.OK, !(await answer.Content.ReadAsStringAsync(Cancelled)).Contains("court order", StringComparison.Ordinal));
    }

    [Claim("After a security holder came, earlier manifests answer 451 too",
        Red = "`FindRefusal` finds none")]
    [Fact]
    public async Task After_a_security_holder_only_its_own_tarball_is_served()
    {
        await using var mirror = await StartAsync();
        await FetchUntilStoredAsync(mirror);
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm" + Path)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm/left-pad/1.0.0")).StatusCode);
        _registry.Publish(FakePackage.SecurityHolder("left-pad"));
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm/left-pad?refresh=1")).StatusCode);
        // At once: the commit in this process told the endpoint.
        using var answer = await mirror.GetAsync("/npm" + Path);
        Assert.Equal(HttpStatusCode.UnavailableForLegalReasons, answer.StatusCode);
        Assert.Contains("security", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        using var manifest = await mirror.GetAsync("/npm/left-pad/1.0.0");
        Assert.Equal(HttpStatusCode.UnavailableForLegalReasons, manifest.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm/left-pad/0.0.1-security")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm/left-pad/-/left-pad-0.0.1-security.tgz")).StatusCode);
    }

    [Claim("The clients of served tarballs are recorded, and no request waits for that",
        With =
        [
            $"{nameof(Tarballs.TarballUsageTests)}.{nameof(Tarballs.TarballUsageTests.A_store_that_does_not_keep_up_costs_entries_and_never_a_wait)}",
            $"{nameof(RememberedTarballTests)}.{nameof(RememberedTarballTests.Gives_every_byte_without_the_server_and_records_the_client)}",
        ],
        Red = "a client's requests of a day count as one, or the client is not told: the first was red; `TarballUsage` holds any number of entries: the second; `RememberedTarball` records nothing: the last")]
    [Fact]
    public async Task Records_the_clients_of_served_tarballs()
    {
        await using (var mirror = await StartAsync())
        {
            await FetchUntilStoredAsync(mirror);
            await BytesAsync(await mirror.GetAsync("/npm" + Path));
        }

        var accesses = await _store.Tarballs.ListAccessAsync(PackageName.Parse("left-pad"), null, Cancelled).ToListAsync(Cancelled);
        var access = Assert.Single(accesses);
        Assert.Equal(("left-pad-1.0.0.tgz", "127.0.0.1"), (access.File, access.Client));
        Assert.True(access.Count >= 2);
        Assert.NotNull((await _store.Tarballs.FindTarballAsync(PackageName.Parse("left-pad"), "left-pad-1.0.0.tgz", Cancelled))!.LastServedAt);
    }

    [Fact]
    public async Task Fifty_clients_share_one_request_to_the_upstream()
    {
        await using var mirror = await StartAsync();
        await mirror.TextAsync("left-pad");
        var gate = _registry.Knobs.Hold("*.tgz");
        var clients = Enumerable.Range(0, 50).Select(_ => Task.Run(async () => await BytesAsync(await mirror.GetAsync("/npm" + Path)))).ToList();
        await gate.WaitForAsync(1, Cancelled);
        Assert.DoesNotContain(clients, client => client.IsCompleted);
        gate.Open();
        Assert.All(await Task.WhenAll(clients), bytes => Assert.Equal(Tarball, bytes));
        Assert.Equal(1, _registry.Requests.CountOf("*.tgz"));
    }

    [Claim("A relative `dist.tarball` is relative to the packument's address, and one elsewhere is fenced as any other",
        With = [nameof(A_relative_tarball_address_keeps_the_path_of_the_upstream), nameof(An_address_elsewhere_or_none_stays_an_error)])]
    [Theory]
    [InlineData("files/odd.tgz")]
    [InlineData("/files/odd.tgz")]
    [InlineData("./files/../files/odd.tgz")]
    [InlineData("//{host}/files/odd.tgz")]
    [InlineData(" /files/odd.tgz ")]
    public async Task A_relative_address_is_relative_to_the_packuments(string written)
    {
        _registry.Publish(new FakePackage("odd").Version("1.0.0", version => version.TarballUrl = written.Replace("{host}", _registry.Url.Authority, StringComparison.Ordinal)));
        _registry.Tarballs["/files/odd.tgz"] = _registry.Tarballs["/odd/-/odd-1.0.0.tgz"];
        await using var mirror = await StartAsync();
        Assert.Contains($"{mirror.Address}npm/odd/-/odd", await mirror.TextAsync("odd"), StringComparison.Ordinal);
        Assert.Equal(_registry.Tarballs["/files/odd.tgz"], await BytesAsync(await mirror.GetAsync("/npm/odd/-/odd-1.0.0.tgz")));
        Assert.Equal(1, _registry.Requests.CountOf("/files/odd.tgz"));
    }

    [Fact]
    public async Task A_relative_tarball_address_keeps_the_path_of_the_upstream()
    {
        var bytes = _registry.Tarballs[Path];
        await using var peer = new Upstream.LoopbackPeer(async (request, stream, cancellationToken) =>
        {
            var integrity = "sha512-" + Convert.ToBase64String(System.Security.Cryptography.SHA512.HashData(bytes));
            var packument = """{"name":"@s/x","versions":{"1.0.0":{"name":"@s/x","version":"1.0.0","dist":{"tarball":"x/-/x-1.0.0.tgz","integrity":"HASH"}}}}""".Replace("HASH", integrity, StringComparison.Ordinal);
            var body = request.Target == "/deep/npm/x/-/x-1.0.0.tgz" ? bytes : System.Text.Encoding.UTF8.GetBytes(packument);
            await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n"), cancellationToken);
            await stream.WriteAsync(body, cancellationToken);
        });
        await using var mirror = await ServedMirror.StartAsync(_store, new Uri(peer.Url, "deep/npm/"), blobs: _blobs);
        Assert.Equal(bytes, await BytesAsync(await mirror.GetAsync("/npm/@s/x/-/x-1.0.0.tgz")));
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("//evil.example.org/x.tgz")]
    [InlineData("")]
    public async Task An_address_elsewhere_or_none_stays_an_error(string written)
    {
        _registry.Publish(new FakePackage("odd").Version("1.0.0", version => version.TarballUrl = written));
        await using var mirror = await StartAsync();
        using var answer = await mirror.GetAsync("/npm/odd/-/odd-1.0.0.tgz");
        Assert.False(answer.IsSuccessStatusCode);
    }

    [Claim("Bytes without a promised hash are not `immutable`",
        Red = "every tarball is `immutable`")]
    [Fact]
    public async Task Bytes_that_no_hash_is_promised_for_may_change_and_are_served_so()
    {
        _registry.Publish(new FakePackage("odd").Version("1.0.0", version => (version.HasIntegrity, version.HasShasum) = (false, false)));
        await using var mirror = await StartAsync();
        for (var round = 0; round < 3; round++)
        {
            using var answer = await mirror.GetAsync("/npm/odd/-/odd-1.0.0.tgz");
            Assert.Equal("public, max-age=300", string.Join(", ", answer.Headers.NonValidated["Cache-Control"]));
            Assert.Equal(_registry.Tarballs["/odd/-/odd-1.0.0.tgz"], await answer.Content.ReadAsByteArrayAsync(Cancelled));
            await Eventually.Async(async () => await _store.Tarballs.FindTarballAsync(PackageName.Parse("odd"), "odd-1.0.0.tgz", Cancelled) is { State: TarballState.Held });
            if (round > 0)
            {
                using var known = await mirror.GetAsync("/npm/odd/-/odd-1.0.0.tgz", ("If-None-Match", answer.Headers.ETag!.Tag));
                Assert.Equal((HttpStatusCode.NotModified, "public, max-age=300"), (known.StatusCode, string.Join(", ", known.Headers.NonValidated["Cache-Control"])));
            }
        }

        _registry.Publish(new FakePackage("odd").Version("1.0.0"));
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/npm/odd?refresh=1")).StatusCode);
        using var promised = await mirror.GetAsync("/npm/odd/-/odd-1.0.0.tgz");
        Assert.Equal("public, immutable, max-age=31557600", string.Join(", ", promised.Headers.NonValidated["Cache-Control"]));
    }

    private Task<ServedMirror> StartAsync(Action<MirrorOptions>? configure = null) => ServedMirror.StartAsync(_store, _registry.Url, configure, blobs: _blobs);

    private static async Task<byte[]> BytesAsync(HttpResponseMessage answer)
    {
        using (answer)
        {
            Assert.True(answer.IsSuccessStatusCode, $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(Cancelled)}");
            return await answer.Content.ReadAsByteArrayAsync(Cancelled);
        }
    }

    /// <summary>The row is written after the last byte.</summary>
    private async Task FetchUntilStoredAsync(ServedMirror mirror)
    {
        Assert.Equal(Tarball, await BytesAsync(await mirror.GetAsync("/npm" + Path)));
        await Eventually.Async(async () => await _store.Tarballs.FindTarballAsync(PackageName.Parse("left-pad"), "left-pad-1.0.0.tgz", Cancelled) is { State: TarballState.Held });
    }

    /// <summary>As another process would: only the log tells of it.</summary>
    private async Task RemoveAsync(RemovalKind kind)
    {
        var row = (await _store.Packages.FindAsync(PackageName.Parse("left-pad"), Cancelled))!;
        var pending = new PendingEvent { Ordinal = 0, Type = "PackageRemoved", SeenAt = DateTimeOffset.UnixEpoch, Payload = "{\"kind\":\"gone\",\"archived\":\"\"}"u8.ToArray() };
        var facts = row.Facts with { Removal = kind, RemovalReason = "court order" };
        Assert.True((await _store.Packages.CommitAsync(new PackageCommit { Name = row.Name, ExpectedGeneration = row.Generation, Facts = facts, Events = [pending] }, Cancelled)).IsCommitted);
    }

    private readonly record struct EntityTags(string Arriving, string Stored);
}
