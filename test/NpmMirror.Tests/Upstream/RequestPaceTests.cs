using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

public sealed class RequestPaceTests
{
    private static readonly Uri Host = new("https://registry.example.org/ms");
    private static readonly Uri Other = new("https://files.example.org/ms");

    private readonly FakeClock _clock = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A host is asked no faster than configured; requests for waiting clients go first; a busy host gets a pause as long as it asks, and ever longer ones if it names no time (never-again 16)",
        With =
        [
            nameof(A_request_with_a_waiting_client_goes_ahead_of_the_bulk),
            nameof(A_host_that_is_busy_is_left_alone_as_long_as_it_says_but_for_clients),
            nameof(A_host_that_asks_for_no_wait_is_left_alone_ever_longer),
            nameof(Without_a_word_a_hundred_a_second_and_any_number_to_this_machine),
        ],
        Red = "clients wait for a token as the bulk does, a pause is not heeded: the second to fourth were red")]
    [Fact]
    public async Task A_host_is_asked_no_faster_than_told_and_each_host_by_itself()
    {
        var pace = new RequestPace(10, _clock);
        Assert.Equal(10, Granted(pace, Host, 50));
        Assert.Equal(10, Granted(pace, Other, 50));
        for (var second = 0; second < 20; second++)
        {
            _clock.Advance(TimeSpan.FromSeconds(0.5));
            Assert.Equal(5, Granted(pace, Host, 50));
        }

        var waiting = pace.EnterAsync(Host, isPatient: true, Token).AsTask();
        Assert.False(waiting.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(0.2));
        await waiting.WaitAsync(TimeSpan.FromSeconds(10), Token);
    }

    [Fact]
    public void Of_three_nodes_each_asks_a_third()
    {
        var pace = new RequestPace(30, _clock);
        pace.ShareAmong(3);
        Assert.Equal(10, Granted(pace, Host, 50));
        _clock.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Equal(5, Granted(pace, Host, 50));
        pace.ShareAmong(1);
        _clock.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Equal(15, Granted(pace, Host, 50));

        // Of fewer requests than nodes each node may send one now and then.
        pace.ShareAmong(90);
        _clock.Advance(TimeSpan.FromSeconds(2.9));
        Assert.Equal(0, Granted(pace, Host, 50));
        _clock.Advance(TimeSpan.FromSeconds(0.2));
        Assert.Equal(1, Granted(pace, Host, 50));
    }

    [Fact]
    public async Task A_request_with_a_waiting_client_goes_ahead_of_the_bulk()
    {
        var pace = new RequestPace(10, _clock);
        Assert.Equal(10, Granted(pace, Host, 50));
        for (var wish = 0; wish < 5; wish++)
        {
            await Immediately(pace.EnterAsync(Host, isPatient: false, Token));
        }

        // Half a second of debt, then one token.
        _clock.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Equal(0, Granted(pace, Host, 50));
        _clock.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Equal(1, Granted(pace, Host, 50));
    }

    [Fact]
    public async Task A_host_that_is_busy_is_left_alone_as_long_as_it_says_but_for_clients()
    {
        var pace = new RequestPace(null, _clock);
        pace.Pauses.Begin(Host, RequestPurpose.Fetching, TimeSpan.FromSeconds(37), "it answered 429");
        pace.Pauses.Begin(Host, RequestPurpose.Fetching, TimeSpan.Zero, "it answered 429");
        _clock.Advance(TimeSpan.FromSeconds(36));
        Assert.Equal(0, Granted(pace, Host, 1));
        Assert.Equal(1, Granted(pace, Other, 1));
        await Immediately(pace.EnterAsync(Host, isPatient: false, Token));
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(1, Granted(pace, Host, 1));
    }

    [Fact]
    public void A_host_that_asks_for_no_wait_is_left_alone_ever_longer()
    {
        var pace = new RequestPace(null, _clock);
        var waits = new List<TimeSpan>();
        for (var refusal = 0; refusal < 5; refusal++)
        {
            pace.Pauses.Begin(Host, RequestPurpose.Fetching, TimeSpan.Zero, "it answered 429");
            var begun = _clock.GetUtcNow();
            while (Granted(pace, Host, 1) == 0)
            {
                _clock.Advance(TimeSpan.FromSeconds(0.1));
            }

            waits.Add(_clock.GetUtcNow() - begun);
        }

        Assert.True(waits[0] >= TimeSpan.FromSeconds(1));
        Assert.True(waits[4] >= TimeSpan.FromSeconds(16));
        pace.Pauses.NoteAnswered(Host, RequestPurpose.Fetching);
        pace.Pauses.Begin(Host, RequestPurpose.Fetching, null, "it answered 429");
        _clock.Advance(TimeSpan.FromSeconds(1.6));
        Assert.Equal(1, Granted(pace, Host, 1));
    }

    [Claim("Rates, pauses, negative answers and waits go by the monotonic clock",
        With =
        [
            $"{nameof(Tarballs.TarballDownloadsTests)}.{nameof(Tarballs.TarballDownloadsTests.Absence_is_remembered_as_long_when_the_wall_clock_is_set)}",
            $"{nameof(Following.FetchingHandlerTests)}.{nameof(Following.FetchingHandlerTests.Ten_minutes_are_as_long_when_the_wall_clock_is_set)}",
            $"{nameof(Reconciling.ReconciliationScheduleTests)}.{nameof(Reconciling.ReconciliationScheduleTests.A_time_noted_by_a_fast_clock_is_due_an_interval_after_its_correction)}",
            $"{nameof(Following.CursorTrailTests)}.{nameof(Following.CursorTrailTests.Goes_back_no_further_than_asked_once_a_clock_that_was_ahead_is_right)}",
        ],
        Red = "`GetUtcNow` in each of them, as before: all red")]
    [Theory]
    [InlineData(-1)]
    [InlineData(400 * 24)]
    [InlineData(-400 * 24)]
    public void A_wall_clock_that_is_set_changes_no_pause_and_no_rate(int hours)
    {
        var pace = new RequestPace(10, _clock);
        Assert.Equal(10, Granted(pace, Other, 50));
        pace.Pauses.Begin(Host, RequestPurpose.Fetching, TimeSpan.FromSeconds(37), "it answered 429");
        _clock.SetWallAhead(TimeSpan.FromHours(hours));
        Assert.Equal(0, Granted(pace, Host, 1));
        Assert.Equal(0, Granted(pace, Other, 50));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(10, Granted(pace, Other, 50));
        _clock.Advance(TimeSpan.FromSeconds(36));
        Assert.Equal(1, Granted(pace, Host, 1));
    }

    [Theory]
    [InlineData("http://127.0.0.1:4873/ms", null, 500)]
    [InlineData("http://localhost:4873/ms", null, 500)]
    [InlineData("https://registry.example.org/ms", null, 100)]
    [InlineData("https://registry.example.org/ms", 0.0, 500)]
    [InlineData("http://127.0.0.1:4873/ms", 20.0, 20)]
    public void Without_a_word_a_hundred_a_second_and_any_number_to_this_machine(string url, double? told, int granted) =>
        Assert.Equal(granted, Granted(new RequestPace(told, _clock), new Uri(url), 500));

    /// <summary>How many of so many bulk requests may go at this moment.</summary>
    internal static int Granted(RequestPace pace, Uri url, int asked)
    {
        var granted = 0;
        using var leaving = new CancellationTokenSource();
        for (var i = 0; i < asked; i++)
        {
            var entering = pace.EnterAsync(url, isPatient: true, leaving.Token);
            if (!entering.IsCompleted)
            {
                break;
            }

            granted++;
        }

        leaving.Cancel();
        return granted;
    }

    private static ValueTask Immediately(ValueTask entering)
    {
        Assert.True(entering.IsCompleted);
        return entering;
    }
}
