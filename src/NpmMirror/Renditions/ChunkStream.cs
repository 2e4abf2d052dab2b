using System.Buffers;

namespace NpmMirror.Renditions;

/// <summary>Collects written bytes in pooled pieces: nothing is copied while it grows, and only the final array has its full length.</summary>
internal sealed class ChunkStream : Stream
{
    private const int ChunkBytes = 64 * 1024;

    private readonly List<byte[]> _full = [];
    private byte[] _last = ArrayPool<byte>.Shared.Rent(ChunkBytes);
    private int _filled;
    private long _length;

    /// <inheritdoc/>
    public override bool CanRead => false;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => _length;

    /// <inheritdoc/>
    public override long Position
    {
        get => _length;
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        _length += buffer.Length;
        while (!buffer.IsEmpty)
        {
            if (_filled == _last.Length)
            {
                _full.Add(_last);
                _last = ArrayPool<byte>.Shared.Rent(ChunkBytes);
                _filled = 0;
            }

            var fits = Math.Min(buffer.Length, _last.Length - _filled);
            buffer[..fits].CopyTo(_last.AsSpan(_filled));
            _filled += fits;
            buffer = buffer[fits..];
        }
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    internal byte[] ToArray()
    {
        var all = GC.AllocateUninitializedArray<byte>(checked((int)_length));
        var at = 0;
        foreach (var chunk in _full)
        {
            chunk.CopyTo(all, at);
            at += chunk.Length;
        }

        _last.AsSpan(0, _filled).CopyTo(all.AsSpan(at));
        return all;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (_last.Length > 0)
        {
            _full.ForEach(chunk => ArrayPool<byte>.Shared.Return(chunk));
            _full.Clear();
            ArrayPool<byte>.Shared.Return(_last);
            _last = [];
            _filled = 0;
        }

        base.Dispose(disposing);
    }
}
