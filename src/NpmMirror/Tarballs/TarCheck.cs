using System.Buffers;
using System.IO.Pipelines;
using NpmMirror.Upstream;

namespace NpmMirror.Tarballs;

/// <summary>
/// Checks a tarball for which no hash is promised: it must be a tar archive, alone or in a whole gzip file. A log-in page, an empty answer and a cut
/// file are refused. The bytes are decoded while they come, and the check ends at the first fault.
/// </summary>
internal sealed class TarCheck : IDisposable
{
    /// <summary>A gzip file can unpack to a thousand times its size: one that unpacks to more than this is not decoded further.</summary>
    internal const long DecodedMaxBytes = 16L * 1024 * 1024 * 1024;

    private const int BufferBytes = 64 * 1024;

    // A bounded pipe: bytes that come faster than they are decoded wait.
    private readonly Pipe _pipe = new();
    private readonly Task<string?> _problem;

    internal TarCheck(long decodedMaxBytes = DecodedMaxBytes) => _problem = Task.Run(() => DecodeAsync(decodedMaxBytes));

    /// <summary>Takes the next bytes. After the decoder has ended they are ignored.</summary>
    internal async ValueTask AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => await _pipe.Writer.WriteAsync(bytes, cancellationToken);

    /// <summary>After the last byte: null if the file is whole, else its problem in one sentence.</summary>
    internal async Task<string?> FinishAsync(CancellationToken cancellationToken)
    {
        await _pipe.Writer.CompleteAsync();
        return await _problem.WaitAsync(cancellationToken) is { } problem ? $"No hash is promised for it, so it must be a tar archive, alone or in a whole gzip file, but {problem}." : null;
    }

    /// <summary>Ends the decoder, if it still waits for bytes.</summary>
    public void Dispose() => _pipe.Writer.Complete(new OperationCanceledException());

    private async Task<string?> DecodeAsync(long decodedMaxBytes)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            // Read without taking the bytes.
            var start = await _pipe.Reader.ReadAtLeastAsync(2);
            var isGzip = IsGzip(start.Buffer);
            _pipe.Reader.AdvanceTo(start.Buffer.Start);
            await using var bytes = _pipe.Reader.AsStream();
            await using var body = isGzip ? new DecodedStream(bytes, BodyCoding.Gzip) : bytes;
            var tar = new TarShape();
            int read;
            while ((read = await body.ReadAsync(buffer.AsMemory(0, BufferBytes))) > 0)
            {
                tar.Append(buffer.AsSpan(0, read));
                if (tar.LengthBytes > decodedMaxBytes)
                {
                    return $"it unpacks to more than {decodedMaxBytes} bytes";
                }
            }

            // A cut gzip file is found by its own end.
            return tar.LengthBytes == 0 ? "it is empty"
                : !tar.IsTar ? "it does not begin like one"
                : isGzip || tar.IsEnded ? null : "its end is missing";
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException)
        {
            return "it is no such file, or damaged, or cut short";
        }
        catch (OperationCanceledException)
        {
            return "it was not read to its end";
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool IsGzip(ReadOnlySequence<byte> start)
    {
        Span<byte> magic = stackalloc byte[2];
        if (start.Length < magic.Length)
        {
            return false;
        }

        start.Slice(0, magic.Length).CopyTo(magic);
        return magic.SequenceEqual((ReadOnlySpan<byte>)[0x1f, 0x8b]);
    }
}
