using NpmMirror.Storage;

namespace NpmMirror.Tarballs;

/// <summary>
/// A tarball that is arriving, shared by all its readers: one task writes, the readers follow it in the same file at their own
/// pace, so that a reader that leaves or stalls does not disturb the others.
/// </summary>
internal sealed class TarballArrival
{
    // Wake readers every 256 KB or 10 ms after the first byte that they do not know of: waking two hundred readers for each piece that
    // the upstream sends leaves the download no time for the next.
    private const int StepBytes = 256 * 1024;
    private static readonly TimeSpan StepWait = TimeSpan.FromMilliseconds(10);

    private readonly Lock _lock = new();

    // A timer of the real clock: it paces real work, and no promise depends on it.
    private readonly ITimer _step;
    private long _announcedBytes;
    private bool _isStepDue;
    private TaskCompletionSource _change = NewChange();
    private BlobWriter? _writer;
    private Outcome _outcome = Outcome.Pending;
    private long? _lengthBytes;
    private MirrorException? _failure;
    private TarballResult.Absent? _absence;

    // The fetch itself, and each reader: the last one closes the file.
    private int _users = 1;

    /// <param name="request">The tarball to fetch.</param>
    internal TarballArrival(TarballRequest request)
    {
        Request = request;
        _step = TimeProvider.System.CreateTimer(static arrival => ((TarballArrival)arrival!).AnnounceStep(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>How an arrival stands.</summary>
    internal enum Outcome
    {
        /// <summary>Nothing can be read yet.</summary>
        Pending,

        /// <summary>All but the last 64 KB of the bytes so far can be read.</summary>
        Arriving,

        /// <summary>All is there and right.</summary>
        Verified,

        /// <summary>The upstream has none.</summary>
        Absent,

        /// <summary>It was stored before this fetch began: read it from there.</summary>
        Stored,

        /// <summary>It will not come.</summary>
        Failed,
    }

    /// <summary>The tarball to fetch.</summary>
    internal TarballRequest Request { get; }

    /// <summary>Ends when the tarball is stored or will not be; never fails.</summary>
    internal Task Ended { get; set; } = Task.CompletedTask;

    /// <summary>The upstream's refusal, with <see cref="Outcome.Absent"/>.</summary>
    internal TarballResult.Absent Absence => _absence ?? throw new InvalidOperationException("The upstream has not said that there is none.");

    /// <summary>How it stands.</summary>
    internal Outcome Now
    {
        get
        {
            lock (_lock)
            {
                return _outcome;
            }
        }
    }

    /// <summary>A failure to throw, with <see cref="Outcome.Failed"/>; a new one each time, as each thrower adds its own trace.</summary>
    internal MirrorException Failure => _failure is { } first
        ? new MirrorException(first.Fault, first.Message, first.IsTransient, first.RetryAfter, first) { RefusedStatus = first.RefusedStatus }
        : throw new InvalidOperationException("The download has not failed.");

    /// <summary>Why it is not stored, once <see cref="Ended"/>; also where the readers got all of it. Null when it is, or the upstream has none.</summary>
    internal MirrorException? StoringFailure => _failure is null ? null : Failure;

    /// <summary>The upstream answered: from now on bytes are appended to the writer, which this takes over.</summary>
    internal void Begin(BlobWriter writer, long? lengthBytes)
    {
        lock (_lock)
        {
            _writer = writer;
            _lengthBytes = lengthBytes;
        }
    }

    /// <summary>More bytes are in the writer: readers are told at once of the first, and of the rest in steps.</summary>
    internal void Grew()
    {
        var lengthBytes = _writer!.LengthBytes;
        if (lengthBytes <= TarballReading.WithheldBytes)
        {
            return;
        }

        lock (_lock)
        {
            if (_announcedBytes > 0 && lengthBytes - _announcedBytes < StepBytes)
            {
                if (!_isStepDue)
                {
                    _isStepDue = true;
                    _step.Change(StepWait, Timeout.InfiniteTimeSpan);
                }

                return;
            }

            _announcedBytes = lengthBytes;
        }

        Change(Outcome.Arriving);
    }

    /// <summary>All bytes are in the writer, and they are right.</summary>
    internal void Verify()
    {
        lock (_lock)
        {
            _lengthBytes = _writer!.LengthBytes;
        }

        Change(Outcome.Verified);
    }

    /// <summary>The upstream has none.</summary>
    internal void Refuse(TarballResult.Absent absence)
    {
        _absence = absence;
        Change(Outcome.Absent);
    }

    /// <summary>Another process stored it meanwhile.</summary>
    internal void FindStored() => Change(Outcome.Stored);

    /// <summary>It will not come; every reader hears of it, wherever it stands.</summary>
    internal void Fail(MirrorException failure)
    {
        _failure = failure;
        Change(Outcome.Failed);
    }

    /// <summary>Counts a reader in; false when the file is closed already.</summary>
    internal bool TryUse()
    {
        lock (_lock)
        {
            if (_users == 0)
            {
                return false;
            }

            _users++;
            return true;
        }
    }

    /// <summary>Counts a user out; the last one closes the file.</summary>
    internal async ValueTask LeaveAsync()
    {
        BlobWriter? unused;
        lock (_lock)
        {
            unused = --_users == 0 ? _writer : null;
        }

        if (unused is not null)
        {
            await _step.DisposeAsync();
            await unused.DisposeAsync();
        }
    }

    /// <summary>Waits until something can be read or it is clear that nothing will be.</summary>
    internal async Task<Outcome> WaitForFirstBytesAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            // Taken before looking: a change in between completes it.
            var change = Volatile.Read(ref _change).Task;
            if (Now is not Outcome.Pending and var outcome)
            {
                return outcome;
            }

            await change.WaitAsync(cancellationToken);
        }
    }

    /// <summary>A reading for a reader that was counted in; disposing of it counts out.</summary>
    internal TarballReading OpenReading() => new Reading(this);

    private static TaskCompletionSource NewChange() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void AnnounceStep()
    {
        lock (_lock)
        {
            _isStepDue = false;
            if (_outcome != Outcome.Arriving)
            {
                return;
            }

            _announcedBytes = _writer!.LengthBytes;
        }

        Wake();
    }

    private void Wake() => Interlocked.Exchange(ref _change, NewChange()).TrySetResult();

    private void Change(Outcome outcome)
    {
        lock (_lock)
        {
            // Once verified, a failure of storing does not affect readers.
            if (_outcome != Outcome.Verified)
            {
                _outcome = outcome;
            }
        }

        Wake();
    }

    private sealed class Reading(TarballArrival arrival) : TarballReading
    {
        private bool _isDisposed;

        public override long? LengthBytes
        {
            get
            {
                lock (arrival._lock)
                {
                    return arrival._lengthBytes;
                }
            }
        }

        public override Digest Sha512 => arrival.Request.PromisedSha512;

        public override bool IsPromised => arrival.Request.IsPromised;

        public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            while (true)
            {
                var change = Volatile.Read(ref arrival._change).Task;
                var outcome = arrival.Now;
                if (outcome == Outcome.Failed)
                {
                    throw arrival.Failure;
                }

                // Withheld: a reader with the last bytes of a wrong file could not be told that it was wrong.
                var readable = arrival._writer!.LengthBytes - (outcome == Outcome.Verified ? 0 : WithheldBytes);
                if (readable > offset)
                {
                    return await arrival._writer.ReadAsync(offset, buffer[..(int)Math.Min(buffer.Length, readable - offset)], cancellationToken);
                }

                if (outcome == Outcome.Verified)
                {
                    return 0;
                }

                await change.WaitAsync(cancellationToken);
            }
        }

        public override async ValueTask<long> WaitForLengthAsync(CancellationToken cancellationToken)
        {
            if (LengthBytes is null)
            {
                // There is nothing after the end, so this waits for it.
                await ReadAsync(long.MaxValue, Memory<byte>.Empty, cancellationToken);
            }

            return LengthBytes ?? throw new InvalidOperationException("A verified tarball has a length.");
        }

        public override ValueTask DisposeAsync()
        {
            if (_isDisposed)
            {
                return ValueTask.CompletedTask;
            }

            _isDisposed = true;
            return arrival.LeaveAsync();
        }
    }
}
