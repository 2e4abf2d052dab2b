namespace NpmMirror.Upstream;

/// <summary>
/// A response's body as it comes: each wait for the next piece has a time-out, each minute or so of waiting a lowest rate, all waits together an end, the
/// whole a limit, and every failure is a <see cref="MirrorException"/>. Disposing of it gives the connection back or breaks it off.
/// </summary>
internal sealed class UpstreamBody : ForwardStream
{
    /// <summary>How long the waits for one body may be together: a long one over a poor line.</summary>
    private static readonly TimeSpan WaitedMax = TimeSpan.FromHours(2);

    /// <summary>The lowest rate is that of such a stretch of waiting: the bytes that came before do not count for it.</summary>
    private static readonly TimeSpan Stretch = TimeSpan.FromMinutes(1);

    private readonly Stream _stream;
    private readonly HttpResponseMessage _response;
    private readonly Uri _url;
    private readonly BodyLimits _limits;
    private readonly TimeProvider _timeProvider;
    private readonly CancellationTokenSource _timedOut = new();
    private readonly ITimer _timer;
    private TimeSpan _waited;
    private long _readBytes;
    private TimeSpan _stretchEnd;
    private long _stretchBytes;

    private UpstreamBody(Stream stream, HttpResponseMessage response, Uri url, BodyLimits limits, TimeProvider timeProvider)
    {
        _stream = stream;
        _response = response;
        _url = url;
        _limits = limits;
        _timeProvider = timeProvider;
        _stretchEnd = limits.IdleTimeout + Stretch;
        _timer = timeProvider.CreateTimer(static state => ((UpstreamBody)state!).TimeOut(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public override long Position { get => _readBytes; set => throw new NotSupportedException(); }

    /// <summary>Opens the body of a response, which it owns from then on.</summary>
    /// <param name="response">The answer.</param>
    /// <param name="limits">The body's bounds.</param>
    /// <param name="isFile">True for a tarball, which may be compressed itself.</param>
    /// <param name="timeProvider">The clock.</param>
    /// <exception cref="MirrorException">It has codings that cannot be taken off, or too many.</exception>
    internal static UpstreamBody Open(UpstreamResponse response, BodyLimits limits, bool isFile, TimeProvider timeProvider)
    {
        var codings = CodingsOf(response.Message);
        // An unknown coding of a tarball is ignored, as npm does: the hash tells whether that is right.
        if (codings.Problem is { } problem && !(isFile && codings.Unknown is not null))
        {
            throw UpstreamFailures.Malformed(response.Url, problem);
        }

        // SocketsHttpHandler gives the network's own stream: nothing is buffered, so this does not wait.
        var raw = response.Message.Content.ReadAsStream();
        var stream = isFile && codings.Applied.Count > 0 ? new CodedFileStream(raw, codings) : codings.TakeOff(raw);
        return new UpstreamBody(stream, response.Message, response.Url, limits, timeProvider);
    }

    /// <summary>The content codings of an answer.</summary>
    internal static BodyCodings CodingsOf(HttpResponseMessage response) =>
        BodyCodings.Parse(response.Content.Headers.NonValidated.TryGetValues("Content-Encoding", out var values) ? values : []);

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var startedAt = _timeProvider.GetTimestamp();
        int read;
        try
        {
            _timer.Change(_limits.IdleTimeout, Timeout.InfiniteTimeSpan);
            await using var registration = cancellationToken.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _timedOut);
            read = await _stream.ReadAsync(buffer, _timedOut.Token);
            _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
        catch (Exception exception) when (exception is not MirrorException)
        {
            throw Translate(exception, cancellationToken);
        }

        _readBytes += read;
        _waited += _timeProvider.GetElapsedTime(startedAt);
        CheckLimits();
        return read;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _timer.Dispose();
            _stream.Dispose();
            _response.Dispose();
            _timedOut.Dispose();
        }

        base.Dispose(disposing);
    }

    private void TimeOut()
    {
        try
        {
            _timedOut.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The last read ended while the timer fired.
        }
    }

    private void CheckLimits()
    {
        if (_readBytes > _limits.LongestBytes)
        {
            throw UpstreamFailures.TooLarge(_url, _limits.LongestBytes);
        }

        if (_limits.LowestBytesPerSecond > 0 && _waited >= _stretchEnd)
        {
            CheckRate();
        }
    }

    /// <summary>A peer that sends a byte now and then never times out; it must not hold its place for ever either.</summary>
    private void CheckRate()
    {
        var came = _readBytes - _stretchBytes;
        if (came < _limits.LowestBytesPerSecond * Stretch.TotalSeconds)
        {
            throw UpstreamFailures.TimedOut(_url, $"sent only {came} bytes in more than a minute");
        }

        if (_waited >= WaitedMax)
        {
            throw UpstreamFailures.TimedOut(_url, $"did not send all of its answer within {WaitedMax.TotalHours:0} h");
        }

        // A wait of the idle time-out may extend over the end of a stretch: each has that much more time than it is judged by.
        (_stretchEnd, _stretchBytes) = (_waited + _limits.IdleTimeout + Stretch, _readBytes);
    }

    private Exception Translate(Exception exception, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return new OperationCanceledException(cancellationToken);
        }

        return exception switch
        {
            OperationCanceledException => UpstreamFailures.TimedOut(_url, $"sent nothing for {_limits.IdleTimeout.TotalSeconds:0} s in the middle of its answer"),
            // Cut bodies: by length, by a chunk that is missing, or inside the compressed data.
            IOException or InvalidDataException or HttpRequestException => UpstreamFailures.BrokenOff(_url, exception),
            _ => UpstreamEdge.Explain(_url, exception),
        };
    }
}

/// <summary>The bounds of one body.</summary>
/// <param name="LongestBytes">The longest accepted, decoded.</param>
/// <param name="IdleTimeout">How long to wait for each next piece.</param>
/// <param name="LowestBytesPerSecond">The lowest rate over a minute of waiting; 0 where the sender has nothing to say for hours.</param>
internal readonly record struct BodyLimits(long LongestBytes, TimeSpan IdleTimeout, int LowestBytesPerSecond = 1024);
