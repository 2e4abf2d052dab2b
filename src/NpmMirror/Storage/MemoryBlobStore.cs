using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace NpmMirror.Storage;

/// <summary>Blobs in memory, for tests and tries: it starts from nothing each time and has no limit but the machine's.</summary>
public sealed class MemoryBlobStore(TimeProvider time) : IBlobStore
{
    private readonly TimeProvider _time = time;
    private readonly ConcurrentDictionary<Digest, (byte[] Bytes, DateTimeOffset StoredAt)> _blobs = new();
    private readonly ConcurrentDictionary<Digest, (byte[] Bytes, DateTimeOffset StoredAt)> _condemned = new();

    /// <inheritdoc/>
    public string Location => "memory";

    /// <inheritdoc/>
    public ValueTask<BlobReader?> OpenAsync(Digest sha512, CancellationToken cancellationToken) =>
        ValueTask.FromResult<BlobReader?>(_blobs.TryGetValue(Checked(sha512), out var blob) ? new Reader(blob.Bytes, blob.StoredAt) : null);

    /// <inheritdoc/>
    public ValueTask<BlobWriter> CreateAsync(CancellationToken cancellationToken) => ValueTask.FromResult<BlobWriter>(new Writer(this));

    /// <inheritdoc/>
    public ValueTask<bool> ExistsAsync(Digest sha512, CancellationToken cancellationToken) => ValueTask.FromResult(_blobs.ContainsKey(Checked(sha512)));

    /// <inheritdoc/>
    public ValueTask<CondemnedBlob?> CondemnAsync(Digest sha512, CancellationToken cancellationToken)
    {
        if (!_blobs.TryRemove(Checked(sha512), out var blob))
        {
            return ValueTask.FromResult<CondemnedBlob?>(null);
        }

        _condemned[sha512] = blob;
        return ValueTask.FromResult<CondemnedBlob?>(new Condemned(this, sha512, blob));
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<CondemnedBlob> ListCondemnedAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        foreach (var (sha512, blob) in _condemned)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return new Condemned(this, sha512, blob);
        }
    }

    /// <inheritdoc/>
    public ValueTask<UnfinishedBlobs> RemoveUnfinishedAsync(bool isDryRun, CancellationToken cancellationToken) => ValueTask.FromResult(default(UnfinishedBlobs));

    /// <inheritdoc/>
    public async IAsyncEnumerable<BlobInfo> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        foreach (var (sha512, blob) in _blobs)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return new BlobInfo(sha512, blob.Bytes.Length, blob.StoredAt);
        }
    }

    /// <inheritdoc/>
    public ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken) => ValueTask.FromResult<string?>(null);

    private static Digest Checked(Digest sha512) =>
        sha512.Bytes.Length == SHA512.HashSizeInBytes ? sha512 : throw new ArgumentException("Blobs are addressed by a SHA-512.", nameof(sha512));

    private static int Copy(ReadOnlySpan<byte> source, long offset, Memory<byte> buffer)
    {
        if (offset >= source.Length)
        {
            return 0;
        }

        var length = Math.Min(source.Length - (int)offset, buffer.Length);
        source.Slice((int)offset, length).CopyTo(buffer.Span);
        return length;
    }

    private sealed class Condemned(MemoryBlobStore store, Digest sha512, (byte[] Bytes, DateTimeOffset StoredAt) blob) : CondemnedBlob
    {
        public override BlobInfo Info => new(sha512, blob.Bytes.Length, blob.StoredAt);

        public override ValueTask DeleteAsync(CancellationToken cancellationToken)
        {
            store._condemned.TryRemove(sha512, out _);
            return ValueTask.CompletedTask;
        }

        public override ValueTask RestoreAsync(CancellationToken cancellationToken)
        {
            store._blobs.TryAdd(sha512, blob);
            return DeleteAsync(cancellationToken);
        }
    }

    private sealed class Reader(byte[] bytes, DateTimeOffset storedAt) : BlobReader
    {
        public override long LengthBytes => bytes.Length;

        public override DateTimeOffset? StoredAt => storedAt;

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            ValueTask.FromResult(Copy(bytes, offset, buffer));

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class Writer(MemoryBlobStore store) : BlobWriter
    {
        private readonly Lock _lock = new();
        private byte[] _bytes = [];
        private int _length;

        public override long LengthBytes
        {
            get
            {
                lock (_lock)
                {
                    return _length;
                }
            }
        }

        public override ValueTask AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            lock (_lock)
            {
                if (_length + bytes.Length > _bytes.Length)
                {
                    Array.Resize(ref _bytes, Math.Max(_length + bytes.Length, _bytes.Length * 2));
                }

                bytes.Span.CopyTo(_bytes.AsSpan(_length));
                _length += bytes.Length;
            }

            return ValueTask.CompletedTask;
        }

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            lock (_lock)
            {
                return ValueTask.FromResult(Copy(_bytes.AsSpan(0, _length), offset, buffer));
            }
        }

        public override Digest ComputeSha512()
        {
            lock (_lock)
            {
                return new Digest(SHA512.HashData(_bytes.AsSpan(0, _length)));
            }
        }

        public override ValueTask<Digest> CommitAsync(CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var sha512 = ComputeSha512();
            store._blobs[sha512] = (_bytes.AsSpan(0, _length).ToArray(), store._time.GetUtcNow());
            return ValueTask.FromResult(sha512);
        }

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
