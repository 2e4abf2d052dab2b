using System.IO.Compression;
using System.Net.Http.Headers;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Testing;

/// <summary>Rules about bodies hold on every route: documents, tarballs, the list, and each form of the feed.</summary>
public sealed class FakeBodyKnobTests : IAsyncLifetime
{
    private readonly FakeClock _clock = new();
    private readonly HttpClient _client = new();
    private FakeRegistry _registry = null!;

    public static TheoryData<string> WholeBodies => ["/", "/_changes", "/_all_docs", "/package", "/-/npm/v1/keys"];

    public static TheoryData<string> Bodies => [.. WholeBodies.Select(row => row.Data), "/package/-/package-1.0.0.tgz", "/_changes?feed=longpoll&heartbeat=true", "/_changes?feed=continuous&heartbeat=true"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(time: _clock, cancellationToken: Token);
        _registry.Publish(new FakePackage("package").Version("1.0.0"));
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _registry.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task A_body_is_cut_after_so_many_bytes(string path)
    {
        var whole = await ReadAsync(path, 40);
        foreach (var framing in Enum.GetValues<FakeFraming>())
        {
            _registry.Knobs.Clear();
            _registry.Knobs.Add(new FakeRule { CutAfterBytes = 33, Framing = framing });
            Assert.Equal(whole[..33], await ReadAsync(path, 40));
        }
    }

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task One_byte_of_a_body_is_another_one(string path)
    {
        var length = path.Contains("feed=", StringComparison.Ordinal) ? 70 : int.MaxValue;
        var whole = await ReadAsync(path, length);
        _registry.Knobs.Add(new FakeRule { CorruptsBody = true });
        var damaged = await ReadAsync(path, length);
        Assert.Equal(whole.Length, damaged.Length);
        Assert.Single(whole.Zip(damaged), pair => pair.First != pair.Second);
    }

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task A_body_comes_as_slowly_as_the_rule_says(string path)
    {
        _registry.Knobs.Add(new FakeRule { BytesPerSecond = 20 });
        var reading = ReadAsync(path, 20);
        var begun = _clock.GetUtcNow();
        await _clock.SkipWaitsAsync(reading, TimeSpan.FromSeconds(0.1));
        Assert.Equal(20, (await reading).Length);
        Assert.InRange((_clock.GetUtcNow() - begun).TotalSeconds, 0.9, 1.2);
    }

    [Theory]
    [MemberData(nameof(WholeBodies))]
    public async Task A_compressed_body_is_cut_in_half_with_a_length_that_fits(string path)
    {
        var whole = await ReadAsync(path, int.MaxValue);
        _registry.Knobs.Add(new FakeRule { TruncatesGzip = true });
        using var request = new HttpRequestMessage(HttpMethod.Get, Address(path));
        request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("gzip"));
        using var response = await _client.SendAsync(request, Token);
        Assert.Equal("gzip", Assert.Single(response.Content.Headers.ContentEncoding));
        var half = await response.Content.ReadAsByteArrayAsync(Token);
        Assert.InRange(half.Length, 1, Compressed(whole) - 1);
    }

    private static int Compressed(byte[] bytes)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Fastest))
        {
            gzip.Write(bytes);
        }

        return output.ToArray().Length;
    }

    /// <summary>The bytes of a body that come, so many at most.</summary>
    private async Task<byte[]> ReadAsync(string path, int bytesMax)
    {
        using var response = await _client.GetAsync(Address(path), HttpCompletionOption.ResponseHeadersRead, Token);
        await using var body = await response.Content.ReadAsStreamAsync(Token);
        var bytes = new List<byte>();
        var one = new byte[1];
        try
        {
            while (bytes.Count < bytesMax && await body.ReadAsync(one, Token) > 0)
            {
                bytes.Add(one[0]);
            }
        }
        catch (HttpIOException)
        {
            // Cut.
        }

        return [.. bytes];
    }

    private Uri Address(string path) => new(_registry.Url.AbsoluteUri.TrimEnd('/') + path);
}
