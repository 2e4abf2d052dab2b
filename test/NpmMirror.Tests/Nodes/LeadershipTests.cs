using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Following;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Nodes;

/// <summary>Which of several nodes on one store leads.</summary>
public sealed class LeadershipTests : IAsyncDisposable
{
    private static readonly TimeSpan HandOverMax = TimeSpan.FromSeconds(10);

    private readonly FakeClock _clock = new();
    private readonly MemoryStore _store;
    private readonly List<Node> _nodes = [];

    public LeadershipTests() => _store = new MemoryStore(_clock);

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.Ends.CancelAsync();
            _clock.Advance(Leadership.Beat);
            await node.Running;
            node.Ends.Dispose();
        }

        await _store.DisposeAsync();
    }

    [Claim("Of several nodes on one store one leads; another takes over within 10 s after the leader ends, dies, or loses the store, and never before the leader has stopped",
        With = [nameof(The_next_one_leads_soon_after_the_leader_ends), nameof(A_leader_that_cannot_renew_stops_before_another_leads), nameof(Work_ends_when_another_has_the_lease), $"{nameof(NodesTests)}.{nameof(NodesTests.Another_node_follows_after_the_leader_was_killed)}"],
        Red = "the lease is not renewed: the first was red; `Leadership` does not end the work before the lease: the third; it believes a lease that another has: the fourth")]
    [Fact]
    public async Task One_leads_and_goes_on_leading()
    {
        var (first, second) = (Start(), Start());
        await UntilAsync(() => first.IsLeading || second.IsLeading);
        var leader = first.IsLeading ? first : second;
        for (var seconds = 0; seconds < 60; seconds++)
        {
            await AdvanceAsync(TimeSpan.FromSeconds(1));
            Assert.NotEqual(first.IsLeading, second.IsLeading);
        }

        Assert.True(leader.IsLeading);
        Assert.Equal(1, leader.Terms);
    }

    [Fact]
    public async Task The_next_one_leads_soon_after_the_leader_ends()
    {
        var first = Start();
        await UntilAsync(() => first.IsLeading);
        var second = Start();
        await first.Ends.CancelAsync();
        Assert.InRange(await UntilAsync(() => second.IsLeading), TimeSpan.Zero, Leadership.Beat * 2);
        Assert.False(first.IsLeading);
    }

    [Fact]
    public async Task A_leader_that_cannot_renew_stops_before_another_leads()
    {
        var first = Start();
        await UntilAsync(() => first.IsLeading);
        var second = Start();
        first.IsCutOff = true;
        Assert.InRange(await UntilAsync(() => second.IsLeading, () => Assert.False(first.IsLeading && second.IsLeading)), TimeSpan.Zero, HandOverMax);
        Assert.False(first.IsLeading);

        // When it reaches the store again it stands by.
        first.IsCutOff = false;
        await AdvanceAsync(Leadership.Duration * 2);
        Assert.True(second.IsLeading);
        Assert.False(first.IsLeading);
    }

    [Fact]
    public async Task Work_ends_when_another_has_the_lease()
    {
        var first = Start();
        await UntilAsync(() => first.IsLeading);
        first.IsRobbed = true;
        Assert.InRange(await UntilAsync(() => !first.IsLeading), TimeSpan.Zero, Leadership.Beat * 2);
    }

    [Claim("A node that stands by knows whether the leader follows the feed, whatever the nodes' clocks say, and then compares nothing by age",
        Red = "`Leadership.HearAsync` takes any note for a beat: the last look was red")]
    [Fact]
    public async Task Those_that_stand_by_know_whether_the_leader_follows()
    {
        var first = Start();
        await UntilAsync(() => first.IsLeading);
        var second = Start();
        await AdvanceAsync(TimeSpan.FromSeconds(10));
        Assert.False(second.Leadership.IsFollowedByAnother);
        first.IsFollowing = true;
        await UntilAsync(() => second.Leadership.IsFollowedByAnother);
        Assert.False(first.Leadership.IsFollowedByAnother);
        first.IsFollowing = false;
        await AdvanceAsync(TimeSpan.FromSeconds(10));
        Assert.False(second.Leadership.IsFollowedByAnother);
    }

    private Node Start()
    {
        var node = new Node(_store, _clock);
        _nodes.Add(node);
        return node;
    }

    /// <summary>How long it took by the clock of the test.</summary>
    private async Task<TimeSpan> UntilAsync(Func<bool> condition, Action? look = null)
    {
        var from = _clock.GetTimestamp();
        await Eventually.Async(async () =>
        {
            look?.Invoke();
            if (!condition())
            {
                await AdvanceAsync(TimeSpan.FromMilliseconds(100));
            }

            return condition();
        });
        return _clock.GetElapsedTime(from);
    }

    /// <summary>Moves the clock in small steps, so that work which a step begins is done by the next.</summary>
    private async Task AdvanceAsync(TimeSpan time)
    {
        for (var step = TimeSpan.FromMilliseconds(100); time > TimeSpan.Zero; time -= step)
        {
            _clock.Advance(step);
            // What the step began is done when as many wait for the clock as are to.
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>One node, its work, and its way to the store.</summary>
    private sealed class Node
    {
        internal Node(IMetadataStore store, FakeClock clock)
        {
            var cut = InterceptedStore.Over(store, Handle);
            Leadership = new Leadership(cut.Leases, cut.Notes, "a node", () => IsFollowing, clock, NullLogger.Instance);
            Running = Leadership.RunAsync(LeadAsync, Ends.Token);
        }

        internal Leadership Leadership { get; }

        internal CancellationTokenSource Ends { get; } = new();

        internal Task Running { get; }

        internal bool IsLeading { get; private set; }

        internal int Terms { get; private set; }

        internal bool IsFollowing { get; set; }

        internal bool IsCutOff { get; set; }

        internal bool IsRobbed { get; set; }

        private object? Handle(StoreCall call)
        {
            if (IsCutOff)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, "The store is away.", isTransient: true);
            }

            return IsRobbed && call.Method == nameof(ILeaseTable.TryHoldLeaseAsync) ? new ValueTask<bool>(false) : call.Make();
        }

        private async Task LeadAsync(CancellationToken cancellationToken)
        {
            Terms++;
            IsLeading = true;
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            IsLeading = false;
        }
    }
}
