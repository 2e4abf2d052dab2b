using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Reconciling;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Reconciling;

public sealed class ReconciliationScheduleTests : IAsyncDisposable
{
    private static readonly TimeSpan Week = TimeSpan.FromDays(7);

    private readonly FakeClock _clock = new();
    private readonly MemoryStore _store;
    private int _count;

    public ReconciliationScheduleTests() => _store = new MemoryStore(_clock);

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task Reconciles_every_week_also_when_it_is_started_every_day()
    {
        for (var day = 0; day < 22; day++)
        {
            await RunAsync([TimeSpan.FromDays(1)]);
        }

        Assert.Equal(3, _count);
    }

    [Fact]
    public async Task One_that_fails_is_tried_again_soon()
    {
        await RunAsync([Week], failures: 1);
        Assert.Equal(0, _count);
        await RunAsync([]);
        Assert.Equal(1, _count);
        await RunAsync([Week, TimeSpan.FromMinutes(5)], failures: 1);
        Assert.Equal(2, _count);
    }

    [Fact]
    public async Task A_time_noted_by_a_fast_clock_is_due_an_interval_after_its_correction()
    {
        _clock.SetWallAhead(TimeSpan.FromDays(400));
        await Schedule(Week).NoteNextAsync(TestContext.Current.CancellationToken);
        _clock.SetWallAhead(TimeSpan.Zero);
        for (var day = 0; day < 8; day++)
        {
            await RunAsync([TimeSpan.FromDays(1)]);
        }

        Assert.Equal(1, _count);
    }

    [Fact]
    public async Task Zero_is_never()
    {
        await Schedule(TimeSpan.Zero).RunAsync(_ => throw new InvalidOperationException(), TestContext.Current.CancellationToken);
        Assert.Equal(0, _clock.Waiting);
    }

    private ReconciliationSchedule Schedule(TimeSpan interval) => new(_store, interval, _clock, NullLogger.Instance);

    // One life of a mirror: reconciliations due at its start, then those in between, until it waits again.
    private async Task RunAsync(TimeSpan[] steps, int failures = 0)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var schedule = Schedule(Week);
        var running = schedule.RunAsync(
            async token =>
            {
                if (failures-- > 0)
                {
                    throw new MirrorException(MirrorFault.UpstreamUnavailable, "away", isTransient: true);
                }

                _count++;
                await schedule.NoteNextAsync(token);
            },
            ending.Token);
        await Eventually.Async(() => _clock.Waiting == 1);
        foreach (var step in steps)
        {
            _clock.Advance(step);
            await Eventually.Async(() => _clock.Waiting == 1);
        }

        await ending.CancelAsync();
        await running;
    }
}
