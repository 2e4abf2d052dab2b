namespace NpmMirror.Tarballs;

/// <summary>Whether bytes that come in pieces look like a tar archive: they begin with the header of an entry, and end with an empty block. The entries are not read.</summary>
internal sealed class TarShape
{
    private const int BlockBytes = 512;
    private const int ChecksumAt = 148;
    private const int ChecksumLength = 8;

    private readonly byte[] _header = new byte[BlockBytes];
    private long _zerosAtEnd;

    /// <summary>How many bytes have come.</summary>
    internal long LengthBytes { get; private set; }

    /// <summary>Whether the first block is an entry's header: it has the sum of its bytes in it. Every kind of tar has that.</summary>
    internal bool IsTar => LengthBytes >= BlockBytes && ReadChecksum(_header.AsSpan(ChecksumAt, ChecksumLength)) is { } written && IsSum(written);

    /// <summary>Whether the archive ends as all do, with a block of zeros.</summary>
    internal bool IsEnded => _zerosAtEnd >= BlockBytes;

    /// <summary>Takes the next bytes.</summary>
    internal void Append(ReadOnlySpan<byte> bytes)
    {
        if (LengthBytes < BlockBytes)
        {
            bytes[..(int)Math.Min(bytes.Length, BlockBytes - LengthBytes)].CopyTo(_header.AsSpan((int)LengthBytes));
        }

        var last = bytes.LastIndexOfAnyExcept((byte)0);
        _zerosAtEnd = last < 0 ? _zerosAtEnd + bytes.Length : bytes.Length - 1 - last;
        LengthBytes += bytes.Length;
    }

    /// <summary>Octal digits, with blanks before them, ended by a blank, a zero byte or the field's end.</summary>
    private static int? ReadChecksum(ReadOnlySpan<byte> field)
    {
        var digits = field.TrimStart((byte)' ');
        var end = digits.IndexOfAnyExceptInRange((byte)'0', (byte)'7');
        if (end == 0 || digits.IsEmpty || (end > 0 && digits[end] is not (0 or (byte)' ')))
        {
            return null;
        }

        var sum = 0;
        foreach (var digit in end < 0 ? digits : digits[..end])
        {
            sum = (sum * 8) + digit - '0';
        }

        return sum;
    }

    // Its own field counts as blanks. Old programs took the bytes for signed.
    private bool IsSum(int written)
    {
        var (unsigned, signed) = (ChecksumLength * ' ', ChecksumLength * ' ');
        for (var i = 0; i < BlockBytes; i++)
        {
            if (i is < ChecksumAt or >= ChecksumAt + ChecksumLength)
            {
                unsigned += _header[i];
                signed += (sbyte)_header[i];
            }
        }

        return written == unsigned || written == signed;
    }
}
