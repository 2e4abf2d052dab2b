using System.Buffers.Binary;
using System.Text;
using NpmMirror.Feeds;

namespace NpmMirror.Following;

/// <summary>
/// The rows that were handled lately, so that reading a stretch of the feed again costs nothing for known rows. Bounded: it knows the last
/// quarter million at least, half a million at most; a row that it has forgotten is looked at once more.
/// </summary>
internal sealed class RowReceipts(int generationMax = 262_144)
{
    private HashSet<ulong> _young = [];
    private HashSet<ulong> _old = [];

    internal bool Has(ChangeRow row) => Key(row) is var key && (_young.Contains(key) || _old.Contains(key));

    internal void Add(ChangeRow row)
    {
        if (_young.Count >= generationMax)
        {
            (_old, _young) = (_young, []);
        }

        _young.Add(Key(row));
    }

    /// <summary>Id, rev and whether it is a deletion; not the sequence: the same change at another place is the same change.</summary>
    private static ulong Key(ChangeRow row) =>
        BinaryPrimitives.ReadUInt64LittleEndian(Digest.OfSha256(Encoding.UTF8.GetBytes($"{row.Id}\n{row.Rev}\n{row.IsDeleted}")).Bytes);
}
