using System.Runtime.CompilerServices;
using System.Text;

namespace NpmMirror.Storage;

public sealed partial class MemoryStore
{
    private readonly Dictionary<string, string> _cursors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string Owner, DateTimeOffset Until)> _leases = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public ValueTask<string?> GetCursorAsync(string key, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(_cursors.GetValueOrDefault(key));
        }
    }

    /// <inheritdoc/>
    public ValueTask SetCursorAsync(string key, string? value, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            if (value is null)
            {
                _cursors.Remove(key);
            }
            else
            {
                _cursors[key] = value;
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<CursorMark> ListCursorsAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        List<CursorMark> marks;
        lock (_lock)
        {
            marks = [.. _cursors.Where(one => one.Key.StartsWith(prefix, StringComparison.Ordinal)).Select(one => new CursorMark(one.Key, Encoding.UTF8.GetByteCount(one.Value))).OrderBy(mark => mark.Key, Utf8Order.Instance)];
        }

        await Task.CompletedTask;
        foreach (var mark in marks)
        {
            ThrowIfEnded(cancellationToken);
            yield return mark;
        }
    }

    /// <inheritdoc/>
    public ValueTask<bool> TryHoldLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            var now = timeProvider.GetUtcNow();
            if (_leases.TryGetValue(name, out var held) && held.Owner != owner && StoredMoments.IsHeld(held.Until, now))
            {
                return ValueTask.FromResult(false);
            }

            _leases[name] = (owner, StoredMoments.EndOfLease(now, duration));
            return ValueTask.FromResult(true);
        }
    }

    /// <inheritdoc/>
    public ValueTask ReleaseLeaseAsync(string name, string owner, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            if (_leases.TryGetValue(name, out var held) && held.Owner == owner)
            {
                _leases.Remove(name);
            }
        }

        return ValueTask.CompletedTask;
    }
}
