using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace NpmMirror.Packuments;

/// <summary>Reads the pieces of a stored index. Damaged bytes of any kind are a <see cref="MirrorException"/>.</summary>
internal ref struct IndexReader(ReadOnlySpan<byte> stored)
{
    private ReadOnlySpan<byte> _left = stored;

    /// <summary>The length of the document that all slices must lie in.</summary>
    public int DocumentSizeBytes { get; set; }

    public static MirrorException Damaged() => new(MirrorFault.StoreDamaged, "A stored packument index is damaged; run verify, or fetch the package again with ?refresh=1.");

    /// <summary>How much there is left to read.</summary>
    public readonly int LeftBytes => _left.Length;

    public byte Byte() => Take(1)[0];

    public ReadOnlySpan<byte> Bytes(int length) => Take(length);

    public ulong Number()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = Byte();
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw Damaged();
    }

    /// <summary>A number that fits an int and is not negative.</summary>
    public int Integer()
    {
        var value = Number();
        return value <= int.MaxValue ? (int)value : throw Damaged();
    }

    /// <summary>How many pieces follow, each of which takes at least <paramref name="sizeMinBytes"/>: a damaged count must not allocate gigabytes.</summary>
    public int Count(int sizeMinBytes)
    {
        var count = Integer();
        return count <= _left.Length / sizeMinBytes ? count : throw Damaged();
    }

    public int Add(int previous)
    {
        var sum = AddLong(previous);
        return sum is >= int.MinValue and <= int.MaxValue ? (int)sum : throw Damaged();
    }

    public long AddLong(long previous)
    {
        var value = Number();
        return unchecked(previous + ((long)(value >> 1) ^ -(long)(value & 1)));
    }

    public ulong Hash() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));

    public Slice Slice()
    {
        var length = Integer();
        return length == 0 ? default : Checked(Integer(), length);
    }

    public readonly Slice Checked(long offset, long length) =>
        offset >= 0 && length > 0 && offset + length <= DocumentSizeBytes ? new Slice((int)offset, (int)length) : throw Damaged();

    public DateTimeOffset? Date()
    {
        var ticks = Number();
        return ticks switch
        {
            0 => null,
            <= long.MaxValue => DateOf((long)(ticks - 1) / TimeSpan.TicksPerMillisecond, (long)(ticks - 1) % TimeSpan.TicksPerMillisecond),
            _ => throw Damaged(),
        };
    }

    public static DateTimeOffset DateOf(long milliseconds, long ticks)
    {
        if (milliseconds < 0 || milliseconds > DateTime.MaxValue.Ticks / TimeSpan.TicksPerMillisecond || ticks is < 0 or >= TimeSpan.TicksPerMillisecond)
        {
            throw Damaged();
        }

        return new DateTimeOffset((milliseconds * TimeSpan.TicksPerMillisecond) + ticks, TimeSpan.Zero);
    }

    public string Text()
    {
        var size = Number();
        var length = size >> 1;
        if (length > (ulong)_left.Length)
        {
            throw Damaged();
        }

        return (size & 1) == 0
            ? Encoding.UTF8.GetString(Take((int)length))
            : new string(MemoryMarshal.Cast<byte, char>(Take((int)length)));
    }

    public string Ascii(int length) => Encoding.ASCII.GetString(Take(length));

    private ReadOnlySpan<byte> Take(int bytes)
    {
        if (bytes > _left.Length)
        {
            throw Damaged();
        }

        var taken = _left[..bytes];
        _left = _left[bytes..];
        return taken;
    }
}
