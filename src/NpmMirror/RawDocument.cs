using System.Buffers;
using System.Runtime.InteropServices;

namespace NpmMirror;

/// <summary>
/// A document's raw bytes outside the managed heap, held under a <see cref="ByteBudget"/>: a 51 MB packument neither sits in a pool
/// nor waits for a collection after its last use.
/// </summary>
public sealed class RawDocument : MemoryManager<byte>
{
    private readonly ByteBudget.Lease _lease;
    private nint _start;
    private int _capacity;

    private RawDocument(ByteBudget.Lease lease, int capacity)
    {
        _lease = lease;
        _capacity = Math.Max(capacity, 1);
        _start = Allocate(_capacity);
    }

    /// <summary>Bytes written so far.</summary>
    public int LengthBytes { get; private set; }

    /// <summary>What was written.</summary>
    public ReadOnlySpan<byte> Bytes => GetSpan()[..LengthBytes];

    /// <summary>What was written, for calls that wait. Not to be used after <see cref="Dispose()"/>.</summary>
    public ReadOnlyMemory<byte> BytesMemory => Memory;

    /// <inheritdoc/>
    public override Memory<byte> Memory => CreateMemory(LengthBytes);

    /// <summary>An empty document with room for <paramref name="capacityBytes"/>.</summary>
    public static async ValueTask<RawDocument> CreateAsync(ByteBudget budget, int capacityBytes, CancellationToken cancellationToken)
    {
        var lease = await budget.ReserveAsync(capacityBytes, cancellationToken);
        return new RawDocument(lease, capacityBytes);
    }

    /// <summary>An empty document for the piece of work that holds this one already; see <see cref="ByteBudget.Lease.ReserveBesideAsync"/>.</summary>
    public async ValueTask<RawDocument> CreateBesideAsync(int capacityBytes, CancellationToken cancellationToken)
    {
        var lease = await _lease.ReserveBesideAsync(capacityBytes, cancellationToken);
        return new RawDocument(lease, capacityBytes);
    }

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">The decoded body.</param>
    /// <param name="budget">Where the memory is accounted.</param>
    /// <param name="expectedBytes">A guess of the length; it only saves copies.</param>
    /// <param name="limitBytes">The longest body accepted.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The document, or null when the stream is longer than the limit.</returns>
    public static async Task<RawDocument?> ReadAsync(Stream stream, ByteBudget budget, int expectedBytes, int limitBytes, CancellationToken cancellationToken)
    {
        var document = await CreateAsync(budget, Math.Clamp(expectedBytes, 64 * 1024, limitBytes), cancellationToken);
        try
        {
            while (true)
            {
                if (document.LengthBytes == document._capacity)
                {
                    if (document._capacity >= limitBytes)
                    {
                        // One byte more than the limit tells "exactly at the limit" from "over it".
                        var probe = new byte[1];
                        if (await stream.ReadAsync(probe, cancellationToken) == 0)
                        {
                            return document;
                        }

                        ((IDisposable)document).Dispose();
                        return null;
                    }

                    await document.GrowAsync((int)Math.Min(limitBytes, document._capacity * 2L), cancellationToken);
                }

                var read = await stream.ReadAsync(document.CreateMemory(document.LengthBytes, document._capacity - document.LengthBytes), cancellationToken);
                if (read == 0)
                {
                    return document;
                }

                document.LengthBytes += read;
            }
        }
        catch
        {
            ((IDisposable)document).Dispose();
            throw;
        }
    }

    /// <summary>A copy of bytes at hand.</summary>
    public static async ValueTask<RawDocument> CopyAsync(ReadOnlyMemory<byte> bytes, ByteBudget budget, CancellationToken cancellationToken)
    {
        var document = await CreateAsync(budget, bytes.Length, cancellationToken);
        bytes.Span.CopyTo(document.RoomLeft);
        document.Advance(bytes.Length);
        return document;
    }

    /// <summary>The room behind what was written.</summary>
    public Span<byte> RoomLeft => GetSpan()[LengthBytes..];

    /// <summary>Counts bytes written into <see cref="RoomLeft"/>.</summary>
    public void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, _capacity - LengthBytes);
        LengthBytes += bytes;
    }

    /// <summary>Makes room for <paramref name="capacityBytes"/> in all.</summary>
    public async ValueTask GrowAsync(int capacityBytes, CancellationToken cancellationToken)
    {
        if (capacityBytes <= _capacity)
        {
            return;
        }

        await _lease.GrowAsync(capacityBytes - _capacity, cancellationToken);
        Reallocate(capacityBytes);
    }

    /// <summary>The whole room, written or not; see <see cref="Bytes"/>.</summary>
    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(_start == 0, this);
        unsafe
        {
            return new Span<byte>((void*)_start, _capacity);
        }
    }

    /// <inheritdoc/>
    public override unsafe MemoryHandle Pin(int elementIndex = 0) => new((byte*)_start + elementIndex);

    /// <inheritdoc/>
    public override void Unpin()
    {
    }

    /// <summary>Frees the memory and returns the bytes to the budget.</summary>
    public void Dispose() => ((IDisposable)this).Dispose();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (_start != 0)
        {
            Free(_start);
            _start = 0;
            LengthBytes = 0;
            _capacity = 0;
            _lease.Dispose();
        }
    }

    private unsafe void Reallocate(int capacityBytes)
    {
        _start = (nint)NativeMemory.Realloc((void*)_start, (nuint)capacityBytes);
        _capacity = capacityBytes;
    }

    private static unsafe nint Allocate(int bytes) => (nint)NativeMemory.Alloc((nuint)bytes);

    private static unsafe void Free(nint start) => NativeMemory.Free((void*)start);
}
