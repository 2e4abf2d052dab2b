using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace NpmMirror.Monitoring;

/// <summary>Who hears a monitor's events: handlers of .NET events and readers, one event at a time, each in the order told.</summary>
internal sealed class MonitorListeners(Action<Exception> onHandlerFailed) : IDisposable
{
    // Events may hold a packument each: few wait, then the monitor does.
    private const int WaitingMax = 16;

    private readonly SemaphoreSlim _telling = new(1, 1);
    private ImmutableArray<Channel<MonitorEvent>> _readers = [];
    private volatile bool _isClosed;

    internal int ReaderCount => _readers.Length;

    /// <summary>Reads until the monitor ends; the last event is made here, so that it needs no room.</summary>
    internal async IAsyncEnumerable<MonitorEvent> ReadAsync(Action? onReady, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var reader = Channel.CreateBounded<MonitorEvent>(new BoundedChannelOptions(WaitingMax) { SingleReader = true });
        ImmutableInterlocked.Update(ref _readers, readers => readers.Add(reader));
        try
        {
            if (_isClosed)
            {
                yield break;
            }

            onReady?.Invoke();
            await foreach (var told in reader.Reader.ReadAllAsync(cancellationToken))
            {
                yield return told;
            }

            yield return new MonitorEvent.Ended();
        }
        finally
        {
            ImmutableInterlocked.Update(ref _readers, readers => readers.Remove(reader));
            // Whoever waits to write to it goes on.
            reader.Writer.TryComplete();
        }
    }

    /// <summary>Tells all, waiting for slow readers.</summary>
    /// <exception cref="OperationCanceledException">Either token; not everybody heard it.</exception>
    internal async ValueTask TellAsync(MonitorEvent told, Action<MonitorEvent> raise, Func<bool> isWanted, CancellationToken stopping, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, cancellationToken);
        await _telling.WaitAsync(either.Token);
        try
        {
            if (!isWanted())
            {
                return;
            }

            Call(() => raise(told));
            foreach (var reader in _readers)
            {
                try
                {
                    await reader.Writer.WriteAsync(told, either.Token);
                }
                catch (ChannelClosedException)
                {
                    // That reader left.
                }
            }
        }
        finally
        {
            _telling.Release();
        }
    }

    /// <summary>The last event: after it nothing of the ending run is told.</summary>
    internal async Task EndAsync(Action raiseEnded)
    {
        await _telling.WaitAsync(CancellationToken.None);
        try
        {
            Call(raiseEnded);
            foreach (var reader in _readers)
            {
                reader.Writer.TryComplete();
            }
        }
        finally
        {
            _telling.Release();
        }
    }

    /// <summary>Ends readers of a monitor that never ran.</summary>
    public void Dispose()
    {
        _isClosed = true;
        foreach (var reader in _readers)
        {
            reader.Writer.TryComplete();
        }

        _telling.Dispose();
    }

    private void Call(Action raise)
    {
        try
        {
            raise();
        }
        catch (Exception exception)
        {
            // A listener is foreign code: its failure is its own.
            onHandlerFailed(exception);
        }
    }
}
