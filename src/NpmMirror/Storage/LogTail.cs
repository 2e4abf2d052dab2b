using NpmMirror.Log;

namespace NpmMirror.Storage;

/// <summary>The newest rows of the log, kept so that many readers at its end cost the store no more than one.</summary>
internal sealed class LogTail
{
    private const int RowsMax = 256;
    private const int PayloadMaxBytes = 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly Queue<LogRow> _rows = [];
    private LogPosition _last;
    private int _payloadBytes;

    /// <summary>Adds the row after the last one; a row that was added already is ignored.</summary>
    public void Add(LogRow row)
    {
        lock (_lock)
        {
            if (row.Position <= _last)
            {
                return;
            }

            _last = row.Position;
            _rows.Enqueue(row);
            _payloadBytes += row.Payload?.Length ?? 0;
            while (_rows.Count > RowsMax || _payloadBytes > PayloadMaxBytes)
            {
                _payloadBytes -= _rows.Dequeue().Payload?.Length ?? 0;
            }
        }
    }

    /// <summary>The rows after a position, or null if they are not all here.</summary>
    public IReadOnlyList<LogRow>? After(LogPosition after)
    {
        lock (_lock)
        {
            return _rows.TryPeek(out var first) && after.Value >= first.Position.Value - 1 ? [.. _rows.Where(row => row.Position > after)] : null;
        }
    }
}
