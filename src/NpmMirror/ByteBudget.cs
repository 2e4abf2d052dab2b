namespace NpmMirror;

/// <summary>A use of the memory of a <see cref="ByteBudget"/>.</summary>
internal enum BudgetUse
{
    /// <summary>Rendering or searching for a client that waits.</summary>
    Serving,

    /// <summary>A body that is passed on between client and upstream, and held while either of them is waited for.</summary>
    Forwarding,

    /// <summary>A whole document of the upstream, to be compared and stored.</summary>
    Storing,
}

/// <summary>
/// The bytes of bodies that may be in memory at once, shared by everything that fetches or serves, so that ten documents of 51 MB queue instead of
/// adding up.
/// </summary>
/// <remarks>
/// Four shares, so that one kind of work does not stop another:
/// <list type="number">
/// <item>Arriving, a quarter: bodies that are being received. It is taken piece by piece as bytes come, and never waited for: bytes that do not fit go to a file
/// (<see cref="BodyIntake"/>). So a peer that announces much, or sends slowly, delays no other work. Long bodies together take half of it, the short ones always
/// find the other half.</item>
/// <item>Storing, half: whole documents.</item>
/// <item>Serving, a quarter, and all that the others leave free.</item>
/// <item>Forwarding, an eighth: only forwarding waits for it.</item>
/// </list>
/// There is no deadlock. Work that waits in the queue of 2 or 3 holds nothing of 2 or 3. Work that holds something of them waits for processor and disk only, never
/// for a peer. The one exception is work that holds a document and needs another one beside it: it takes the overdraft, which one at a time may hold.
/// The bound: the limit, plus in each of 2, 3 and 4 one document larger than its share, plus the overdraft of one piece of work.
/// </remarks>
internal sealed class ByteBudget : IDisposable
{
    /// <summary>How many requests may pass one that waits for more room than is free. After that, released memory is kept for it.</summary>
    private const int PassesMax = 64;

    // A return must not walk over a queue of thousands.
    private const int LookedAtMax = 64;

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _overdraft = new(1, 1);
    private readonly long _limitBytes;
    private readonly Share _arriving;
    private readonly Share _storing;
    private readonly Share _serving;
    private readonly Share _forwarding;
    private long _usedBytes;

    /// <summary>Creates a budget.</summary>
    /// <param name="limitBytes">The limit.</param>
    /// <param name="spillFolder">Where bodies go that have no room while they arrive; null: the system's folder for temporary files.</param>
    public ByteBudget(long limitBytes, string? spillFolder = null)
    {
        _limitBytes = limitBytes;
        _arriving = new Share(limitBytes / 4);
        _storing = new Share(limitBytes / 2);
        _serving = new Share(limitBytes / 4) { TakesWhatIsFree = true };
        _forwarding = new Share(limitBytes / 8);
        SpillFolder = spillFolder;
    }

    /// <summary>Bytes reserved now.</summary>
    public long UsedBytes
    {
        get
        {
            lock (_lock)
            {
                return _usedBytes;
            }
        }
    }

    /// <summary>How many wait for room.</summary>
    public int WaitingCount
    {
        get
        {
            lock (_lock)
            {
                return _storing.Line.Count + _serving.Line.Count + _forwarding.Line.Count;
            }
        }
    }

    /// <summary>Where bodies go that have no room while they arrive; null: the system's folder for temporary files.</summary>
    internal string? SpillFolder { get; }

    /// <summary>The most that one body takes while it arrives.</summary>
    internal int ArrivingMaxBytes => (int)Math.Clamp(_limitBytes / 16, 1, 16 * 1024 * 1024);

    /// <summary>A body that is longer than this grows in memory only while half of the arriving share is free: a few long ones that come slowly leave room for the many short ones.</summary>
    private int ShortBytes => (int)Math.Clamp(_limitBytes / 32, 1, 1024 * 1024);

    /// <summary>Waits until <paramref name="bytes"/> fit, for serving; see the other one.</summary>
    public ValueTask<Lease> ReserveAsync(long bytes, CancellationToken cancellationToken) => ReserveAsync(bytes, BudgetUse.Serving, cancellationToken);

    /// <summary>
    /// Waits until <paramref name="bytes"/> fit. First come, first served, but a small request may pass a large one that has to wait, some dozens of times; a request
    /// larger than its share waits until it is alone there. The holder of the lease must not wait for a peer, except when forwarding.
    /// </summary>
    public async ValueTask<Lease> ReserveAsync(long bytes, BudgetUse use, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        var share = use switch
        {
            BudgetUse.Storing => _storing,
            BudgetUse.Forwarding => _forwarding,
            _ => _serving,
        };
        LinkedListNode<Waiter>? place = null;
        lock (_lock)
        {
            if (share.Line.Count == 0 && (share.UsedBytes == 0 || Fits(share, bytes)))
            {
                Take(share, bytes);
            }
            else
            {
                place = share.Line.AddLast(new Waiter(bytes));
                Grant(share);
            }
        }

        if (place is not null)
        {
            await WaitAsync(share, place, cancellationToken);
        }

        return new Lease(this, share, bytes);
    }

    /// <summary>Room for the first bytes of a body that is arriving; null when there is none.</summary>
    internal Lease? TryReserveArriving(long bytes) => TryTake(_arriving, bytes) ? new Lease(this, _arriving, bytes) : null;

    /// <inheritdoc/>
    public void Dispose() => _overdraft.Dispose();

    private bool Fits(Share share, long bytes)
    {
        var isWithinShare = share.UsedBytes + bytes <= share.LimitBytes;
        var isWithinLimit = _usedBytes + bytes <= _limitBytes;
        return share.TakesWhatIsFree ? isWithinShare || isWithinLimit : isWithinShare && isWithinLimit;
    }

    private void Take(Share share, long bytes)
    {
        share.UsedBytes += bytes;
        _usedBytes += bytes;
    }

    /// <param name="share">Where they are taken.</param>
    /// <param name="bytes">How many more.</param>
    /// <param name="heldBytes">How many the same piece of work has already.</param>
    private bool TryTake(Share share, long bytes, long heldBytes = 0)
    {
        lock (_lock)
        {
            var isLong = share == _arriving && heldBytes + bytes > ShortBytes;
            if (!Fits(share, bytes) || (isLong && share.UsedBytes + bytes > share.LimitBytes / 2))
            {
                return false;
            }

            Take(share, bytes);
            return true;
        }
    }

    private void TakePastLimit(Share share, long bytes)
    {
        lock (_lock)
        {
            Take(share, bytes);
        }
    }

    private void Return(Share share, long bytes)
    {
        lock (_lock)
        {
            Take(share, -bytes);
            Grant(_storing);
            Grant(_serving);
            Grant(_forwarding);
        }
    }

    private async Task WaitAsync(Share share, LinkedListNode<Waiter> place, CancellationToken cancellationToken)
    {
        var granted = place.Value.Granted;
        await using var registration = cancellationToken.Register(() =>
        {
            lock (_lock)
            {
                if (granted.TrySetCanceled(cancellationToken))
                {
                    share.Line.Remove(place);
                    Grant(share);
                }
            }
        });
        await granted.Task;
    }

    /// <summary>Grants what fits, in the order of the queue; a request that does not fit is passed until it was passed often enough.</summary>
    private void Grant(Share share)
    {
        var place = share.Line.First;
        for (var lookedAt = 0; place is not null && lookedAt < LookedAtMax; lookedAt++)
        {
            var next = place.Next;
            if (share.UsedBytes == 0 || Fits(share, place.Value.Bytes))
            {
                for (var passed = place.Previous; passed is not null; passed = passed.Previous)
                {
                    passed.Value.Passes++;
                }

                share.Line.Remove(place);
                Take(share, place.Value.Bytes);
                place.Value.Granted.TrySetResult();
            }
            else if (place.Value.Passes >= PassesMax)
            {
                return;
            }

            place = next;
        }
    }

    internal sealed class Share(long limitBytes)
    {
        internal long LimitBytes { get; } = limitBytes;

        internal bool TakesWhatIsFree { get; init; }

        internal long UsedBytes { get; set; }

        internal LinkedList<Waiter> Line { get; } = new();
    }

    internal sealed class Waiter(long bytes)
    {
        internal long Bytes { get; } = bytes;

        internal int Passes { get; set; }

        internal TaskCompletionSource Granted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Bytes held until disposed. Not safe for concurrent use.</summary>
    public sealed class Lease : IDisposable
    {
        private readonly ByteBudget _budget;
        private readonly Share _share;
        private bool _hasOverdraft;
        private bool _isPastLimit;
        private bool _isDisposed;

        internal Lease(ByteBudget budget, Share share, long bytes)
        {
            _budget = budget;
            _share = share;
            Bytes = bytes;
        }

        internal string? SpillFolder => _budget.SpillFolder;

        /// <summary>Bytes held.</summary>
        public long Bytes { get; private set; }

        /// <summary>Holds <paramref name="more"/> bytes in addition.</summary>
        public async ValueTask GrowAsync(long more, CancellationToken cancellationToken)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(more);
            if (_hasOverdraft || _isPastLimit)
            {
                _budget.TakePastLimit(_share, more);
            }
            else if (!_budget.TryTake(_share, more))
            {
                await _budget._overdraft.WaitAsync(cancellationToken);
                _hasOverdraft = true;
                _budget.TakePastLimit(_share, more);
            }

            Bytes += more;
        }

        /// <summary>
        /// A second lease for the same piece of work. It never waits for newcomers, which in turn wait for this one: if it
        /// does not fit, it takes the overdraft.
        /// </summary>
        public async ValueTask<Lease> ReserveBesideAsync(long bytes, CancellationToken cancellationToken)
        {
            var beside = new Lease(_budget, _share, 0) { _isPastLimit = _hasOverdraft || _isPastLimit };
            await beside.GrowAsync(bytes, cancellationToken);
            return beside;
        }

        /// <summary>Holds <paramref name="more"/> bytes in addition, if there is room now.</summary>
        internal bool TryGrow(long more)
        {
            if (!_budget.TryTake(_share, more, Bytes))
            {
                return false;
            }

            Bytes += more;
            return true;
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
            _budget.Return(_share, Bytes);
            if (_hasOverdraft)
            {
                _budget._overdraft.Release();
            }
        }
    }
}
