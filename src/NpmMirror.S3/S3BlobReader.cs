using Amazon.S3.Model;
using NpmMirror.Storage;

namespace NpmMirror.S3;

/// <summary>An object that is read in stretches. A reader that goes on where it stopped keeps its answer; one that jumps asks anew.</summary>
internal sealed class S3BlobReader(S3Bucket bucket, string key, S3Entry found, S3Filling? filling) : BlobReader
{
    private const long StretchBytes = 8L << 20;
    private const int TriesMax = 3;
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private (GetObjectResponse Answer, long Position, long End)? _open;

    /// <inheritdoc/>
    public override long LengthBytes => found.SizeBytes;

    /// <inheritdoc/>
    public override DateTimeOffset? StoredAt => found.StoredAt;

    /// <inheritdoc/>
    public override ValueTask<Uri?> FindAddressAsync(CancellationToken cancellationToken) => bucket.FindAddressAsync(key, cancellationToken);

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var wanted = (int)Math.Clamp(LengthBytes - offset, 0, buffer.Length);
        var read = 0;
        for (var failures = 0; read < wanted;)
        {
            var part = await ReadPartAsync(offset + read, buffer[read..wanted], cancellationToken);
            read += part;
            failures = part > 0 ? 0 : failures + 1;
            if (failures == TriesMax)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"{bucket.Location}{key} breaks off at byte {offset + read} of {LengthBytes}.", isTransient: true);
            }
        }

        if (filling is not null && read > 0)
        {
            await filling.AppendAsync(offset, buffer[..read], cancellationToken);
        }

        return read;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        Take(null)?.Answer.Dispose();
        if (filling is not null)
        {
            await filling.DisposeAsync();
        }
    }

    /// <summary>Some bytes; 0 where the answer broke off.</summary>
    private async ValueTask<int> ReadPartAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var open = Take(offset) ?? await OpenAsync(offset, cancellationToken);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        ends.CancelAfter(ReadTimeout);
        var read = 0;
        try
        {
            read = await open.Answer.ResponseStream.ReadAsync(buffer[..(int)Math.Min(buffer.Length, open.End - offset)], ends.Token);
            return read;
        }
        catch (Exception trouble) when (S3Faults.IsOne(trouble, cancellationToken))
        {
            return 0;
        }
        finally
        {
            if (read > 0 && offset + read < open.End)
            {
                Give((open.Answer, offset + read, open.End));
            }
            else
            {
                open.Answer.Dispose();
            }
        }
    }

    private async ValueTask<(GetObjectResponse Answer, long Position, long End)> OpenAsync(long offset, CancellationToken cancellationToken)
    {
        var end = Math.Min(LengthBytes, offset + StretchBytes);
        var answer = await bucket.OpenAsync(key, offset, end - 1, cancellationToken)
            ?? throw new MirrorException(MirrorFault.StoreUnavailable, $"{bucket.Location}{key} was removed while it was read.", isTransient: true);
        if (answer.ContentLength != end - offset)
        {
            answer.Dispose();
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{bucket.Location}{key} answers with {answer.ContentLength} bytes where {end - offset} were asked for.", isTransient: true);
        }

        return (answer, offset, end);
    }

    /// <summary>The open answer, where it stands at this place; null for any place.</summary>
    private (GetObjectResponse Answer, long Position, long End)? Take(long? offset)
    {
        lock (_lock)
        {
            if (_open is not { } open || (offset is { } at && open.Position != at))
            {
                return null;
            }

            _open = null;
            return open;
        }
    }

    private void Give((GetObjectResponse Answer, long Position, long End) open)
    {
        GetObjectResponse? before;
        lock (_lock)
        {
            before = _open?.Answer;
            _open = open;
        }

        before?.Dispose();
    }
}
