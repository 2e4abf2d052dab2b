using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

public sealed class RequestPlacesTests
{
    private readonly FakeClock _clock = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A slow request gives its place to the next, within a limit, and one that gets a waiting client waits in no queue",
        With =
        [
            nameof(The_slow_ones_beside_are_bounded_and_every_place_comes_back),
            nameof(One_that_leaves_the_line_takes_no_place),
            $"{nameof(RegistryClientTests)}.{nameof(RegistryClientTests.Fetches_no_more_packuments_at_once_than_allowed)}",
            $"{nameof(RegistryClientTests)}.{nameof(RegistryClientTests.A_request_that_gets_a_waiting_client_leaves_the_queue)}",
        ],
        Red = "`RequestPlaces` takes no place back from a slow one: the first two were red; it has no bound on the slow ones: the second; one that leaves the line keeps its slot: the third; it has places without end: the first and the last; `Patience.End` does nothing: the last")]
    [Fact]
    public async Task One_that_is_slow_gives_its_place_to_the_next()
    {
        using var places = new RequestPlaces(2, _clock);
        using var one = await places.EnterAsync(Token);
        using var two = await places.EnterAsync(Token);
        var next = places.EnterAsync(Token).AsTask();
        _clock.Advance(RequestPlaces.SlowAfter / 2);
        Assert.False(next.IsCompleted);
        _clock.Advance(RequestPlaces.SlowAfter / 2);
        (await next.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Token)).Dispose();
    }

    [Fact]
    public async Task The_slow_ones_beside_are_bounded_and_every_place_comes_back()
    {
        const int Places = 3;
        using var places = new RequestPlaces(Places, _clock);
        for (var round = 0; round < 3; round++)
        {
            var entering = Enumerable.Range(0, 50).Select(_ => places.EnterAsync(Token).AsTask()).ToList();
            for (var i = 0; i < 10; i++)
            {
                _clock.Advance(RequestPlaces.SlowAfter);
                await Eventually.Async(() => entering.Count(one => one.IsCompleted) >= Math.Min(Places * (i + 2), Places * (1 + RequestPlaces.SlowPerPlace)));
            }

            Assert.Equal(Places * (1 + RequestPlaces.SlowPerPlace), entering.Count(one => one.IsCompleted));
            // One that leaves lets one in: the others of the line do not come by time alone.
            (await entering.First(one => one.IsCompleted)).Dispose();
            await Eventually.Async(() => entering.Count(one => one.IsCompleted) == (Places * (1 + RequestPlaces.SlowPerPlace)) + 1);
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
            deadline.CancelAfter(TimeSpan.FromSeconds(30));
            await foreach (var one in Task.WhenEach(entering).WithCancellation(deadline.Token))
            {
                var place = await one;
                place.Dispose();
                place.Dispose();
            }
        }
    }

    [Fact]
    public async Task One_that_leaves_the_line_takes_no_place()
    {
        using var places = new RequestPlaces(1, _clock);
        var one = await places.EnterAsync(Token);
        for (var i = 0; i < 10; i++)
        {
            using var leaving = new CancellationTokenSource();
            var waiting = places.EnterAsync(leaving.Token).AsTask();
            await leaving.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }

        one.Dispose();
        for (var i = 0; i < 1 + RequestPlaces.SlowPerPlace; i++)
        {
            await places.EnterAsync(Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Token);
            _clock.Advance(RequestPlaces.SlowAfter);
        }
    }
}
