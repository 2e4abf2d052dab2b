using System.Runtime.CompilerServices;
using System.Text;

namespace NpmMirror.Storage;

public sealed partial class MemoryStore
{
    private readonly Dictionary<string, string> _notes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, byte[]> _kept = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string Owner, DateTimeOffset Until)> _leases = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public ValueTask<string?> FindNoteAsync(string key, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(_notes.GetValueOrDefault(key));
        }
    }

    /// <inheritdoc/>
    public ValueTask SetNoteAsync(string key, string? text, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            if (text is null)
            {
                _notes.Remove(key);
            }
            else
            {
                _notes[key] = text;
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<NoteMark> ListNotesAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        List<NoteMark> marks;
        lock (_lock)
        {
            marks = [.. _notes.Where(one => one.Key.StartsWith(prefix, StringComparison.Ordinal)).Select(one => new NoteMark(one.Key, Encoding.UTF8.GetByteCount(one.Value))).OrderBy(mark => mark.Key, Utf8Order.Instance)];
        }

        await Task.CompletedTask;
        foreach (var mark in marks)
        {
            ThrowIfEnded(cancellationToken);
            yield return mark;
        }
    }

    /// <inheritdoc/>
    public ValueTask<ReadOnlyMemory<byte>?> FindKeptAsync(string path, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(_kept.TryGetValue(path, out var bytes) ? (ReadOnlyMemory<byte>?)bytes : null);
        }
    }

    /// <inheritdoc/>
    public ValueTask KeepAsync(string path, ReadOnlyMemory<byte>? document, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            if (document is { } bytes)
            {
                _kept[path] = bytes.ToArray();
            }
            else
            {
                _kept.Remove(path);
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<KeptMark> ListKeptAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        List<KeptMark> marks;
        lock (_lock)
        {
            marks = [.. _kept.Where(one => one.Key.StartsWith(prefix, StringComparison.Ordinal)).Select(one => new KeptMark(one.Key, one.Value.Length)).OrderBy(mark => mark.Path, Utf8Order.Instance)];
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
