using System.Buffers;
using NpmMirror.Packuments;
using NpmMirror.Upstream;

namespace NpmMirror.Tarballs;

/// <summary>
/// A tarball that goes to one client without being stored, because the disk is full: it is checked too, with its last 64 KB held
/// in memory until the hash was right, or if none is promised until it was a whole tar archive.
/// </summary>
internal sealed class TarballPassThrough(TarballRequest request, TarballAnswer.Opened answer, Action ended) : TarballReading
{
    private readonly IntegrityCheck _check = new(request.Promise);
    private readonly TarCheck? _tar = request.IsPromised ? null : new TarCheck();
    private readonly byte[] _pending = ArrayPool<byte>.Shared.Rent(2 * WithheldBytes);
    private long _offset;
    private int _pendingBytes;
    private bool _isVerified;
    private bool _isDisposed;

    /// <inheritdoc/>
    public override long? LengthBytes => answer.LengthBytes;

    /// <inheritdoc/>
    public override Digest Sha512 => request.PromisedSha512;

    /// <inheritdoc/>
    public override bool IsPromised => request.IsPromised;

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        ArgumentOutOfRangeException.ThrowIfLessThan(offset, _offset);
        while (true)
        {
            var readable = _isVerified ? _pendingBytes : Math.Max(_pendingBytes - WithheldBytes, 0);
            var skipped = (int)Math.Min(readable, offset - _offset);
            var length = Math.Min(buffer.Length, readable - skipped);
            _pending.AsSpan(skipped, length).CopyTo(buffer.Span);
            Drop(skipped + length);
            if (length > 0)
            {
                return length;
            }

            if (_isVerified)
            {
                return 0;
            }

            await FillAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public override ValueTask<long> WaitForLengthAsync(CancellationToken cancellationToken) => LengthBytes is { } known
        ? ValueTask.FromResult(known)
        : throw new MirrorException(MirrorFault.StoreReadOnly, $"The length of tarball {request.Name} is not known and it cannot be stored now: ask with HTTP/1.1, or again when the disk has room.", isTransient: true);

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            answer.Response.Dispose();
            _check.Dispose();
            _tar?.Dispose();
            ArrayPool<byte>.Shared.Return(_pending);
            ended();
        }

        return ValueTask.CompletedTask;
    }

    private async Task FillAsync(CancellationToken cancellationToken)
    {
        var read = await answer.Body.ReadAsync(_pending.AsMemory(_pendingBytes), cancellationToken);
        if (read > 0)
        {
            _check.Append(_pending.AsSpan(_pendingBytes, read));
            if (_tar is not null)
            {
                await _tar.AppendAsync(_pending.AsMemory(_pendingBytes, read), cancellationToken);
            }

            _pendingBytes += read;
            return;
        }

        if ((_tar is null ? _check.Finish() : await _tar.FinishAsync(cancellationToken)) is { } problem)
        {
            throw TarballFetch.Wrong(request, problem);
        }

        _isVerified = true;
    }

    private void Drop(int length)
    {
        _pending.AsSpan(length, _pendingBytes - length).CopyTo(_pending);
        _pendingBytes -= length;
        _offset += length;
    }
}
