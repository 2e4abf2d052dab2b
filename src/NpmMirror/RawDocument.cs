using System.Buffers;

namespace NpmMirror;

/// <summary>
/// A document's raw bytes outside the managed heap, held under a <see cref="ByteBudget"/>: a 51 MB packument neither sits in a pool
/// nor waits for a collection after its last use.
/// </summary>
internal sealed class RawDocument : MemoryManager<byte>
{
    private ByteBudget.Lease _lease;
    private nint _start;
    private int _blockBytes;
    private int _capacity;

    private RawDocument(ByteBudget.Lease lease, int capacity)
    {
        _lease = lease;
        _capacity = capacity;
        (_start, _blockBytes) = NativeBlocks.Rent(capacity);
    }

    /// <summary>Bytes written so far.</summary>
    public int LengthBytes { get; private set; }

    /// <summary>The written bytes.</summary>
    public ReadOnlySpan<byte> Bytes => GetSpan()[..LengthBytes];

    /// <summary>The written bytes, for asynchronous calls. Not to be used after <see cref="Dispose()"/>.</summary>
    public ReadOnlyMemory<byte> BytesMemory => Memory;

    /// <inheritdoc/>
    public override Memory<byte> Memory => CreateMemory(LengthBytes);

    /// <summary>An empty document with room for <paramref name="capacityBytes"/>, for serving.</summary>
    public static ValueTask<RawDocument> CreateAsync(ByteBudget budget, int capacityBytes, CancellationToken cancellationToken) =>
        CreateAsync(budget, capacityBytes, BudgetUse.Serving, cancellationToken);

    /// <summary>An empty document with room for <paramref name="capacityBytes"/>.</summary>
    public static async ValueTask<RawDocument> CreateAsync(ByteBudget budget, int capacityBytes, BudgetUse use, CancellationToken cancellationToken)
    {
        var lease = await budget.ReserveAsync(capacityBytes, use, cancellationToken);
        return new RawDocument(lease, capacityBytes);
    }

    /// <summary>An empty document for a body that is arriving; null when there is no room for one.</summary>
    internal static RawDocument? TryBegin(ByteBudget budget, int capacityBytes) =>
        budget.TryReserveArriving(capacityBytes) is { } lease ? new RawDocument(lease, capacityBytes) : null;

    /// <summary>An empty document for the piece of work that holds this one already; see <see cref="ByteBudget.Lease.ReserveBesideAsync"/>.</summary>
    public async ValueTask<RawDocument> CreateBesideAsync(int capacityBytes, CancellationToken cancellationToken)
    {
        var lease = await _lease.ReserveBesideAsync(capacityBytes, cancellationToken);
        return new RawDocument(lease, capacityBytes);
    }

    /// <summary>Reads a peer's body to its end: it takes memory only for the bytes that have come, and a slow peer delays no other.</summary>
    /// <param name="body">The decoded body; its owner gives it its time-outs.</param>
    /// <param name="budget">Where the memory is accounted.</param>
    /// <param name="limitBytes">The longest body accepted.</param>
    /// <param name="use">The use of the whole body.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The document, or null if the body is longer than the limit.</returns>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreReadOnly"/>: a long body has no room, neither in memory nor on the disk.</exception>
    public static Task<RawDocument?> ReadAsync(Stream body, ByteBudget budget, int limitBytes, BudgetUse use, CancellationToken cancellationToken) =>
        BodyIntake.ReadAsync(body, budget, limitBytes, use, cancellationToken);

    /// <summary>The room after the written bytes.</summary>
    public Span<byte> RoomLeft => GetSpan()[LengthBytes..];

    /// <summary>Counts bytes written into <see cref="RoomLeft"/>.</summary>
    public void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, _capacity - LengthBytes);
        LengthBytes += bytes;
    }

    /// <summary>Reads once into the room that is left; 0 at the end of the stream.</summary>
    internal async ValueTask<int> ReadOnceAsync(Stream stream, CancellationToken cancellationToken)
    {
        var read = await stream.ReadAsync(CreateMemory(LengthBytes, _capacity - LengthBytes), cancellationToken);
        LengthBytes += read;
        return read;
    }

    /// <summary>Makes room for <paramref name="capacityBytes"/> in all, if the budget has it now.</summary>
    internal bool TryGrow(int capacityBytes)
    {
        if (capacityBytes <= _capacity || !_lease.TryGrow(capacityBytes - _capacity))
        {
            return false;
        }

        Reallocate(capacityBytes);
        return true;
    }

    /// <summary>All has arrived: waits for room among the whole documents, and gives back the memory for arriving bytes.</summary>
    internal async ValueTask SettleAsync(ByteBudget budget, BudgetUse use, CancellationToken cancellationToken)
    {
        var settled = await budget.ReserveAsync(LengthBytes, use, cancellationToken);
        Reallocate(LengthBytes);
        _lease.Dispose();
        _lease = settled;
    }

    /// <summary>Puts bytes that come of this document where bodies without room go; they are read again when they are needed.</summary>
    internal async Task<SpillFile> SpillAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var file = SpillFile.Create(_lease.SpillFolder);
        try
        {
            await file.AppendAsync(bytes, cancellationToken);
            return file;
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
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
            NativeBlocks.Return(_start, _blockBytes);
            _start = 0;
            LengthBytes = 0;
            _capacity = 0;
            _lease.Dispose();
        }
    }

    /// <summary>Makes room for so many bytes, of which there is a lease, and gives a block back that would be more than half empty.</summary>
    private void Reallocate(int capacityBytes)
    {
        ObjectDisposedException.ThrowIf(_start == 0, this);
        _capacity = capacityBytes;
        if (capacityBytes > _blockBytes || capacityBytes <= _blockBytes / 2)
        {
            (_start, _blockBytes) = NativeBlocks.Resize(_start, _blockBytes, capacityBytes, LengthBytes);
        }
    }
}
