using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

public sealed class RequestPausesTests
{
    private static readonly Uri Host = new("https://registry.example.org/-/v1/search");
    private static readonly Uri Other = new("https://files.example.org/ms");

    private readonly FakeClock _clock = new();
    private readonly RequestPauses _pauses;

    public RequestPausesTests() => _pauses = new RequestPauses(NpmMirror.Diagnostics.Telemetry.Unread, _clock);

    [Fact]
    public void Each_purpose_of_each_host_pauses_by_itself()
    {
        _pauses.Begin(Host, RequestPurpose.Search, TimeSpan.FromSeconds(120), "it answered 429");
        Assert.Equal(new RequestPause("registry.example.org", RequestPurpose.Search, TimeSpan.FromSeconds(120), "it answered 429"), Assert.Single(_pauses.List()));
        foreach (var purpose in Enum.GetValues<RequestPurpose>())
        {
            Assert.Equal(purpose == RequestPurpose.Search, _pauses.LeftOf(Host, purpose) is not null);
            Assert.Null(_pauses.Find(Other, purpose));
        }

        _clock.Advance(TimeSpan.FromSeconds(120));
        Assert.Empty(_pauses.List());
        Assert.Null(_pauses.Find(Host, RequestPurpose.Search));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3_600)]
    [InlineData(1e9)]
    public void No_pause_is_longer_than_the_longest_or_shorter_than_the_first(double seconds)
    {
        _pauses.Begin(Host, RequestPurpose.Keys, TimeSpan.FromSeconds(seconds), "busy");
        _pauses.Begin(Host, RequestPurpose.Keys, TimeSpan.FromSeconds(seconds), "busy");
        Assert.InRange(_pauses.LeftOf(Host, RequestPurpose.Keys)!.Value, TimeSpan.FromSeconds(5), RequestPauses.Longest);
    }

    [Fact]
    public void Pauses_grow_until_an_answer_comes()
    {
        var last = TimeSpan.Zero;
        for (var refusal = 0; refusal < 5; refusal++)
        {
            _pauses.Begin(Host, RequestPurpose.Audit, null, "busy");
            var left = _pauses.LeftOf(Host, RequestPurpose.Audit)!.Value;
            Assert.True(left > last);
            last = left;
            _clock.Advance(left);
        }

        _pauses.NoteAnswered(Host, RequestPurpose.Search);
        _pauses.NoteAnswered(Host, RequestPurpose.Audit);
        _pauses.Begin(Host, RequestPurpose.Audit, null, "busy");
        Assert.True(_pauses.LeftOf(Host, RequestPurpose.Audit) < TimeSpan.FromSeconds(10));
    }
}
