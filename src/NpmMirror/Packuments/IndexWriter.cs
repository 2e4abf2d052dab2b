using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace NpmMirror.Packuments;

/// <summary>Writes the pieces of a stored index.</summary>
internal ref struct IndexWriter(int capacity)
{
    private byte[] _buffer = new byte[capacity];
    private int _length;

    public readonly ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    public void Byte(byte value)
    {
        Room(1)[0] = value;
        _length++;
    }

    public void Bytes(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        _length += bytes.Length;
    }

    /// <summary>Seven bits a byte, lowest first.</summary>
    public void Number(ulong value)
    {
        var room = Room(10);
        var i = 0;
        for (; value >= 0x80; value >>= 7)
        {
            room[i++] = (byte)(value | 0x80);
        }

        room[i++] = (byte)value;
        _length += i;
    }

    /// <summary>A number that may be negative: small ones of either sign are short.</summary>
    public void Difference(long value) => Number((ulong)((value << 1) ^ (value >> 63)));

    public void Hash(ulong hash)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(Room(sizeof(ulong)), hash);
        _length += sizeof(ulong);
    }

    public void Slice(Slice slice)
    {
        Number((ulong)slice.Length);
        if (!slice.IsEmpty)
        {
            Number((ulong)slice.Offset);
        }
    }

    public void Date(DateTimeOffset? date) => Number(date is { } known ? (ulong)known.UtcTicks + 1 : 0);

    /// <summary>UTF-8, or UTF-16 where UTF-8 cannot hold it: half a surrogate pair.</summary>
    public void Text(ReadOnlySpan<char> text)
    {
        if (IsWellFormed(text))
        {
            var size = Encoding.UTF8.GetByteCount(text);
            Number((ulong)size << 1);
            Encoding.UTF8.GetBytes(text, Room(size));
            _length += size;
        }
        else
        {
            Number(((ulong)text.Length << 2) | 1);
            Bytes(MemoryMarshal.AsBytes(text));
        }
    }

    public void Ascii(ReadOnlySpan<char> text) => _length += Encoding.ASCII.GetBytes(text, Room(text.Length));

    private static bool IsWellFormed(ReadOnlySpan<char> text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]) && !(i + 1 < text.Length && char.IsSurrogatePair(text[i], text[++i])))
            {
                return false;
            }
        }

        return true;
    }

    private Span<byte> Room(int bytes)
    {
        if (_buffer.Length - _length < bytes)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + bytes));
        }

        return _buffer.AsSpan(_length);
    }
}
