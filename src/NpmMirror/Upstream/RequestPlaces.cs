namespace NpmMirror.Upstream;

/// <summary>
/// The places for concurrent requests without a waiting client. A slow one gives its place to the next and goes on beside: ten packages that hang
/// must not stop the ten thousand after them. The slow requests are bounded too, and each by its own time-outs.
/// </summary>
internal sealed class RequestPlaces(int placesMax, TimeProvider time) : IDisposable
{
    /// <summary>From when on a request counts as slow.</summary>
    internal static readonly TimeSpan SlowAfter = TimeSpan.FromSeconds(5);

    /// <summary>How many slow ones a place has beside it.</summary>
    internal const int SlowPerPlace = 3;

    private readonly SemaphoreSlim _places = new(placesMax);
    private readonly SemaphoreSlim _open = new(placesMax * (1 + SlowPerPlace));

    /// <summary>Waits for a place; disposing gives it back.</summary>
    internal async ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken)
    {
        await _open.WaitAsync(cancellationToken);
        try
        {
            await _places.WaitAsync(cancellationToken);
            return new Place(this, time);
        }
        catch
        {
            _open.Release();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _places.Dispose();
        _open.Dispose();
    }

    private sealed class Place : IDisposable
    {
        private readonly RequestPlaces _all;
        private readonly ITimer _slow;
        private int _hasGivenUp;
        private int _hasLeft;

        internal Place(RequestPlaces all, TimeProvider time)
        {
            _all = all;
            _slow = time.CreateTimer(static place => ((Place)place!).GiveUpAsSlow(), this, SlowAfter, Timeout.InfiniteTimeSpan);
        }

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _hasLeft, 1) == 0)
            {
                _slow.Dispose();
                GiveUp();
                _all._open.Release();
            }
        }

        private void GiveUpAsSlow()
        {
            try
            {
                GiveUp();
            }
            catch (ObjectDisposedException)
            {
                // The process is ending; a timer must not end it otherwise.
            }
        }

        private void GiveUp()
        {
            if (Interlocked.Exchange(ref _hasGivenUp, 1) == 0)
            {
                _all._places.Release();
            }
        }
    }
}
