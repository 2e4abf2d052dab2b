using System.Text;
using NpmMirror.Packuments;

namespace NpmMirror.Storage;

/// <summary>Upstream's bytes of a <see cref="ServedDocument"/>: the served text with upstream's addresses put back as it passes.</summary>
internal sealed class UpstreamTextStream : ForwardStream
{
    private const int WindowBytes = 64 * 1024;

    private readonly Stream _served;
    private readonly byte[] _prefix;
    private readonly byte[] _upstreamPrefix;
    private readonly byte[] _exceptions;
    private readonly byte[] _window;
    private long _servedLeftBytes;

    // The window's part that was not passed on yet; of it so much is passed on as it is, or left out; before it comes what is inserted.
    private int _start, _end, _verbatim, _leftOut;
    private ReadOnlyMemory<byte> _inserted;

    private int _exceptionsRead;
    private ulong _regular;
    private bool _hasException;

    /// <summary>Reads <paramref name="served"/>, which it owns.</summary>
    internal UpstreamTextStream(Stream served, uint servedBytes, ServedHead head)
    {
        _served = served;
        _servedLeftBytes = servedBytes;
        _prefix = Encoding.UTF8.GetBytes(UrlWriter.StartOf(head.BaseUrl));
        _upstreamPrefix = head.UpstreamPrefix;
        _exceptions = head.Exceptions;
        _window = new byte[Math.Max(WindowBytes, 2 * _prefix.Length)];
        _inserted = head.HasByteOrderMark ? Encoding.UTF8.Preamble.ToArray() : default;
        NextException();
    }

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return 0;
        }

        while (_inserted.IsEmpty && _verbatim == 0)
        {
            if (!Advance())
            {
                return 0;
            }
        }

        int read;
        if (!_inserted.IsEmpty)
        {
            read = Math.Min(buffer.Length, _inserted.Length);
            _inserted.Span[..read].CopyTo(buffer);
            _inserted = _inserted[read..];
        }
        else
        {
            read = Math.Min(buffer.Length, _verbatim);
            _window.AsSpan(_start, read).CopyTo(buffer);
            _start += read;
            _verbatim -= read;
        }

        return read;
    }

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.FromResult(Read(buffer.Span));

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _served.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Decides about the next piece; false at the end.</summary>
    private bool Advance()
    {
        if (_leftOut > 0)
        {
            var left = Math.Min(_leftOut, _end - _start);
            _start += left;
            _leftOut -= left;
            return _leftOut == 0 || Fill() ? true : throw new InvalidDataException("The text ends within an address.");
        }

        var text = _window.AsSpan(_start, _end - _start);
        var at = text.IndexOf(_prefix);
        if (at == 0)
        {
            PutBack();
            return true;
        }

        // What may be the prefix's beginning waits for more.
        _verbatim = at > 0 ? at : Math.Max(0, text.Length - _prefix.Length + 1);
        if (_verbatim > 0 || Fill())
        {
            return true;
        }

        _verbatim = text.Length;
        return _verbatim > 0;
    }

    private void PutBack()
    {
        if (!_hasException || _regular > 0)
        {
            _regular -= _hasException ? 1ul : 0;
            _inserted = _upstreamPrefix;
            _start += _prefix.Length;
            return;
        }

        var reader = new IndexReader(_exceptions.AsSpan(_exceptionsRead));
        var servedBytes = reader.Integer();
        if (servedBytes == 0)
        {
            _verbatim = _prefix.Length;
        }
        else
        {
            var length = reader.Integer();
            _inserted = _exceptions.AsMemory(_exceptions.Length - reader.LeftBytes, reader.Bytes(length).Length);
            _leftOut = servedBytes;
        }

        _exceptionsRead = _exceptions.Length - reader.LeftBytes;
        NextException();
    }

    private void NextException()
    {
        _hasException = _exceptionsRead < _exceptions.Length;
        if (_hasException)
        {
            var reader = new IndexReader(_exceptions.AsSpan(_exceptionsRead));
            _regular = reader.Number();
            _exceptionsRead = _exceptions.Length - reader.LeftBytes;
        }
    }

    private bool Fill()
    {
        _window.AsSpan(_start, _end - _start).CopyTo(_window);
        (_start, _end) = (0, _end - _start);
        var read = _served.Read(_window.AsSpan(_end));
        _end += read;
        _servedLeftBytes -= read;
        return read > 0 || _servedLeftBytes == 0 ? read > 0 : throw new InvalidDataException("The text is not as long as it says.");
    }
}
