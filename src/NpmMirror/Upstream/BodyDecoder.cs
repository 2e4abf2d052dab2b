using System.Buffers.Binary;
using System.IO.Compression;

namespace NpmMirror.Upstream;

/// <summary>
/// Takes content codings off a body and notices one that was cut: .NET's own decoders end such a body as if it were whole, unless a
/// switch of the whole process says otherwise.
/// </summary>
internal sealed class BodyDecoder
{
    // The shortest gzip member: ten bytes of header, two of data, eight of trailer.
    private const int GzipMinBytes = 20;

    private readonly List<(bool IsGzip, Tail Tail)> _layers = [];

    private BodyDecoder(Stream stream) => Stream = stream;

    /// <summary>The decoded body.</summary>
    internal Stream Stream { get; private set; }

    internal static BodyDecoder Create(Stream raw, IEnumerable<string> codings, Uri url)
    {
        var decoder = new BodyDecoder(raw);
        foreach (var coding in codings.Reverse())
        {
            decoder.TakeOff(coding, url);
        }

        return decoder;
    }

    /// <summary>Whether the compressed data really ended; asked when the decoded body, that many bytes long, ended.</summary>
    internal bool IsComplete(long decodedBytes)
    {
        // One coding is all that happens; of several only the outermost decoded length is known.
        return _layers.Count != 1 || _layers[0] switch
        {
            { Tail.LengthBytes: 0 } => decodedBytes == 0,
            // The last four bytes of a gzip member are its length; one member a body, as clients insist.
            { IsGzip: true, Tail: var tail } => tail.LengthBytes >= GzipMinBytes && BinaryPrimitives.ReadUInt32LittleEndian(tail.LastBytes) == (uint)decodedBytes,
            // The others know their end by themselves: one that asked for more did not find it.
            { Tail: var tail } => !tail.IsAtEnd,
        };
    }

    private void TakeOff(string coding, Uri url)
    {
        var name = coding.ToUpperInvariant();
        if (name is "IDENTITY" or "")
        {
            return;
        }

        var tail = new Tail(Stream);
        _layers.Add((name is "GZIP" or "X-GZIP", tail));
        Stream = name switch
        {
            "GZIP" or "X-GZIP" => new GZipStream(tail, CompressionMode.Decompress),
            "BR" => new BrotliStream(tail, CompressionMode.Decompress),
            "DEFLATE" => new ZLibStream(tail, CompressionMode.Decompress),
            _ => throw UpstreamFailures.Malformed(url, $"is encoded as {MirrorException.Quote(coding)}, which was not asked for"),
        };
    }

    /// <summary>Passes bytes through and remembers the last four.</summary>
    private sealed class Tail(Stream inner) : ForwardStream
    {
        private readonly byte[] _last = new byte[sizeof(uint)];

        internal ReadOnlySpan<byte> LastBytes => _last;

        internal long LengthBytes { get; private set; }

        internal bool IsAtEnd { get; private set; }

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await inner.ReadAsync(buffer, cancellationToken);
            Note(buffer.Span[..read]);
            IsAtEnd |= read == 0 && !buffer.IsEmpty;
            return read;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                inner.Dispose();
            }

            base.Dispose(disposing);
        }

        private void Note(ReadOnlySpan<byte> bytes)
        {
            LengthBytes += bytes.Length;
            var fresh = bytes[Math.Max(0, bytes.Length - _last.Length)..];
            _last.AsSpan(fresh.Length).CopyTo(_last);
            fresh.CopyTo(_last.AsSpan(_last.Length - fresh.Length));
        }
    }
}
