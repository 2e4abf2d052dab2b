namespace NpmMirror.Upstream;

/// <summary>
/// A tarball whose answer claims a content coding. Some servers claim the file's own gzip, others put a coding on top: the coding is
/// undone if gzip appears below it, else the bytes are taken as they came.
/// </summary>
/// <param name="inner">The body as it came, which this one owns.</param>
/// <param name="codings">The codings that the answer claims.</param>
internal sealed class CodedFileStream(Stream inner, BodyCodings codings) : ForwardStream
{
    private readonly Recorder _raw = new(inner);
    private Stream? _decoded;
    private Stream? _file;

    private static ReadOnlySpan<byte> GzipBegin => [0x1f, 0x8b, 8];

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _file ??= await ChooseAsync(cancellationToken);
        return await _file.ReadAsync(buffer, cancellationToken);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            (_decoded ?? _raw).Dispose();
        }

        base.Dispose(disposing);
    }

    private async ValueTask<Stream> ChooseAsync(CancellationToken cancellationToken)
    {
        _decoded = codings.TakeOff(_raw);
        var head = new byte[GzipBegin.Length];
        var length = 0;
        try
        {
            length = await _decoded.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, cancellationToken);
        }
        // If the body ended here already, it was cut.
        catch (InvalidDataException) when (!_raw.IsAtEnd)
        {
            // There is no such coding, or it hides too much: the file's hash judges the bytes as they came.
        }

        var recorded = _raw.Stop();
        return head.AsSpan(0, length).SequenceEqual(GzipBegin) ? new HeadStream(head, _decoded) : new HeadStream(recorded, inner);
    }

    /// <summary>Passes bytes on and keeps them until it is told to stop.</summary>
    private sealed class Recorder(Stream inner) : ForwardStream
    {
        // Decoders give their first bytes after a header and one table, far below this.
        private const int RecordedMaxBytes = 64 * 1024;

        private MemoryStream? _recorded = new();

        internal bool IsAtEnd { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_recorded?.Length > RecordedMaxBytes)
            {
                throw new InvalidDataException($"The first {RecordedMaxBytes} bytes decode to nothing.");
            }

            var read = await inner.ReadAsync(buffer, cancellationToken);
            IsAtEnd |= read == 0 && !buffer.IsEmpty;
            _recorded?.Write(buffer.Span[..read]);
            return read;
        }

        internal byte[] Stop()
        {
            var recorded = _recorded?.ToArray() ?? [];
            _recorded = null;
            return recorded;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                inner.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
