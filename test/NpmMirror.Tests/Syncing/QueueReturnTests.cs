using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Log;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Syncing;

namespace NpmMirror.Tests.Syncing;

/// <summary>The end of a queued package that fails: it is given up only if another try cannot mend it, and only after a day.</summary>
public sealed class QueueReturnTests : IAsyncDisposable
{
    private static readonly PackageName Name = PackageName.Parse("left-pad");

    private readonly FakeClock _clock = new();
    private readonly MemoryStore _store;
    private readonly QueueReturn _return;

    public QueueReturnTests()
    {
        _store = new MemoryStore(_clock);
        _return = new QueueReturn(_store, _store, _clock, NullLogger.Instance);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        _return.Dispose();
        await _store.DisposeAsync();
    }

    [Claim("A change is given up only after a day of tries, and only if another try mends nothing",
        With = [nameof(A_revision_that_never_came_is_told_as_given_up), nameof(A_package_of_the_graveyard_waits_for_no_revision)],
        Red = "`QueueReturn` gives up what passes by itself, or `PackageSync.IsDoubtOver` does not look at the day, or is never true; `NoteAnswerAsync` notes nothing")]
    [Theory]
    [InlineData(true, 3, 1000, false)]
    [InlineData(false, 3, 1000, true)]
    [InlineData(false, 3, 1, false)]
    [InlineData(false, 0, 1000, false)]
    public async Task A_change_is_given_up_after_a_day_of_tries_that_cannot_be_mended(bool isTransient, int days, int attempts, bool isGivenUp)
    {
        var lease = await TakeAsync(QueuePriority.Change, "3-a", attempts, TimeSpan.FromDays(days));
        var attempt = await _return.PostponeAsync(lease, Failure(isTransient), Token);
        Assert.Equal(isGivenUp, attempt.IsDone);
        Assert.Equal(isGivenUp, await _store.Queue.FindQueuedAsync(Name, Token) is null);
        Assert.Equal(isGivenUp ? [attempts + 1] : [], (await GivenUpPackages.ReadAsync(_store, Token)).Select(given => given.Attempts));
    }

    [Theory]
    [InlineData(null, 0, false)]
    [InlineData(null, 1, false)]
    [InlineData(null, 2, true)]
    [InlineData("3-a", 2, false)]
    public async Task A_package_only_a_client_asked_for_is_dropped_at_the_third_failure(string? wanted, int attempts, bool isDropped)
    {
        var lease = await TakeAsync(QueuePriority.ReadThrough, wanted, attempts, TimeSpan.Zero);
        Assert.Equal(isDropped, (await _return.PostponeAsync(lease, Failure(isTransient: true), Token)).IsDone);
        Assert.Equal(isDropped, await _store.Queue.FindQueuedAsync(Name, Token) is null);
        Assert.Empty(await GivenUpPackages.ReadAsync(_store, Token));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(5, 32)]
    public async Task Each_failure_doubles_the_pause_and_the_upstreams_word_is_kept(int attempts, int seconds)
    {
        var lease = await TakeAsync(QueuePriority.Change, "3-a", attempts, TimeSpan.Zero);
        await _return.PostponeAsync(lease, Failure(isTransient: true), Token);
        var due = (await _store.Queue.FindQueuedAsync(Name, Token))!.DueAt - _clock.GetUtcNow();
        Assert.InRange(due.TotalSeconds, seconds / 2.0, 2.0 * seconds);

        Assert.Empty(await _store.Queue.TakeAsync(1, TimeSpan.FromMinutes(1), Token));
        _clock.Advance(due);
        var again = (await _store.Queue.TakeAsync(1, TimeSpan.FromMinutes(1), Token)).Single();
        await _return.PostponeAsync(again, new MirrorException(MirrorFault.UpstreamBusy, "Busy.", isTransient: true, retryAfter: TimeSpan.FromSeconds(50)), Token);
        Assert.True((await _store.Queue.FindQueuedAsync(Name, Token))!.DueAt - _clock.GetUtcNow() >= TimeSpan.FromSeconds(50));
        Assert.Equal("Busy.", (await _store.Queue.FindQueuedAsync(Name, Token))!.LastError);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(3, 8)]
    public async Task A_package_to_be_retried_waits_with_its_findings(int attempts, int seconds)
    {
        var lease = await TakeAsync(QueuePriority.Change, "3-a", attempts, TimeSpan.Zero);
        var missingSince = _clock.GetUtcNow() - TimeSpan.FromMinutes(1);
        await _return.GiveBackAsync(lease, new SyncResult.Absent(404, null) { RetryBecause = "the feed is ahead", MissingSince = missingSince });
        var item = (await _store.Queue.FindQueuedAsync(Name, Token))!;
        Assert.Equal((1, "the feed is ahead", missingSince), (item.Attempts, item.LastError, item.MissingSince));
        Assert.InRange((item.DueAt - _clock.GetUtcNow()).TotalSeconds, seconds / 2.0, 2.0 * seconds);
        Assert.Empty(await GivenUpPackages.ReadAsync(_store, Token));
    }

    [Theory]
    [InlineData("3-a", "2-b", 4)]
    [InlineData("3-a", "3-a", 0)]
    [InlineData("3-a", "4-c", 0)]
    [InlineData("3-a", null, 0)]
    [InlineData(null, "2-b", 0)]
    public async Task A_revision_that_never_came_is_told_as_given_up(string? wanted, string? rev, int attempts)
    {
        var lease = await TakeAsync(QueuePriority.Change, wanted, 3, TimeSpan.FromDays(2));
        await _return.GiveBackAsync(lease, new SyncResult.Unchanged(Row(rev, null)));
        Assert.Null(await _store.Queue.FindQueuedAsync(Name, Token));
        var givenUp = (await GivenUpPackages.ReadAsync(_store, Token)).SingleOrDefault();
        Assert.Equal(attempts, givenUp?.Attempts ?? 0);
        if (givenUp is not null)
        {
            Assert.Contains("spoke of rev 3-a, and a day later the upstream still sends 2-b", givenUp.Reason, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("3-a", false)]
    [InlineData("4-b", true)]
    public async Task Given_up_it_stays_queued_only_for_a_revision_named_meanwhile(string named, bool isQueued)
    {
        var lease = await TakeAsync(QueuePriority.Change, "3-a", 1000, TimeSpan.FromDays(3));
        var now = _clock.GetUtcNow();
        await _store.Queue.EnqueueAsync([new QueueItem { Name = Name, Priority = QueuePriority.Change, DueAt = now, QueuedAt = now, WantedRev = named }], null, Token);
        Assert.True((await _return.PostponeAsync(lease, Failure(isTransient: false), Token)).IsDone);
        Assert.Equal(isQueued, await _store.Queue.FindQueuedAsync(Name, Token) is not null);
    }

    [Fact]
    public async Task A_failure_between_two_404s_does_not_begin_their_ten_minutes_anew()
    {
        var lease = await TakeAsync(QueuePriority.Change, "3-a", 0, TimeSpan.Zero);
        var missingSince = _clock.GetUtcNow() - TimeSpan.FromMinutes(5);
        await _return.PostponeAsync(lease with { Item = lease.Item with { MissingSince = missingSince } }, Failure(isTransient: true), Token);
        Assert.Equal(missingSince, (await _store.Queue.FindQueuedAsync(Name, Token))!.MissingSince);
    }

    [Fact]
    public async Task A_package_of_the_graveyard_waits_for_no_revision()
    {
        await _return.GiveBackAsync(await TakeAsync(QueuePriority.Change, "3-a", 3, TimeSpan.FromDays(2)), new SyncResult.Unchanged(Row("2-b", null)));
        Assert.Single(await GivenUpPackages.ReadAsync(_store, Token));
        await _return.GiveBackAsync(await TakeAsync(QueuePriority.Change, "3-a", 3, TimeSpan.FromDays(2)), new SyncResult.Unchanged(Row("2-b", RemovalKind.Gone)));
        Assert.Empty(await GivenUpPackages.ReadAsync(_store, Token));
    }

    private PackageRow Row(string? rev, RemovalKind? removal) => new()
    {
        Name = Name,
        Generation = 1,
        Facts = new PackageFacts { Rev = rev, Removal = removal, FirstSeenAt = _clock.GetUtcNow(), StoredAt = _clock.GetUtcNow() },
        LastPosition = LogPosition.Zero,
        Index = default,
        DocumentSha256 = default,
        RawSizeBytes = 0,
    };

    private static MirrorException Failure(bool isTransient) => new(MirrorFault.UpstreamMalformed, "No.", isTransient);

    private async Task<QueueLease> TakeAsync(QueuePriority priority, string? wanted, int attempts, TimeSpan age)
    {
        var now = _clock.GetUtcNow();
        await _store.Queue.EnqueueAsync([new QueueItem { Name = Name, Priority = priority, DueAt = now, QueuedAt = now, WantedRev = wanted }], null, Token);
        var lease = (await _store.Queue.TakeAsync(1, TimeSpan.FromMinutes(1), Token)).Single();
        return lease with { Item = lease.Item with { Attempts = attempts, QueuedAt = now - age } };
    }
}
