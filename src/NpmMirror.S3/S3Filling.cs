using NpmMirror.Storage;

namespace NpmMirror.S3;

/// <summary>What a reader of the bucket writes down on the way, for those that read it next. It is kept when it has come to its end and has the right hash.</summary>
internal sealed class S3Filling(S3Cache cache, Digest sha512, S3Entry found, BlobWriter file) : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private bool _isOver;

    /// <summary>Takes bytes that continue what is there; others are skipped.</summary>
    internal async ValueTask AppendAsync(long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (_isOver || offset != file.LengthBytes)
            {
                return;
            }

            await file.AppendAsync(bytes, cancellationToken);
            if (file.LengthBytes >= found.SizeBytes)
            {
                _isOver = true;
                if (file.ComputeSha512() == sha512)
                {
                    await cache.KeepAsync(file, found.StoredAt, cancellationToken);
                }
            }
        }
        catch (MirrorException)
        {
            // A disk that is full keeps nobody from reading.
            _isOver = true;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _isOver = true;
        await file.DisposeAsync();
        cache.End(sha512);
        _turn.Dispose();
    }
}
