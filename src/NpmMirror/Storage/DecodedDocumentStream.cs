using ZstdSharp;

namespace NpmMirror.Storage;

/// <summary>A document being decompressed; says so where it is not as long as its row promises.</summary>
internal sealed class DecodedDocumentStream(Stream decoded, PackageName package, long lengthBytes) : ForwardStream
{
    private long _readBytes;

    /// <inheritdoc/>
    public override long Length => lengthBytes;

    /// <inheritdoc/>
    public override long Position
    {
        get => _readBytes;
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        try
        {
            return Count(decoded.Read(buffer), buffer.Length);
        }
        catch (Exception e) when (IsOfTheData(e))
        {
            throw DocumentCodecs.Damaged(package, e);
        }
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return Count(await decoded.ReadAsync(buffer, cancellationToken), buffer.Length);
        }
        catch (Exception e) when (IsOfTheData(e))
        {
            throw DocumentCodecs.Damaged(package, e);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            decoded.Dispose();
        }

        base.Dispose(disposing);
    }

    private static bool IsOfTheData(Exception e) => e is InvalidDataException or InvalidOperationException or EndOfStreamException or ZstdException or MirrorException;

    private int Count(int read, int asked)
    {
        _readBytes += read;
        var isEnd = read == 0 && asked > 0;
        return _readBytes > lengthBytes || (isEnd && _readBytes < lengthBytes) ? throw DocumentCodecs.Damaged(package, null) : read;
    }
}
