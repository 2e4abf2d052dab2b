using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace NpmMirror.Following;

/// <summary>The listeners of a monitor's events: handlers of .NET events and readers, one event at a time, each in the order told.</summary>
internal sealed class MonitorListeners(Action<Exception> onHandlerFailed) : IDisposable
{
    // Events may hold a packument each: few wait, then the monitor does.
    private const int WaitingMax = 16;

    private readonly SemaphoreSlim _telling = new(1, 1);
    private ImmutableArray<Channel<(MonitorEvent Told, MonitorRun Run)>> _readers = [];
    private volatile bool _isClosed;

    internal int ReaderCount => _readers.Length;

    /// <summary>Reads until the monitor ends; the last event is made here, so that it needs no room.</summary>
    internal async IAsyncEnumerable<MonitorEvent> ReadAsync(Action? onReady, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var reader = Channel.CreateBounded<(MonitorEvent Told, MonitorRun Run)>(new BoundedChannelOptions(WaitingMax) { SingleReader = true });
        ImmutableInterlocked.Update(ref _readers, readers => readers.Add(reader));
        try
        {
            if (_isClosed)
            {
                yield break;
            }

            onReady?.Invoke();
            await foreach (var (told, run) in reader.Reader.ReadAllAsync(cancellationToken))
            {
                // Events that waited here when the monitor was stopped are dropped.
                if (!run.IsStopped)
                {
                    yield return told;
                }
            }

            yield return new MonitorEvent.Ended();
        }
        finally
        {
            ImmutableInterlocked.Update(ref _readers, readers => readers.Remove(reader));
            // A writer that waits goes on.
            reader.Writer.TryComplete();
        }
    }

    /// <summary>Tells all, waiting for slow readers.</summary>
    /// <exception cref="OperationCanceledException">Cancelled, or the run is over; some listeners did not hear it.</exception>
    internal async ValueTask TellAsync(MonitorEvent told, Action<MonitorEvent> raise, MonitorRun run, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(run.Stopping, cancellationToken);
        await _telling.WaitAsync(either.Token);
        try
        {
            if (run.IsOver)
            {
                return;
            }

            Call(() => raise(told));
            foreach (var reader in _readers)
            {
                try
                {
                    await reader.Writer.WriteAsync((told, run), either.Token);
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
            // A listener is foreign code: its failure does not end the monitor.
            onHandlerFailed(exception);
        }
    }
}
