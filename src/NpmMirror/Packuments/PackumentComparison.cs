namespace NpmMirror.Packuments;

/// <summary>The exact comparison of <see cref="PackumentDiff.Compare"/>: a difference of hashes says where to look, equality is decided by the bytes: hashes of two different pieces may be equal.</summary>
internal readonly ref struct PackumentComparison(PackumentIndex oldIndex, ReadOnlySpan<byte> oldDocument, PackumentIndex newIndex, ReadOnlySpan<byte> newDocument)
{
    private readonly PackumentIndex _oldIndex = oldIndex;
    private readonly PackumentIndex _newIndex = newIndex;
    private readonly ReadOnlySpan<byte> _oldDocument = oldDocument;
    private readonly ReadOnlySpan<byte> _newDocument = newDocument;

    public static List<VersionEntry> Without(PackumentIndex index, PackumentIndex other)
    {
        var entries = new List<VersionEntry>();
        for (var i = 0; i < index.Versions.Count; i++)
        {
            if (other.IndexOf(index.Versions[i].Version) < 0)
            {
                entries.Add(index.Versions[i]);
            }
        }

        return entries;
    }

    public List<ManifestChange> Manifests()
    {
        var changes = new List<ManifestChange>();
        foreach (var version in _newIndex.Versions)
        {
            if (_oldIndex.Find(version.Version) is { } old
                && (old.Hash != version.Hash || !HasTextOf(old, version))
                && MembersOfManifest(old, version) is { Count: > 0 } members)
            {
                changes.Add(new ManifestChange(version.Version, members));
            }
        }

        return changes;
    }

    public List<(string Tag, string? From, string? To)> Tags()
    {
        var changes = new List<(string Tag, string? From, string? To)>();
        foreach (var (tag, version) in _newIndex.DistTags)
        {
            if (!_oldIndex.DistTags.TryGetValue(tag, out var old) || old != version)
            {
                changes.Add((tag, old, version));
            }
        }

        foreach (var (tag, version) in _oldIndex.DistTags)
        {
            if (!_newIndex.DistTags.ContainsKey(tag))
            {
                changes.Add((tag, version, null));
            }
        }

        return changes;
    }

    public bool AreMaintainersChanged() =>
        !AreEqual(_oldIndex.Maintainers, _newIndex.Maintainers);

    public List<MemberChange> Members()
    {
        var changes = new List<MemberChange>();
        var oldMembers = JsonMembers.ReadTop(_oldDocument, _oldIndex.VersionsValue);
        var newMembers = JsonMembers.ReadTop(_newDocument, _newIndex.VersionsValue);
        Add(changes, oldMembers, newMembers);
        AddLeftOut(changes, oldMembers, newMembers);
        if (!_oldIndex.Time.Of(_oldDocument).SequenceEqual(_newIndex.Time.Of(_newDocument)) && AreTimesChanged())
        {
            changes.Add(new MemberChange("time", _oldIndex.Time));
        }

        return changes;
    }

    private void Add(List<MemberChange> changes, OrderedDictionary<string, Slice> oldMembers, OrderedDictionary<string, Slice> newMembers)
    {
        foreach (var (name, value) in newMembers)
        {
            if (!IsComparedElsewhere(name) && oldMembers.GetValueOrDefault(name) is var old && !AreEqual(old, value))
            {
                changes.Add(new MemberChange(name, old));
            }
        }

        foreach (var (name, old) in oldMembers)
        {
            if (!IsComparedElsewhere(name) && !newMembers.ContainsKey(name))
            {
                changes.Add(new MemberChange(name, old));
            }
        }
    }

    private static bool IsComparedElsewhere(string member) => member is "versions" or "dist-tags" or "time" or "maintainers" or "modified";

    // Versions that are no objects and tags that are no texts: the index leaves them out, a change of theirs still counts.
    private void AddLeftOut(List<MemberChange> changes, OrderedDictionary<string, Slice> oldMembers, OrderedDictionary<string, Slice> newMembers)
    {
        if (!_oldIndex.HasLeftOut && !_newIndex.HasLeftOut)
        {
            return;
        }

        foreach (var (name, known) in new[] { ("versions", '{'), ("dist-tags", '"') })
        {
            Slice old = oldMembers.GetValueOrDefault(name), current = newMembers.GetValueOrDefault(name);
            if (IsLeftOutChanged(old, current, (byte)known))
            {
                changes.Add(new MemberChange(name, old));
            }
        }
    }

    private bool IsLeftOutChanged(Slice old, Slice current, byte known)
    {
        var isOldLeftOut = !old.IsEmpty && _oldDocument[old.Offset] != '{';
        var isNewLeftOut = !current.IsEmpty && _newDocument[current.Offset] != '{';
        if (isOldLeftOut || isNewLeftOut)
        {
            return !(isOldLeftOut && isNewLeftOut && AreEqual(old, current));
        }

        var oldEntries = LeftOut(_oldDocument, old, known);
        var newEntries = LeftOut(_newDocument, current, known);
        if (oldEntries.Count != newEntries.Count)
        {
            return true;
        }

        foreach (var (key, value) in newEntries)
        {
            if (!oldEntries.TryGetValue(key, out var before) || !AreEqual(before, value))
            {
                return true;
            }
        }

        return false;
    }

    private static Dictionary<string, Slice> LeftOut(ReadOnlySpan<byte> document, Slice slice, byte known)
    {
        var entries = new Dictionary<string, Slice>(StringComparer.Ordinal);
        foreach (var (key, value) in JsonMembers.Read(document, slice))
        {
            if (document[value.Offset] != known)
            {
                entries.Add(key, value);
            }
        }

        return entries;
    }

    // Entries of versions that came or went, and `modified`, follow from other changes.
    private bool AreTimesChanged()
    {
        var oldTimes = JsonMembers.Read(_oldDocument, _oldIndex.Time);
        var newTimes = JsonMembers.Read(_newDocument, _newIndex.Time);
        foreach (var version in _newIndex.Versions)
        {
            if (_oldIndex.IndexOf(version.Version) >= 0 && IsTimeChanged(oldTimes, newTimes, version.Version))
            {
                return true;
            }
        }

        return IsTimeChanged(oldTimes, newTimes, "created");
    }

    private bool IsTimeChanged(OrderedDictionary<string, Slice> oldTimes, OrderedDictionary<string, Slice> newTimes, string key) =>
        !AreEqual(oldTimes.GetValueOrDefault(key), newTimes.GetValueOrDefault(key));

    private List<MemberChange> MembersOfManifest(in VersionEntry old, in VersionEntry current)
    {
        var changes = new List<MemberChange>();
        var oldMembers = JsonMembers.Read(_oldDocument, old.Manifest);
        var newMembers = JsonMembers.Read(_newDocument, current.Manifest);
        foreach (var (name, value) in newMembers)
        {
            var before = oldMembers.GetValueOrDefault(name);
            var isSame = AreEqual(before, value) || (name == "dist" && IsDistSame(old, before, current, value));
            if (!isSame)
            {
                changes.Add(new MemberChange(name, before));
            }
        }

        foreach (var (name, before) in oldMembers)
        {
            if (!newMembers.ContainsKey(name))
            {
                changes.Add(new MemberChange(name, before));
            }
        }

        return changes;
    }

    /// <summary>Whether two manifests are the same bytes but for their URLs.</summary>
    private bool HasTextOf(in VersionEntry old, in VersionEntry current)
    {
        var (oldAt, newAt) = (old.Manifest.Offset, current.Manifest.Offset);
        var (oldFirst, oldSecond) = UrlsOf(old);
        var (newFirst, newSecond) = UrlsOf(current);
        if (oldFirst.IsEmpty != newFirst.IsEmpty || oldSecond.IsEmpty != newSecond.IsEmpty)
        {
            return false;
        }

        foreach (var (oldUrl, newUrl) in (ReadOnlySpan<(Slice, Slice)>)[(oldFirst, newFirst), (oldSecond, newSecond)])
        {
            if (!oldUrl.IsEmpty)
            {
                if (!_oldDocument[oldAt..oldUrl.Offset].SequenceEqual(_newDocument[newAt..newUrl.Offset]))
                {
                    return false;
                }

                (oldAt, newAt) = (oldUrl.Offset + oldUrl.Length, newUrl.Offset + newUrl.Length);
            }
        }

        return _oldDocument[oldAt..(old.Manifest.Offset + old.Manifest.Length)].SequenceEqual(_newDocument[newAt..(current.Manifest.Offset + current.Manifest.Length)]);
    }

    /// <summary>The two URLs of a manifest in the order of the text; an empty one comes as it is.</summary>
    private static (Slice First, Slice Second) UrlsOf(in VersionEntry version) => version.TarballUrl.Offset < version.AttestationsUrl.Offset
        ? (version.TarballUrl, version.AttestationsUrl)
        : (version.AttestationsUrl, version.TarballUrl);

    private bool IsDistSame(in VersionEntry old, Slice oldDist, in VersionEntry current, Slice newDist) =>
        !oldDist.IsEmpty && JsonEquality.AreEqual(WithoutUrls(_oldDocument, oldDist, old), WithoutUrls(_newDocument, newDist, current));

    /// <summary>The value with both URLs emptied, so that it is still JSON.</summary>
    private static byte[] WithoutUrls(ReadOnlySpan<byte> document, Slice dist, in VersionEntry version)
    {
        var (first, second) = UrlsOf(version);
        using var copy = new MemoryStream(dist.Length);
        var at = dist.Offset;
        foreach (var url in (ReadOnlySpan<Slice>)[first, second])
        {
            if (!url.IsEmpty)
            {
                copy.Write(document[at..url.Offset]);
                copy.Write("\"\""u8);
                at = url.Offset + url.Length;
            }
        }

        copy.Write(document[at..(dist.Offset + dist.Length)]);
        return copy.ToArray();
    }

    private bool AreEqual(Slice old, Slice current) => JsonEquality.AreEqual(old.Of(_oldDocument), current.Of(_newDocument));
}
