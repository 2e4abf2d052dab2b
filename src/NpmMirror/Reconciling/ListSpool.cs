using System.Buffers.Binary;
using System.Text;
using NpmMirror.Storage;

namespace NpmMirror.Reconciling;

/// <summary>
/// Puts a list of any length into the order of UTF-8 bytes: sorted pieces of some megabytes, on disk except for the
/// last, merged while they are read. A short list touches no disk.
/// </summary>
/// <param name="folder">The folder of pieces, for messages.</param>
/// <param name="files">Names the pieces, and removes what a dead process left of its own.</param>
/// <param name="pieceBytes">The bytes that are sorted at once, in memory.</param>
internal sealed class ListSpool(string folder, UnfinishedFiles files, int pieceBytes = ListSpool.PieceBytes) : IDisposable
{
    // 4.4 million ids are 20 pieces; no more than 4 GB ever lie on disk.
    private const int PieceBytes = 16 * 1024 * 1024;
    private const int PiecesMax = 256;
    private const int FileBufferBytes = 64 * 1024;

    /// <summary>A longer one is as good as none: it only costs a look at the package.</summary>
    private const int RevMaxBytes = 256;

    // A record: two lengths, the time of the last change in milliseconds (0 for none), the name, the rev (empty for none).
    private const int ModifiedOffset = 2 * sizeof(ushort);
    private const int HeaderBytes = ModifiedOffset + sizeof(long);
    private const int RecordMaxBytes = HeaderBytes + PackageName.LengthMaxBytes + RevMaxBytes;

    private readonly byte[] _piece = new byte[Math.Max(pieceBytes, RecordMaxBytes)];
    private readonly List<int> _starts = [];
    private readonly List<FileStream> _spilled = [];
    private int _pieceLength;

    private static Comparer<IEnumerator<ReadOnlyMemory<byte>>> ByName { get; } =
        Comparer<IEnumerator<ReadOnlyMemory<byte>>>.Create((left, right) => NameOf(left.Current.Span).SequenceCompareTo(NameOf(right.Current.Span)));

    /// <summary>Adds a package.</summary>
    /// <exception cref="MirrorException">The disk is full or not writable, or the list has no end.</exception>
    internal void Add(PackageName name, string? rev, DateTimeOffset? modifiedAt = null)
    {
        if (_piece.Length - _pieceLength < RecordMaxBytes)
        {
            Spill();
        }

        var record = _piece.AsSpan(_pieceLength);
        var nameBytes = Encoding.UTF8.GetBytes(name.Value, record[HeaderBytes..]);
        var revBytes = rev is null || Encoding.UTF8.GetByteCount(rev) > RevMaxBytes ? 0 : Encoding.UTF8.GetBytes(rev, record[(HeaderBytes + nameBytes)..]);
        BinaryPrimitives.WriteUInt16LittleEndian(record, (ushort)nameBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(record[sizeof(ushort)..], (ushort)revBytes);
        BinaryPrimitives.WriteInt64LittleEndian(record[ModifiedOffset..], modifiedAt?.ToUnixTimeMilliseconds() ?? 0);
        _starts.Add(_pieceLength);
        _pieceLength += HeaderBytes + nameBytes + revBytes;
    }

    /// <summary>All added names, in order, each once. To be read once, and nothing added afterwards.</summary>
    /// <exception cref="MirrorException">A piece cannot be read back.</exception>
    internal IEnumerable<ListMark> ReadSorted()
    {
        Sort();
        var heads = new PriorityQueue<IEnumerator<ReadOnlyMemory<byte>>, IEnumerator<ReadOnlyMemory<byte>>>(ByName);
        foreach (var records in _spilled.Select(ReadSpilled).Prepend(_starts.Select(RecordAt)))
        {
            Advance(heads, records.GetEnumerator());
        }

        PackageName? last = null;
        while (heads.TryDequeue(out var head, out _))
        {
            var record = head.Current.Span;
            var name = PackageName.Parse(Encoding.UTF8.GetString(NameOf(record)));
            var rev = RevOf(record);
            var modified = BinaryPrimitives.ReadInt64LittleEndian(record[ModifiedOffset..]);
            Advance(heads, head);
            if (name != last)
            {
                last = name;
                yield return new ListMark(name, rev.Length == 0 ? null : rev, modified == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(modified));
            }
        }
    }

    /// <summary>Removes all pieces.</summary>
    public void Dispose()
    {
        _spilled.ForEach(file => file.Dispose());
        _spilled.Clear();
    }

    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> record) => record.Slice(HeaderBytes, BinaryPrimitives.ReadUInt16LittleEndian(record));

    private static string RevOf(ReadOnlySpan<byte> record) => Encoding.UTF8.GetString(record[(HeaderBytes + BinaryPrimitives.ReadUInt16LittleEndian(record))..]);

    private static int LengthOf(ReadOnlySpan<byte> record) =>
        HeaderBytes + BinaryPrimitives.ReadUInt16LittleEndian(record) + BinaryPrimitives.ReadUInt16LittleEndian(record[sizeof(ushort)..]);

    private static void Advance(PriorityQueue<IEnumerator<ReadOnlyMemory<byte>>, IEnumerator<ReadOnlyMemory<byte>>> heads, IEnumerator<ReadOnlyMemory<byte>> records)
    {
        if (records.MoveNext())
        {
            heads.Enqueue(records, records);
        }
        else
        {
            records.Dispose();
        }
    }

    private ReadOnlyMemory<byte> RecordAt(int start) => _piece.AsMemory(start, LengthOf(_piece.AsSpan(start)));

    private IEnumerable<ReadOnlyMemory<byte>> ReadSpilled(FileStream file)
    {
        var record = new byte[RecordMaxBytes];
        file.Position = 0;
        while (TryReadRecord(file, record, out var length))
        {
            yield return record.AsMemory(0, length);
        }
    }

    private bool TryReadRecord(FileStream file, byte[] record, out int length)
    {
        try
        {
            length = 0;
            if (file.Position == file.Length)
            {
                return false;
            }

            file.ReadExactly(record, 0, HeaderBytes);
            length = LengthOf(record);
            file.ReadExactly(record, HeaderBytes, length - HeaderBytes);
            return true;
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, folder);
        }
    }

    private void Sort() => _starts.Sort((left, right) => NameOf(_piece.AsSpan(left)).SequenceCompareTo(NameOf(_piece.AsSpan(right))));

    private void Spill()
    {
        if (_spilled.Count == PiecesMax)
        {
            throw new MirrorException(MirrorFault.UpstreamMalformed, "The upstream's list of packages has no end: it is longer than any registry's; nothing was compared.");
        }

        Sort();
        try
        {
            // It is not needed after a crash: not synced, and gone when it is closed.
            var file = new FileStream(
                files.NextPath(),
                new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, Share = FileShare.None, Options = FileOptions.DeleteOnClose, BufferSize = FileBufferBytes });
            _spilled.Add(file);
            foreach (var start in _starts)
            {
                file.Write(RecordAt(start).Span);
            }

            file.Flush();
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, folder);
        }

        _starts.Clear();
        _pieceLength = 0;
    }
}

/// <summary>The upstream's list entry of a package.</summary>
/// <param name="Name">The package.</param>
/// <param name="Rev">Its revision, if the list has revs.</param>
/// <param name="ModifiedAt">When it changed last, if the list has times; to the millisecond.</param>
internal readonly record struct ListMark(PackageName Name, string? Rev, DateTimeOffset? ModifiedAt);
