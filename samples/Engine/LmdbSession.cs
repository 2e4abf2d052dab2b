using System.Runtime.CompilerServices;
using System.Text;
using NpmMirror;
using NpmMirror.Storage;

namespace Engine;

/// <summary>One store's way to the file: reads, writes, listings page by page, and waiting for the log.</summary>
internal sealed class LmdbSession : IAsyncDisposable
{
    private const int PageRows = 128;
    private readonly long _mapBytes;
    private readonly TimeProvider _time;
    private readonly LogWatch _watch;
    private LmdbFile? _file;
    private volatile bool _isDisposed;

    internal LmdbSession(string folder, long mapBytes, TimeProvider time)
    {
        (Folder, _mapBytes, _time) = (folder, mapBytes, time);

        // LMDB tells no other process of a commit: the watch looks at the log's head four times a second while somebody waits.
        _watch = new LogWatch(async cancellationToken => (await ReadAsync(LmdbLog.ReadHead, cancellationToken)).Position, typeof(LmdbStore));
    }

    internal string Folder { get; }

    internal DateTimeOffset Now => _time.GetUtcNow();

    internal Task OpenAsync(CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        _file = LmdbFile.Open(Folder, _mapBytes);
        return Task.CompletedTask;
    }

    /// <summary>Reads on the caller's thread: the file is in memory, as far as it fits.</summary>
    internal ValueTask<T> ReadAsync<T>(Func<LmdbTransaction, T> read, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        return ValueTask.FromResult(_file!.Read(read));
    }

    /// <summary>Writes all or nothing; on the disk when the task ends.</summary>
    internal async ValueTask<T> WriteAsync<T>(Func<LmdbTransaction, T> write, CancellationToken cancellationToken, long sizeBytes = 0)
    {
        ThrowIfEnded(cancellationToken);
        return await _file!.Writer.WriteAsync(write, sizeBytes, cancellationToken);
    }

    /// <summary>Lists in pages, so that no transaction is open while the caller works.</summary>
    /// <param name="from">The first key.</param>
    /// <param name="read">Reads from a key on: each row, and the key from which a listing goes on after it.</param>
    /// <param name="cancellationToken">Ends the listing.</param>
    internal async IAsyncEnumerable<T> ListAsync<T>(byte[] from, Func<LmdbTransaction, byte[], IEnumerable<(byte[] Next, T Row)>> read, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var page = await ReadAsync(transaction => read(transaction, from).Take(PageRows).ToList(), cancellationToken);
            foreach (var (_, row) in page)
            {
                ThrowIfEnded(cancellationToken);
                yield return row;
            }

            if (page.Count < PageRows)
            {
                yield break;
            }

            from = page[^1].Next;
        }
    }

    /// <summary>Lists the keys that begin with a text, and how many bytes are under each.</summary>
    internal IAsyncEnumerable<T> ListAsync<T>(Table table, string prefix, Func<string, long, T> make, CancellationToken cancellationToken)
    {
        var from = Keys.Of(prefix);
        return ListAsync(from, (transaction, next) => transaction.From(table, next, from).Select(one => (Keys.After(one.Key), make(Encoding.UTF8.GetString(one.Key), one.Value.Length))), cancellationToken);
    }

    /// <summary>Puts the value under the key; null removes it.</summary>
    internal ValueTask<bool> PutAsync(Table table, string key, ReadOnlyMemory<byte>? value, CancellationToken cancellationToken) => WriteAsync(
        transaction =>
        {
            if (value is { } bytes)
            {
                transaction.Put(table, Keys.Of(key), bytes.Span);
            }
            else
            {
                transaction.Remove(table, Keys.Of(key));
            }

            return true;
        },
        cancellationToken,
        value?.Length ?? 0);

    internal ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        return _watch.WaitAsync(after, timeout, _time, cancellationToken);
    }

    /// <summary>Wakes those who wait in this process.</summary>
    internal void TellHead(LogPosition head) => _watch.Signal.Advance(head);

    internal void ThrowIfEnded(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, typeof(LmdbStore));
        cancellationToken.ThrowIfCancellationRequested();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            await _watch.DisposeAsync();
            _file?.Dispose();
        }
    }
}
