using System.Net;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

/// <summary>A body that comes slowly has an end, however much of it came quickly before.</summary>
public sealed class SlowBodyTests
{
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(30);

    [Claim("A body that trickles is ended within minutes, however much of it came quickly before, and one that never ends within hours",
        With = [nameof(One_that_never_ends_is_ended_within_hours)],
        Red = "`UpstreamBody.CheckRate` does not look at the rate, or counts the bytes of all stretches together: the first was red; it has no end: the second")]
    [Theory]
    [InlineData(0, 1, 10)]
    [InlineData(10_000_000, 1, 10)]
    [InlineData(4_000_000_000, 1, 29)]
    [InlineData(4_000_000_000, 500, 1)]
    public async Task One_that_trickles_is_ended_within_minutes(long quickBytes, int pieceBytes, int everySeconds)
    {
        var clock = new FakeClock();
        await using var body = Open(clock, quickBytes, pieceBytes, everySeconds);
        var startedAt = clock.GetUtcNow();
        var failure = await Assert.ThrowsAsync<MirrorException>(() => ReadAllAsync(body));
        Assert.True(failure.IsTransient);
        Assert.Contains("sent only", failure.Message, StringComparison.Ordinal);
        Assert.InRange(clock.GetUtcNow() - startedAt, IdleTimeout, TimeSpan.FromMinutes(4));
    }

    [Fact]
    public async Task One_that_never_ends_is_ended_within_hours()
    {
        var clock = new FakeClock();
        await using var body = Open(clock, 0, 10_000, 5);
        var startedAt = clock.GetUtcNow();
        var failure = await Assert.ThrowsAsync<MirrorException>(() => ReadAllAsync(body));
        Assert.Contains("within 2 h", failure.Message, StringComparison.Ordinal);
        Assert.InRange(clock.GetUtcNow() - startedAt, TimeSpan.FromHours(2), TimeSpan.FromHours(2.1));
    }

    private static UpstreamBody Open(FakeClock clock, long quickBytes, int pieceBytes, int everySeconds)
    {
        var message = new HttpResponseMessage(HttpStatusCode.OK) { Content = new StreamContent(new Trickle(clock, quickBytes, pieceBytes, TimeSpan.FromSeconds(everySeconds))) };
        return UpstreamBody.Open(new UpstreamResponse(message, new Uri("http://registry.example.org/ms")), new BodyLimits(long.MaxValue, IdleTimeout), isFile: true, clock);
    }

    private static async Task ReadAllAsync(UpstreamBody body)
    {
        var buffer = new byte[1_000_000];
        while (await body.ReadAsync(buffer, TestContext.Current.CancellationToken) > 0)
        {
        }
    }

    /// <summary>So many bytes at once, then a piece now and then, for ever.</summary>
    private sealed class Trickle(FakeClock clock, long quickBytes, int pieceBytes, TimeSpan every) : ForwardStream
    {
        private long _quickLeft = quickBytes;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = (int)Math.Min(_quickLeft, buffer.Length);
            _quickLeft -= read;
            if (read == 0)
            {
                clock.Advance(every);
                read = pieceBytes;
            }

            return ValueTask.FromResult(read);
        }
    }
}
