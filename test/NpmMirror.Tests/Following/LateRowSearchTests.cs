using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;

namespace NpmMirror.Tests.Following;

/// <summary>A row counts as handled only after its handler has it: one that could not be queued is handed over again.</summary>
public sealed class LateRowSearchTests
{
    private static readonly ChangeRow Late = new(new Sequence("105"), "late", "2-b", false);

    private readonly FakeClock _clock = new();
    private readonly Feed _feed = new();
    private readonly FailingHandler _handler = new();
    private readonly List<MonitorEvent> _told = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A late row, or a row after a reset, that could not be queued is handed over again",
        With = [nameof(A_row_that_could_not_be_queued_after_a_reset_is_handed_over_again)],
        Red = "`LateRowSearch` writes the receipts first, in `HandleAsync` or in `BeginAnewAsync`")]
    [Fact]
    public async Task A_late_row_that_could_not_be_queued_is_handed_over_again()
    {
        var search = Search();
        await search.NoteAsync(new ChangesPage([Row(100, "a")], new Sequence("100"), IsAtHead: true), Token);
        _clock.Advance(TimeSpan.FromMinutes(20));
        await search.NoteAsync(new ChangesPage([Row(110, "b")], new Sequence("110"), IsAtHead: true), Token);

        _handler.FailuresLeft = 1;
        await search.LookAsync(new Sequence("110"), Token);
        Assert.Empty(_handler.Handled);
        Assert.Single(_told.OfType<MonitorEvent.Failed>());
        // Trouble is not asked again at once.
        await search.LookAsync(new Sequence("110"), Token);
        Assert.Equal(1, _feed.Reads);

        _clock.Advance(TimeSpan.FromHours(1));
        await search.LookAsync(new Sequence("110"), Token);
        Assert.Equal([Late], _handler.Handled);

        // And then it is known.
        _clock.Advance(TimeSpan.FromHours(1));
        await search.LookAsync(new Sequence("110"), Token);
        Assert.Single(_handler.Handled);
    }

    [Fact]
    public async Task A_row_that_could_not_be_queued_after_a_reset_is_handed_over_again()
    {
        var search = Search();
        var newest = new ChangesPage([Row(3, "a"), Row(4, "b")], new Sequence("4"), IsAtHead: false);
        await search.NoteAsync(new ChangesPage([Row(100, "a")], new Sequence("100"), IsAtHead: true), Token);
        _handler.FailuresLeft = 1;
        await Assert.ThrowsAsync<MirrorException>(() => search.BeginAnewAsync(newest, Token));
        await search.BeginAnewAsync(newest, Token);
        await search.BeginAnewAsync(newest, Token);
        Assert.Equal(["b"], _handler.Handled.Select(row => row.Id));
    }

    [Fact]
    public async Task A_stretch_that_is_not_due_is_not_read()
    {
        var search = Search();
        await search.NoteAsync(new ChangesPage([Row(100, "a")], new Sequence("100"), IsAtHead: true), Token);
        await search.NoteAsync(new ChangesPage([Row(110, "b")], new Sequence("110"), IsAtHead: true), Token);
        await search.LookAsync(new Sequence("110"), Token);
        Assert.Equal(0, _feed.Reads);

        _clock.Advance(TimeSpan.FromMinutes(20));
        await search.LookAsync(new Sequence("110"), Token);
        await search.LookAsync(new Sequence("110"), Token);
        Assert.Equal(1, _feed.Reads);
        Assert.Equal(new Sequence("100"), Assert.Single(_told.OfType<MonitorEvent.Polled>()).Since);
    }

    [Fact]
    public async Task A_feed_that_ends_earlier_is_read_once_a_window()
    {
        var search = Search();
        await search.NoteAsync(new ChangesPage([Row(100, "a")], new Sequence("100"), IsAtHead: true), Token);
        _clock.Advance(TimeSpan.FromMinutes(20));
        await search.NoteAsync(new ChangesPage([Row(120, "b")], new Sequence("120"), IsAtHead: true), Token);
        await search.LookAsync(new Sequence("120"), Token);
        Assert.Equal(1, _feed.Reads);
    }

    [Claim("The lag in seconds is the time since the follower last stood at the feed's head",
        Red = "`LateRowSearch.MeasureLag` records nothing")]
    [Fact]
    public async Task The_lag_grows_from_the_last_time_at_the_head()
    {
        using var meter = new Meter("lag");
        var seconds = new List<double>();
        using var listener = new MeterListener { InstrumentPublished = (instrument, it) =>
        {
            if (instrument.Meter == meter && instrument.Name == "npm_mirror.feed.lag")
            {
                it.EnableMeasurementEvents(instrument);
            }
        } };
        listener.SetMeasurementEventCallback<double>((_, measured, _, _) => seconds.Add(measured));
        listener.Start();

        var search = Search(meter);
        search.MeasureLag();
        await search.NoteAsync(new ChangesPage([Row(100, "a")], new Sequence("100"), IsAtHead: true), Token);
        _clock.Advance(TimeSpan.FromSeconds(90));
        search.MeasureLag();
        await search.NoteAsync(new ChangesPage([Row(105, "b")], new Sequence("105"), IsAtHead: false), Token);
        await search.NoteAsync(new ChangesPage([Row(110, "c")], new Sequence("110"), IsAtHead: true), Token);
        Assert.Equal([0, 90, 90, 0], seconds);
    }

    private static ChangeRow Row(long sequence, string id) => new(new Sequence($"{sequence}"), id, "1-a", false);

    private LateRowSearch Search(Meter? meter = null) => new(_feed, _handler, TrailingWindow.Usual, (told, _) =>
    {
        _told.Add(told);
        return ValueTask.CompletedTask;
    }, new FollowingMetrics(meter ?? NpmMirror.Diagnostics.Telemetry.Unread), _clock, NullLogger.Instance) { KeepsReceipts = true };

    /// <summary>A handler whose queue cannot be written for a while.</summary>
    private sealed class FailingHandler : IChangeHandler
    {
        internal int FailuresLeft { get; set; }

        internal List<ChangeRow> Handled { get; } = [];

        public Task HandleAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken) => throw new InvalidOperationException();

        public Task<IReadOnlyList<ChangeRow>> HandleAgainAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
        {
            if (FailuresLeft-- > 0)
            {
                throw new MirrorException(MirrorFault.StoreReadOnly, "The disk is full.", isTransient: true);
            }

            Handled.AddRange(page.Rows);
            return Task.FromResult(page.Rows);
        }

        public ValueTask<string?> ReadTrailAsync(CancellationToken cancellationToken) => ValueTask.FromResult<string?>(null);

        public ValueTask KeepTrailAsync(string trail, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }

    /// <summary>A feed that has one row after 100 which was not there before.</summary>
    private sealed class Feed : IChangeFeed
    {
        internal int Reads { get; private set; }

        public string Location => "feed";

        public TimeSpan IdleDelay => TimeSpan.FromMinutes(1);

        public long LateSequences => 1000;

        public Task<FeedInfo> GetInfoAsync(CancellationToken cancellationToken) => Task.FromResult(new FeedInfo(new Sequence("110"), null, null));

        public async IAsyncEnumerable<ChangesPage> ReadAsync(Sequence since, Action? onAccepted, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.CompletedTask;
            Reads++;
            yield return new ChangesPage([.. new[] { Late, Row(110, "b") }.Where(row => row.Sequence.Number > since.Number)], new Sequence("110"), IsAtHead: true);
        }

        public IAsyncEnumerable<ListedPackage> ListAllAsync(CancellationToken cancellationToken) => AsyncEnumerable.Empty<ListedPackage>();
    }
}
