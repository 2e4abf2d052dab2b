namespace NpmMirror.Maintenance;

/// <summary>Counts the items of a collection, and tells them.</summary>
internal sealed class CollectionTally(Action<CollectedItem> told)
{
    private readonly Dictionary<GarbageKind, (long Count, long SizeBytes)> _kinds = [];

    internal IReadOnlyDictionary<GarbageKind, (long Count, long SizeBytes)> Kinds => _kinds;

    internal void Add(GarbageKind kind, string subject, long sizeBytes)
    {
        var (count, bytes) = _kinds.GetValueOrDefault(kind);
        _kinds[kind] = (count + 1, bytes + sizeBytes);
        told(new CollectedItem(kind, subject, sizeBytes));
    }
}
