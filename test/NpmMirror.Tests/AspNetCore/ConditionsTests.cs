using System.Globalization;
using System.Net;
using System.Text;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>The effects of a date, a range, a missing host and very many headers on an answer.</summary>
public sealed class ConditionsTests
{
    private static readonly DateTimeOffset Noon = new(2026, 11, 29, 12, 0, 0, TimeSpan.Zero);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A date alone never validates a document that replaced another one, however soon",
        With = [nameof(A_clock_that_was_wrong_does_not_stay_in_the_dates)],
        Red = "`PackageSync.StoredAfter` gives now: the first was red; it goes on from a date of any future: the second")]
    [Theory]
    [InlineData(0)]
    [InlineData(400)]
    [InlineData(86_400_000)]
    public async Task A_date_never_validates_a_document_that_took_another_ones_place(int milliseconds)
    {
        var clock = new FakeClock(Noon);
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, time: clock);
        var dates = new List<string>();
        for (var round = 0; round < 4; round++)
        {
            // The same modified in each of them.
            registry.PutDocument("ms", Encoding.UTF8.GetBytes(Documents.Of("ms", $"description {round}")));
            await mirror.Mirror.Sync.RepairAsync(PackageName.Parse("ms"), Cancelled);
            foreach (var date in dates)
            {
                using var answer = await mirror.GetAsync("ms", ("If-Modified-Since", date));
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            }

            using var now = await mirror.GetAsync("ms");
            dates.Add(now.Content.Headers.GetValues("Last-Modified").Single());
            using var same = await mirror.GetAsync("ms", ("If-Modified-Since", dates[^1]));
            Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
            clock.Advance(TimeSpan.FromMilliseconds(milliseconds));
        }

        Assert.Equal("Wed, 03 Feb 2021 04:05:06 GMT", dates[0]);
        Assert.Equal(4, dates.Distinct().Count());
    }

    [Fact]
    public async Task A_clock_that_was_wrong_does_not_stay_in_the_dates()
    {
        var clock = new FakeClock(Noon.AddDays(400));
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        var store = new MemoryStore(clock);
        registry.PutDocument("ms", Encoding.UTF8.GetBytes(Documents.Of("ms", "ahead")));
        await using (var mirror = await ServedMirror.StartAsync(store, registry.Url, time: clock))
        {
            await mirror.TextAsync("ms");
        }

        var right = new FakeClock(Noon);
        registry.PutDocument("ms", Encoding.UTF8.GetBytes(Documents.Of("ms", "right")));
        await using var again = await ServedMirror.StartAsync(store, registry.Url, time: right);
        await again.Mirror.Sync.RepairAsync(PackageName.Parse("ms"), Cancelled);
        Assert.Equal(Noon, (await store.Packages.FindAsync(PackageName.Parse("ms"), Cancelled))!.Facts.StoredAt);
    }

    [Claim("A tarball's date does not move when it is verified; a range may end at 2^63−1",
        With = [nameof(A_range_may_end_anywhere_after_its_beginning)],
        Red = "a tarball's date is that of its verification: the first was red; `TarballRange` adds one to the end: the second")]
    [Fact]
    public async Task A_tarballs_date_does_not_move_when_it_is_verified()
    {
        var clock = new FakeClock(Noon);
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, time: clock);
        using var first = await mirror.GetAsync("ms/-/ms-1.0.0.tgz");
        await Eventually.Async(async () => await mirror.Store.Tarballs.FindTarballAsync(PackageName.Parse("ms"), "ms-1.0.0.tgz", Cancelled) is { State: TarballState.Held });
        using var before = await mirror.GetAsync("ms/-/ms-1.0.0.tgz", ("Range", "bytes=0-1"));
        clock.Advance(TimeSpan.FromDays(3));
        var row = (await mirror.Store.Tarballs.FindTarballAsync(PackageName.Parse("ms"), "ms-1.0.0.tgz", Cancelled))!;
        await mirror.Store.Tarballs.StampVerifiedAsync([new TarballVerified(row.Package, row.File, row.Sha512, clock.GetUtcNow())], Cancelled);
        // This process's memory of the row differs from another process's.
        await using var another = await ServedMirror.StartAsync(mirror.Store, registry.Url, time: clock, blobs: mirror.Mirror.Blobs);
        using var after = await another.GetAsync("ms/-/ms-1.0.0.tgz", ("Range", "bytes=0-1"));
        Assert.Equal(before.Content.Headers.GetValues("Last-Modified").Single(), after.Content.Headers.GetValues("Last-Modified").Single());
    }

    [Theory]
    [InlineData("bytes=3-9223372036854775807", 206)]
    [InlineData("bytes=3-9223372036854775806", 206)]
    [InlineData("bytes=3-1000000", 206)]
    [InlineData("bytes=-9223372036854775807", 206)]
    [InlineData("bytes=9223372036854775807-9223372036854775807", 416)]
    [InlineData("bytes=3-9223372036854775808", 200)]
    public async Task A_range_may_end_anywhere_after_its_beginning(string range, int status)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        var whole = await mirror.Client.GetByteArrayAsync(new Uri("ms/-/ms-1.0.0.tgz", UriKind.Relative), Cancelled);
        await Eventually.Async(async () => await mirror.Store.Tarballs.FindTarballAsync(PackageName.Parse("ms"), "ms-1.0.0.tgz", Cancelled) is { State: TarballState.Held });
        using var answer = await mirror.GetAsync("ms/-/ms-1.0.0.tgz", ("Range", range));
        Assert.Equal(status, (int)answer.StatusCode);
        if (status == 206)
        {
            var from = range.StartsWith("bytes=3", StringComparison.Ordinal) ? 3 : 0;
            Assert.Equal(whole[from..], await answer.Content.ReadAsByteArrayAsync(Cancelled));
            Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"bytes {from}-{whole.Length - 1}/{whole.Length}"), answer.Content.Headers.ContentRange!.ToString());
        }
    }

    [Claim("Without a host, answers are not remembered from one local address to another",
        With = [nameof(Nothing_is_remembered_for_a_request_without_a_host)],
        Red = "`PublicAddresses` remembers the address under no host: the first was red; `AnswerMemory` remembers an answer under no host: the second")]
    [Theory]
    [InlineData("HTTP/1.0\r\n")]
    [InlineData("HTTP/1.0\r\nHost:\r\n")]
    [InlineData("HTTP/1.1\r\nHost: \r\n")]
    public async Task Without_a_host_each_local_address_gets_its_own(string end)
    {
        await using var mirror = await ServedMirror.StartAsync(address: IPAddress.Any);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        foreach (var address in new[] { "127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2", "127.0.0.3" })
        {
            var answer = await mirror.RawAsync($"GET /npm/ms {end}Connection: close\r\n\r\n", address);
            Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
            Assert.Contains($"http://{address}:{mirror.Address.Port}/npm/ms/-/ms-1.0.0.tgz", answer, StringComparison.Ordinal);
        }
    }

    [Claim("More than a hundred headers are refused on every path",
        Red = "`RequestHead` counts no headers")]
    [Trait("Duration", "long")]
    [Theory]
    [InlineData(100, "200")]
    [InlineData(101, "431")]
    public async Task More_than_a_hundred_headers_are_refused_however_the_answer_is_made(int count, string status)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        var request = new StringBuilder("GET /npm/ms HTTP/1.1\r\nHost: localhost\r\n");
        for (var i = 2; i < count; i++)
        {
            request.Append(CultureInfo.InvariantCulture, $"X-{i}: x\r\n");
        }

        // In the same words with few headers: from now on its answer is at hand on the connection.
        await RawTalk.TalkAsync(mirror, "GET /npm/ms HTTP/1.1\r\nHost: localhost\r\n\r\n");

        // The first is answered by the server, because its last header closes it, the second on its connection where that may be.
        foreach (var last in new[] { "Connection: close\r\n", "X-1: x\r\n" })
        {
            var talk = await RawTalk.TalkAsync(mirror, $"{request}{last}\r\n");
            Assert.StartsWith($"HTTP/1.1 {status} ", talk[0], StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Nothing_is_remembered_for_a_request_without_a_host()
    {
        var hot = new AnswerMemory();
        var key = new RequestKey("/npm/ms", new Origin("http", "", ""), "", "");
        hot.Remember(key, new RememberedTarball("", null, "/dev/null", 0, hot.SmallFiles, () => true, _ => { }, TimeProvider.System));
        var head = "GET /npm/ms HTTP/1.1\r\nHost:\r\n\r\n"u8;
        Assert.Equal(RequestKind.Simple, RequestHead.Read(head, out var read));
        Assert.Null(hot.Find(read));
    }
}
