using System.Net;
using System.Net.Sockets;

namespace NpmMirror.Tests.Storage;

/// <summary>
/// A network between an engine and its server: a TCP proxy on loopback that can be cut, silent, slow, or break off in the middle of an answer. The knobs
/// count for connections that are open, too.
/// </summary>
internal sealed class FlakyLink : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _lock = new();
    private readonly HashSet<TcpClient> _open = [];
    private readonly int _target;
    private readonly Task _accepting;
    private TaskCompletionSource? _silence;
    private long _answerBytesLeft = long.MaxValue;
    private long _requestBytesLeft = long.MaxValue;
    private volatile bool _isCut;
    private bool _isSilenceNext;

    /// <param name="target">The server's port on loopback.</param>
    /// <param name="address">Where it listens; null: on loopback.</param>
    internal FlakyLink(int target, IPAddress? address = null)
    {
        _target = target;
        _listener = new TcpListener(address ?? IPAddress.Loopback, 0);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>How long each piece is on its way.</summary>
    internal TimeSpan Delay { get; set; }

    /// <summary>What happens before each piece that the engine sends reaches the server.</summary>
    internal Func<Task>? BeforeRequest { get; set; }

    /// <summary>How many bytes the server has sent so far, all connections together.</summary>
    internal long AnswerBytes { get; private set; }

    /// <summary>How many bytes the engine has sent so far.</summary>
    internal long RequestBytes { get; private set; }

    /// <summary>Closes all connections, and each new one at once, until <see cref="Mend"/>.</summary>
    internal void Cut()
    {
        _isCut = true;
        CloseAll();
    }

    /// <summary>Closes all connections once; new ones are taken.</summary>
    internal void CloseAll()
    {
        lock (_lock)
        {
            foreach (var client in _open)
            {
                client.Close();
            }

            _open.Clear();
        }
    }

    /// <summary>From here on the server may send so many bytes more; the connection on which they end is closed, once, in the middle of an answer as a rule.</summary>
    internal void CutAfterAnswer(long bytes)
    {
        lock (_lock)
        {
            _answerBytesLeft = bytes;
        }
    }

    /// <summary>From here on the engine may send so many bytes more; the connection on which they end is closed, once, in the middle of a request as a rule.</summary>
    internal void CutAfterRequest(long bytes)
    {
        lock (_lock)
        {
            _requestBytesLeft = bytes;
        }
    }

    /// <summary>From here on the engine may send so many bytes more; then the link falls silent, in the middle of a request as a rule.</summary>
    internal void FallSilentAfterRequest(long bytes)
    {
        lock (_lock)
        {
            (_requestBytesLeft, _isSilenceNext) = (bytes, true);
        }
    }

    /// <summary>Passes nothing on, and says nothing of it, until <see cref="Mend"/>: a cable that was pulled.</summary>
    internal void FallSilent()
    {
        lock (_lock)
        {
            _silence ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>Everything passes again. Connections that were closed stay so.</summary>
    internal void Mend()
    {
        (_isCut, Delay) = (false, TimeSpan.Zero);
        lock (_lock)
        {
            (_answerBytesLeft, _requestBytesLeft, _isSilenceNext) = (long.MaxValue, long.MaxValue, false);
            _silence?.TrySetResult();
            _silence = null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        _listener.Stop();
        CloseAll();
        await _accepting;
        _ended.Dispose();
    }

    private async Task AcceptAsync()
    {
        var links = new List<Task>();
        try
        {
            while (true)
            {
                links.Add(LinkAsync(await _listener.AcceptTcpClientAsync(_ended.Token)));
            }
        }
        catch (Exception) when (_ended.IsCancellationRequested)
        {
            await Task.WhenAll(links);
        }
    }

    private async Task LinkAsync(TcpClient engine)
    {
        using var server = new TcpClient { NoDelay = true };
        using (engine)
        {
            engine.NoDelay = true;
            if (_isCut || !await TryConnectAsync(server))
            {
                return;
            }

            lock (_lock)
            {
                _open.UnionWith([engine, server]);
            }

            await Task.WhenAny(PumpAsync(engine, server, isAnswer: false), PumpAsync(server, engine, isAnswer: true));
            lock (_lock)
            {
                _open.ExceptWith([engine, server]);
            }
        }
    }

    private async Task<bool> TryConnectAsync(TcpClient server)
    {
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, _target, _ended.Token);
            return true;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return false;
        }
    }

    private async Task PumpAsync(TcpClient from, TcpClient to, bool isAnswer)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            var (source, target) = (from.GetStream(), to.GetStream());
            while (await source.ReadAsync(buffer, _ended.Token) is > 0 and var length)
            {
                await DelayAsync();
                await ((isAnswer ? null : BeforeRequest?.Invoke()) ?? Task.CompletedTask);
                var (passed, isLast) = Count(isAnswer, length);
                await target.WriteAsync(buffer.AsMemory(0, passed), _ended.Token);
                if (isLast)
                {
                    return;
                }
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException or InvalidOperationException)
        {
            // One of them left, or the link was cut.
        }
    }

    private async Task DelayAsync()
    {
        Task? silence;
        lock (_lock)
        {
            silence = _silence?.Task;
        }

        await (silence?.WaitAsync(_ended.Token) ?? Task.CompletedTask);
        if (Delay > TimeSpan.Zero)
        {
            await Task.Delay(Delay, TimeProvider.System, _ended.Token);
        }
    }

    /// <summary>How many of these bytes pass, and whether the link breaks after them; it breaks once.</summary>
    private (int Passed, bool IsLast) Count(bool isAnswer, int bytes)
    {
        lock (_lock)
        {
            var left = isAnswer ? _answerBytesLeft : _requestBytesLeft;
            var (passed, isLast) = ((int)Math.Min(bytes, left), bytes >= left);
            left = isLast ? long.MaxValue : left == long.MaxValue ? left : left - bytes;
            (_answerBytesLeft, AnswerBytes) = isAnswer ? (left, AnswerBytes + passed) : (_answerBytesLeft, AnswerBytes);
            (_requestBytesLeft, RequestBytes) = isAnswer ? (_requestBytesLeft, RequestBytes) : (left, RequestBytes + passed);
            if (isLast && !isAnswer && _isSilenceNext)
            {
                (_isSilenceNext, isLast) = (false, false);
                _silence ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            return (passed, isLast);
        }
    }
}
