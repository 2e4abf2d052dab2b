using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Tests.Feeds;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

public sealed class BoundedRetryTests
{
    private readonly FakeClock _clock = new();
    private int _asked;

    [Claim("A command's requests outlast transient failures, as packages do: the feed's probe, its information, each page of the list; never before `Retry-After`, told while it waits, and given up with the number of tries (never-again 16)",
        With =
        [
            nameof(Gives_up_after_five_tries_and_says_how_often_it_asked),
            nameof(An_upstream_that_asks_for_an_hours_pause_is_not_waited_for),
            $"{nameof(Following.OneShotTests)}.{nameof(Following.OneShotTests.Trouble_that_passes_ends_neither_sync_nor_reconcile)}",
            $"{nameof(Following.OneShotTests)}.{nameof(Following.OneShotTests.Trouble_that_stays_is_told_with_how_often_was_asked)}",
            $"{nameof(ChangeFeedTests)}.{nameof(ChangeFeedTests.A_page_of_the_list_that_fails_is_asked_for_again_and_no_other)}",
            $"{nameof(ChangeFeedTests)}.{nameof(ChangeFeedTests.The_classic_list_that_breaks_off_is_read_once_more)}",
            $"{nameof(Cli.SyncTests)}.{nameof(Cli.SyncTests.A_busy_upstream_ends_no_run_and_each_wait_is_told)}",
            $"{nameof(Cli.ReconcileTests)}.{nameof(Cli.ReconcileTests.A_list_that_cannot_be_read_is_a_failure_and_changes_nothing)}",
        ],
        Red = "the probe is asked once: `OneShotTests` were red; `BoundedRetry` waits however long it is asked to: its last test did not end")]
    [Fact]
    public async Task Asks_until_there_is_an_answer_and_never_before_retry_after()
    {
        var answering = RunAsync(Busy(TimeSpan.FromSeconds(37)), failures: 1);
        Assert.True(_clock.IsNextIn(TimeSpan.FromSeconds(37)));
        Assert.Equal(1, _asked);
        _clock.Advance(TimeSpan.FromSeconds(37));
        Assert.Equal(2, await answering);
    }

    [Fact]
    public async Task Without_a_retry_after_waits_a_second_and_then_ever_longer()
    {
        var answering = RunAsync(Busy(TimeSpan.Zero), failures: 4);
        foreach (var wait in new[] { 1, 2, 4, 8 })
        {
            await Eventually.Async(() => _clock.HasTimerBetween(TimeSpan.FromSeconds(wait), TimeSpan.FromSeconds(wait * 1.5)));
            _clock.Advance(_clock.NextDueAt!.Value - _clock.GetUtcNow());
        }

        Assert.Equal(5, await answering);
    }

    [Fact]
    public async Task Gives_up_after_five_tries_and_says_how_often_it_asked()
    {
        var answering = RunAsync(Busy(null), failures: 100);
        await Eventually.Async(() =>
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            return answering.IsCompleted;
        });
        var failure = await Assert.ThrowsAsync<MirrorException>(() => answering);
        Assert.Equal((MirrorFault.UpstreamBusy, 5), (failure.Fault, _asked));
        Assert.Matches("^Too many requests. It was asked 5 times within [0-9]+ s.$", failure.Message);
    }

    [Fact]
    public async Task An_upstream_that_asks_for_an_hours_pause_is_not_waited_for()
    {
        var failure = await Assert.ThrowsAsync<MirrorException>(() => RunAsync(Busy(TimeSpan.FromHours(1)), failures: 1));
        Assert.Equal("Too many requests. It asks for a pause of 60 minutes.", failure.Message);
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task A_lasting_failure_is_tried_once()
    {
        await Assert.ThrowsAsync<MirrorException>(() => RunAsync(new MirrorException(MirrorFault.UpstreamRefused, "No."), failures: 1));
        Assert.Equal(1, _asked);
    }

    private static MirrorException Busy(TimeSpan? retryAfter) => new(MirrorFault.UpstreamBusy, "Too many requests.", isTransient: true, retryAfter);

    private Task<int> RunAsync(MirrorException failure, int failures) => new BoundedRetry(_clock, NullLogger.Instance).RunAsync(
        () => ++_asked <= failures ? Task.FromException<int>(failure) : Task.FromResult(_asked),
        TestContext.Current.CancellationToken);
}
