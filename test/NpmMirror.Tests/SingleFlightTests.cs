namespace NpmMirror.Tests;

public sealed class SingleFlightTests
{
    private readonly TaskCompletionSource<int> _work = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _runs;

    [Claim("Work that several tasks wait for is done once, belongs to none of them, tells its failure to all, and has a limit",
        With =
        [
            nameof(One_that_leaves_does_not_end_the_run),
            nameof(A_failure_is_told_to_all_and_the_next_begins_anew),
            nameof(At_its_limit_nothing_begins_and_a_running_flight_is_joined),
        ])]
    [Fact]
    public async Task One_run_serves_all_calls_meanwhile()
    {
        var flights = Flights();
        var first = flights.Join("a", WorkAsync);
        Assert.All(Enumerable.Range(0, 100), _ => Assert.Same(first, flights.Join("a", WorkAsync)));
        Assert.Same(first, flights.Find("a"));
        var other = flights.Join("b", WorkAsync);
        Assert.NotSame(first, other);
        _work.SetResult(1);
        Assert.Equal(1, await first.Result);
        Assert.Equal(1, await other.Result);
        // It is over before its result is told.
        Assert.Null(flights.Find("a"));
        Assert.Equal(2, _runs);
    }

    [Fact]
    public async Task One_that_leaves_does_not_end_the_run()
    {
        var flights = Flights();
        using var leaving = new CancellationTokenSource();
        var left = flights.Join("a", WorkAsync).Result.WaitAsync(leaving.Token);
        var stays = flights.Join("a", WorkAsync).Result;
        await leaving.CancelAsync();
        await Assert.ThrowsAsync<TaskCanceledException>(() => left);
        _work.SetResult(1);
        Assert.Equal(1, await stays);
        Assert.Equal(1, _runs);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_failure_is_told_to_all_and_the_next_begins_anew(bool isAtOnce)
    {
        var flights = Flights();
        var asked = Enumerable.Range(0, 3).Select(_ => flights.Join("a", isAtOnce ? () => throw new MirrorException(MirrorFault.TooLarge, "x") : WorkAsync).Result).ToArray();
        if (!isAtOnce)
        {
            _work.SetException(new MirrorException(MirrorFault.TooLarge, "x"));
        }

        foreach (var one in asked)
        {
            Assert.Equal(MirrorFault.TooLarge, (await Assert.ThrowsAsync<MirrorException>(() => one)).Fault);
        }

        Assert.Equal(5, await flights.Join("a", () => Task.FromResult(5)).Result);
    }

    [Fact]
    public async Task At_its_limit_nothing_begins_and_a_running_flight_is_joined()
    {
        var flights = Flights(max: 2);
        var first = flights.Join("a", WorkAsync);
        flights.Join("b", WorkAsync);
        Assert.Null(flights.TryJoin("c", WorkAsync));
        Assert.True(Assert.Throws<MirrorException>(() => flights.Join("c", WorkAsync)).IsTransient);
        Assert.Same(first, flights.TryJoin("a", WorkAsync));
        _work.SetResult(1);
        await first.Result;
        Assert.NotNull(flights.TryJoin("c", WorkAsync));
    }

    private static SingleFlight<string, int> Flights(int max = 10) => new("test", max, TimeProvider.System, null);

    private Task<int> WorkAsync()
    {
        Interlocked.Increment(ref _runs);
        return _work.Task;
    }
}
