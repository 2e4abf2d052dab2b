using NpmMirror.Storage;
using NpmMirror.Syncing;

namespace NpmMirror.Tests.Syncing;

public sealed class LeaseRenewalTests : IAsyncDisposable
{
    private static readonly PackageName Name = PackageName.Parse("left-pad");
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    private readonly FakeClock _clock = new();
    private readonly MemoryStore _store;

    public LeaseRenewalTests() => _store = new MemoryStore(_clock);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Claim("A package that is worked on for long stays its worker's; what a worker leaves comes back",
        With = [nameof(Is_taken_by_another_after_the_renewal_ends), nameof(Renews_nothing_that_another_has)],
        Red = "`LeaseRenewal` makes no timer, and the first was red; it does not dispose of its timer: the second")]
    [Fact]
    public async Task Stays_with_its_worker_while_it_is_renewed()
    {
        await using var renewal = new LeaseRenewal(_store.Queue, await TakeAsync(), _clock);
        for (var second = 0; second < 60; second++)
        {
            _clock.Advance(Step);
            Assert.Null(await _store.Queue.TakeAsync(Name, LeaseRenewal.LeaseDuration, Token));
        }
    }

    [Fact]
    public async Task Is_taken_by_another_after_the_renewal_ends()
    {
        await new LeaseRenewal(_store.Queue, await TakeAsync(), _clock).DisposeAsync();
        for (var second = 0; second < LeaseRenewal.LeaseDuration.TotalSeconds; second++)
        {
            Assert.Null(await _store.Queue.TakeAsync(Name, LeaseRenewal.LeaseDuration, Token));
            _clock.Advance(Step);
        }

        Assert.NotNull(await _store.Queue.TakeAsync(Name, LeaseRenewal.LeaseDuration, Token));
    }

    [Fact]
    public async Task Renews_nothing_that_another_has()
    {
        var lost = await TakeAsync();
        _clock.Advance(LeaseRenewal.LeaseDuration);
        Assert.NotNull(await _store.Queue.TakeAsync(Name, LeaseRenewal.LeaseDuration, Token));
        await using var renewal = new LeaseRenewal(_store.Queue, lost, _clock);
        for (var second = 0; second < LeaseRenewal.LeaseDuration.TotalSeconds; second++)
        {
            _clock.Advance(Step);
        }

        Assert.NotNull(await _store.Queue.TakeAsync(Name, LeaseRenewal.LeaseDuration, Token));
    }

    private async Task<QueueLease> TakeAsync()
    {
        var now = _clock.GetUtcNow();
        await _store.Queue.EnqueueAsync([new QueueItem { Name = Name, Priority = QueuePriority.Change, DueAt = now, QueuedAt = now }], null, Token);
        return (await _store.Queue.TakeAsync(Name, LeaseRenewal.LeaseDuration, Token))!;
    }
}
