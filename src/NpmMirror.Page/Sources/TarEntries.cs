using System.Buffers.Text;
using System.Text;

namespace NpmMirror.Page.Sources;

/// <summary>
/// Walks through the files of a tar archive from anywhere, within limits: how many bytes it unpacks to, how long names are. Nothing is written anywhere, and names are only
/// shown. Links, devices and folders are passed over, as npm does.
/// </summary>
internal sealed class TarEntries(Stream archive, long decodedMaxBytes)
{
    private const int BlockBytes = 512;
    private const int ExtendedMaxBytes = 64 * 1024;
    private const int NameAt = 0;
    private const int NameLength = 100;
    private const int SizeAt = 124;
    private const int SizeLength = 12;
    private const int TypeAt = 156;
    private const int MagicAt = 257;
    private const int PrefixAt = 345;
    private const int PrefixLength = 155;

    private readonly byte[] _header = new byte[BlockBytes];
    private long _decodedBytes;
    private long _left;
    private long _padding;

    /// <summary>The name of the file at hand.</summary>
    internal string Name { get; private set; } = "";

    /// <summary>Its length in bytes.</summary>
    internal long SizeBytes { get; private set; }

    /// <summary>Goes to the next file; false after the last.</summary>
    /// <exception cref="InvalidDataException">This is no tar archive, is cut, or unpacks to more than it may.</exception>
    internal async Task<bool> NextAsync(CancellationToken cancellationToken)
    {
        string? longName = null;
        long? longSize = null;
        while (true)
        {
            await SkipAsync(_left + _padding, cancellationToken);
            (_left, _padding) = (0, 0);
            if (!await ReadHeaderAsync(cancellationToken))
            {
                return false;
            }

            var (type, size) = (_header[TypeAt], Octal(SizeAt, SizeLength));
            if (type is (byte)'x' or (byte)'L')
            {
                var text = await ReadExtendedAsync(size, cancellationToken);
                if (type == 'L')
                {
                    longName = Encoding.UTF8.GetString(text).TrimEnd('\0');
                }
                else
                {
                    (longName, longSize) = (Member(text, "path"u8) is { Length: > 0 } path ? Encoding.UTF8.GetString(path) : longName, Member(text, "size"u8) is { Length: > 0 } written && Utf8Parser.TryParse(written, out long value, out _) && value >= 0 ? value : longSize);
                }

                continue;
            }

            size = longSize ?? size;
            if (size > decodedMaxBytes)
            {
                throw new InvalidDataException($"The archive has a file of {Words.Bytes(size)}.");
            }

            (_left, _padding) = (size, (BlockBytes - (size % BlockBytes)) % BlockBytes);
            if (type is (byte)'0' or 0)
            {
                (Name, SizeBytes) = (longName ?? NameInHeader(), size);
                return true;
            }

            (longName, longSize) = (null, null);
        }
    }

    /// <summary>Reads on in the file at hand; 0 at its end.</summary>
    internal async Task<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_left == 0)
        {
            return 0;
        }

        var read = await TakeAsync(buffer[..(int)Math.Min(buffer.Length, _left)], cancellationToken);
        _left -= read;
        return read > 0 ? read : throw new InvalidDataException("The archive is cut short.");
    }

    private async Task<bool> ReadHeaderAsync(CancellationToken cancellationToken)
    {
        for (var have = 0; have < BlockBytes;)
        {
            var read = await TakeAsync(_header.AsMemory(have), cancellationToken);
            if (read == 0)
            {
                return have == 0 ? false : throw new InvalidDataException("The archive is cut short.");
            }

            have += read;
        }

        // A block of zeros ends it.
        return _header.AsSpan().ContainsAnyExcept((byte)0);
    }

    private async Task<byte[]> ReadExtendedAsync(long size, CancellationToken cancellationToken)
    {
        if (size > ExtendedMaxBytes)
        {
            throw new InvalidDataException($"A name or header in the archive has {size} bytes.");
        }

        (_left, _padding) = (size, (BlockBytes - (size % BlockBytes)) % BlockBytes);
        var text = new byte[size];
        for (var have = 0; have < text.Length;)
        {
            have += await ReadAsync(text.AsMemory(have), cancellationToken);
        }

        return text;
    }

    private async Task SkipAsync(long bytes, CancellationToken cancellationToken)
    {
        var buffer = new byte[Math.Min(bytes, 64 * 1024)];
        while (bytes > 0)
        {
            var read = await TakeAsync(buffer.AsMemory(0, (int)Math.Min(bytes, buffer.Length)), cancellationToken);
            if (read == 0)
            {
                throw new InvalidDataException("The archive is cut short.");
            }

            bytes -= read;
        }
    }

    private async ValueTask<int> TakeAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var read = await archive.ReadAsync(buffer, cancellationToken);
        _decodedBytes += read;
        return _decodedBytes <= decodedMaxBytes ? read : throw new InvalidDataException($"The archive unpacks to more than {Words.Bytes(decodedMaxBytes)}.");
    }

    private string NameInHeader()
    {
        var name = Text(NameAt, NameLength);
        var prefix = _header.AsSpan(MagicAt, 5).SequenceEqual("ustar"u8) ? Text(PrefixAt, PrefixLength) : "";
        return prefix.Length > 0 ? $"{prefix}/{name}" : name;
    }

    private string Text(int at, int length)
    {
        var field = _header.AsSpan(at, length);
        var end = field.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? field : field[..end]);
    }

    private long Octal(int at, int length)
    {
        long value = 0;
        foreach (var digit in _header.AsSpan(at, length))
        {
            if (digit is >= (byte)'0' and <= (byte)'7')
            {
                value = (value * 8) + (digit - '0');
            }
            else if (digit is not ((byte)' ' or 0))
            {
                throw new InvalidDataException("This is no tar archive, or one whose numbers npm does not write.");
            }
        }

        return value;
    }

    /// <summary>The value of a record <c>length key=value\n</c>; the last of equal ones.</summary>
    private static byte[]? Member(ReadOnlySpan<byte> records, ReadOnlySpan<byte> key)
    {
        byte[]? found = null;
        while (Utf8Parser.TryParse(records, out int length, out var digits) && length > digits + 1 && length <= records.Length)
        {
            var record = records[(digits + 1)..length].TrimEnd((byte)'\n');
            if (record.IndexOf((byte)'=') is > 0 and var at && record[..at].SequenceEqual(key))
            {
                found = record[(at + 1)..].ToArray();
            }

            records = records[length..];
        }

        return found;
    }
}
