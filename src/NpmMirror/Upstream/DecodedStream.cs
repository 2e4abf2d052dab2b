using System.IO.Compression;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace NpmMirror.Upstream;

/// <summary>
/// A body with one content coding taken off, as npm's clients read it: gzip may have several members and padding after them, deflate may come
/// without its zlib frame. A body that was cut ends as an error: .NET's own decoders end it as if it were whole.
/// </summary>
/// <param name="inner">The coded body, which this one owns.</param>
/// <param name="coding">How it is coded.</param>
internal sealed class DecodedStream(Stream inner, BodyCoding coding) : ForwardStream
{
    private const int ZstandardWindowMaxLog = 23;

    private readonly CodedInput _input = new(inner, hasFiller: coding == BodyCoding.Gzip);
    private Stream? _decoder;

    /// <inheritdoc/>
    /// <exception cref="EndOfStreamException">The body was cut.</exception>
    /// <exception cref="InvalidDataException">The body is not coded so.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty)
        {
            return 0;
        }

        _decoder ??= await OpenAsync(cancellationToken);
        int read;
        try
        {
            read = await _decoder.ReadAsync(buffer, cancellationToken);
        }
        // These are the exceptions of .NET's Brotli and of ZstdSharp for invalid data.
        catch (Exception exception) when (exception is InvalidOperationException or ZstdException)
        {
            throw new InvalidDataException("The data is not coded as its header says.", exception);
        }

        // Zstandard's decoder finds a cut by itself; it always asks for another frame. The others ask for more input only when they can give nothing more.
        return coding == BodyCoding.Zstandard ? read : _input.IsCut || (read > 0 && _input.IsFilled) ? throw new EndOfStreamException("The compressed data was cut.") : read;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            (_decoder ?? _input).Dispose();
        }

        base.Dispose(disposing);
    }

    private async ValueTask<Stream> OpenAsync(CancellationToken cancellationToken) => coding switch
    {
        BodyCoding.Gzip => new GZipStream(_input, CompressionMode.Decompress),
        BodyCoding.Brotli => new BrotliStream(_input, CompressionMode.Decompress),
        BodyCoding.Zstandard => OpenZstandard(),
        _ => await OpenDeflateAsync(cancellationToken),
    };

    private DecompressionStream OpenZstandard()
    {
        var decoder = new DecompressionStream(_input, checkEndOfStream: true, leaveOpen: false);
        decoder.SetParameter(ZSTD_dParameter.ZSTD_d_windowLogMax, ZstandardWindowMaxLog);
        return decoder;
    }

    private async ValueTask<Stream> OpenDeflateAsync(CancellationToken cancellationToken)
    {
        var head = new byte[2];
        var length = await _input.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, cancellationToken);
        var whole = new HeadStream(head.AsMemory(0, length), _input);
        return IsZlib(head) ? new ZLibStream(whole, CompressionMode.Decompress) : new DeflateStream(whole, CompressionMode.Decompress);
    }

    /// <summary>RFC 1950 §2.2: the method is 8, and the two bytes are a multiple of 31.</summary>
    private static bool IsZlib(ReadOnlySpan<byte> head) => (head[0] & 0x0f) == 8 && ((head[0] << 8) + head[1]) % 31 == 0;

    /// <summary>
    /// The coded bytes, and whether the decoder wanted more of them than there were. Brotli and deflate know their end. Gzip may go on with another
    /// member, so its decoder always asks: it is given bytes that begin no member, end no data (no length of four gigabytes is accepted) and are
    /// left where they are when all is whole.
    /// </summary>
    private sealed class CodedInput(Stream inner, bool hasFiller) : ForwardStream
    {
        private const byte Filler = 0xff;
        private const int FillerBytes = 16;

        private bool _hasBytes;

        internal bool IsFilled { get; private set; }

        /// <summary>The decoder asked on after the end. A body of no bytes at all is an empty one.</summary>
        internal bool IsCut { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await inner.ReadAsync(buffer, cancellationToken);
            _hasBytes |= read > 0;
            if (read > 0 || buffer.IsEmpty || !_hasBytes)
            {
                return read;
            }

            if (!hasFiller || IsFilled)
            {
                IsCut = true;
                return 0;
            }

            IsFilled = true;
            var filler = buffer.Span[..Math.Min(buffer.Length, FillerBytes)];
            filler.Fill(Filler);
            return filler.Length;
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
