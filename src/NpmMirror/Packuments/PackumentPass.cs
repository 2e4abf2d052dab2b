using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>
/// The one pass over a packument: notes where the top-level members lie and walks through <c>versions</c>. The small members (tags,
/// <c>time</c>) are read from their slices afterwards, when it is known which of several equal keys was the last.
/// </summary>
internal ref struct PackumentPass(ReadOnlySpan<byte> document, ulong hashSeed)
{
    private readonly ReadOnlySpan<byte> _document = document;
    private readonly ulong _hashSeed = hashSeed;
    private readonly Dictionary<string, int> _byVersion = new(StringComparer.Ordinal);
    private readonly List<VersionEntry> _versions = [];
    private ulong _restHash = hashSeed;
    private int _origin;
    private int _seenVersions, _brokenVersions, _withdrawnVersions;
    private int _restStart, _restEnd;
    private bool _hasLeftOut;
    private Slice _versionsValue, _tags, _time, _rev, _modified, _maintainers;

    public bool IsObject { get; private set; }

    public Slice Name { get; private set; }

    public Slice Id { get; private set; }

    public void Run()
    {
        _origin = PackumentReader.OriginOf(_document);
        var reader = new Utf8JsonReader(_document[_origin..], JsonText.ReaderOptions);
        reader.Read();
        IsObject = reader.TokenType == JsonTokenType.StartObject;
        if (!IsObject)
        {
            reader.Skip();
        }

        for (var members = 1; IsObject && reader.Read() && reader.TokenType == JsonTokenType.PropertyName; members++)
        {
            JsonMembers.Check(members, ref reader);
            ReadMember(ref reader);
        }

        FlushRest();

        // Only blanks may follow the value, as JSON.parse has it.
        reader.Read();
    }

    /// <summary>True when the member is there and a string.</summary>
    public readonly bool IsText(Slice slice) => !slice.IsEmpty && _document[slice.Offset] == '"';

    /// <summary>The text of a member that is a string of a sensible length, else null.</summary>
    public readonly string? TextOf(Slice slice) => JsonText.ReadWord(slice.Of(_document));

    /// <summary>The document's own time of its last change; known once there is an index.</summary>
    public DateTimeOffset? StatedModifiedAt { get; private set; }

    public PackumentIndex ToIndex(PackageName name)
    {
        DropWithdrawn();
        var entries = _versions.ToArray();
        var tags = ReadTags();
        var (created, modified, isUnpublished) = TimeMap.Apply(_document, _time, _byVersion, entries);
        StatedModifiedAt = TimeMap.DateOf(_modified.Of(_document)) ?? modified;
        return new PackumentIndex(_byVersion)
        {
            Name = name.Value,
            Rev = TextOf(_rev),
            CreatedAt = created,
            ModifiedAt = StatedModifiedAt ?? TimeMap.Newest(_document, _time),
            Versions = entries,
            DistTags = tags,
            VersionsValue = _versionsValue,
            Time = _time,
            Maintainers = _maintainers,
            HashSeed = _hashSeed,
            TimeHash = SliceHash.Of(_document, _time, _hashSeed),
            MaintainersHash = SliceHash.Of(_document, _maintainers, _hashSeed),
            RestHash = _restHash,
            IsUnpublished = isUnpublished && entries.Length == 0 && _brokenVersions == 0,
            IsSecurityHolder = entries.Length > 0 && Array.TrueForAll(entries, IsHolder),
            HasLeftOut = _hasLeftOut,
            DocumentSizeBytes = _document.Length,
        };
    }

    // npm's security team publishes ^0.0.1-security; a plain 0.0.1 may be anyone's.
    private static bool IsHolder(VersionEntry entry) => entry.Version.StartsWith("0.0.1-security", StringComparison.Ordinal);

    private void ReadMember(ref Utf8JsonReader reader)
    {
        var keyStart = _origin + (int)reader.TokenStartIndex;
        if (JsonText.Is(ref reader, "versions"u8))
        {
            FlushRest();
            ReadVersions(ref reader);
        }
        else if (JsonText.Is(ref reader, "dist-tags"u8))
        {
            _tags = ReadSpecial(ref reader);
        }
        else if (JsonText.Is(ref reader, "time"u8))
        {
            _time = ReadSpecial(ref reader);
        }
        else if (JsonText.Is(ref reader, "maintainers"u8))
        {
            _maintainers = ReadSpecial(ref reader);
        }
        else if (JsonText.Is(ref reader, "modified"u8))
        {
            _modified = ReadSpecial(ref reader);
        }
        else
        {
            ReadOtherMember(ref reader, keyStart);
        }
    }

    private Slice ReadSpecial(ref Utf8JsonReader reader)
    {
        FlushRest();
        return JsonMembers.ReadValue(ref reader, _origin);
    }

    private void ReadOtherMember(ref Utf8JsonReader reader, int keyStart)
    {
        var isName = JsonText.Is(ref reader, "name"u8);
        var isId = JsonText.Is(ref reader, "_id"u8);
        var isRev = JsonText.Is(ref reader, "_rev"u8);
        var value = JsonMembers.ReadValue(ref reader, _origin);
        Name = isName ? value : Name;
        Id = isId ? value : Id;
        _rev = isRev ? value : _rev;
        AddRest(keyStart, value.Offset + value.Length);
    }

    // Neighbours are hashed as one piece: a call for each of a million small members would take seconds.
    private void AddRest(int start, int end)
    {
        _restStart = _restEnd == 0 ? start : _restStart;
        _restEnd = end;
    }

    private void FlushRest()
    {
        if (_restEnd > 0)
        {
            _restHash = SliceHash.Next(_restHash, _document[_restStart.._restEnd]);
            _restStart = _restEnd = 0;
        }
    }

    private void ReadVersions(ref Utf8JsonReader reader)
    {
        _versions.Clear();
        _byVersion.Clear();
        _brokenVersions = _withdrawnVersions = 0;
        _hasLeftOut = false;
        reader.Read();
        var start = _origin + (int)reader.TokenStartIndex;
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            _hasLeftOut = true;
            _versionsValue = new Slice(start, _origin + (int)reader.BytesConsumed - start);
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            JsonMembers.Check(++_seenVersions, ref reader);
            ReadVersion(ref reader);
        }

        _versionsValue = new Slice(start, _origin + (int)reader.BytesConsumed - start);
    }

    private void ReadVersion(ref Utf8JsonReader reader)
    {
        var version = JsonText.Read(ref reader);
        reader.Read();
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            Put(ReadManifest(ref reader, version));
            return;
        }

        // One bad version never stops the others.
        reader.Skip();
        _hasLeftOut = true;
        _brokenVersions++;
        if (_byVersion.TryGetValue(version, out var at))
        {
            _versions[at] = default(VersionEntry) with { Version = version };
            _withdrawnVersions++;
        }
    }

    private readonly void Put(VersionEntry entry)
    {
        if (_byVersion.TryAdd(entry.Version, _versions.Count))
        {
            _versions.Add(entry);
        }
        else
        {
            _versions[_byVersion[entry.Version]] = entry;
        }
    }

    // Only a document that has a version twice, the last time broken, gets past the first line.
    private readonly void DropWithdrawn()
    {
        if (_withdrawnVersions == 0)
        {
            return;
        }

        _versions.RemoveAll(entry => entry.Manifest.IsEmpty);
        _byVersion.Clear();
        for (var i = 0; i < _versions.Count; i++)
        {
            _byVersion.Add(_versions[i].Version, i);
        }
    }

    private readonly VersionEntry ReadManifest(ref Utf8JsonReader reader, string version)
    {
        var start = _origin + (int)reader.TokenStartIndex;
        Slice tarballUrl = default, attestationsUrl = default;
        for (var count = 1; reader.Read() && reader.TokenType == JsonTokenType.PropertyName; count++)
        {
            JsonMembers.Check(count, ref reader);
            if (JsonText.Is(ref reader, "dist"u8))
            {
                tarballUrl = attestationsUrl = default;
                ReadDist(ref reader, ref tarballUrl, ref attestationsUrl);
            }
            else
            {
                reader.Skip();
            }
        }

        var manifest = new Slice(start, _origin + (int)reader.BytesConsumed - start);
        return new VersionEntry(version, manifest, tarballUrl, attestationsUrl, SliceHash.OfManifest(_document, manifest, tarballUrl, attestationsUrl, _hashSeed), PublishedAt: null);
    }

    private readonly void ReadDist(ref Utf8JsonReader reader, ref Slice tarballUrl, ref Slice attestationsUrl)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (JsonText.Is(ref reader, "tarball"u8))
            {
                tarballUrl = ReadText(ref reader);
            }
            else if (JsonText.Is(ref reader, "attestations"u8))
            {
                attestationsUrl = ReadAttestationsUrl(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private readonly Slice ReadAttestationsUrl(ref Utf8JsonReader reader)
    {
        Slice url = default;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return url;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (JsonText.Is(ref reader, "url"u8))
            {
                url = ReadText(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }

        return url;
    }

    private readonly Slice ReadText(ref Utf8JsonReader reader)
    {
        var value = JsonMembers.ReadValue(ref reader, _origin);
        return _document[value.Offset] == '"' ? value : default;
    }

    private Dictionary<string, string> ReadTags()
    {
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        _hasLeftOut |= !_tags.IsEmpty && _document[_tags.Offset] != '{';
        foreach (var (tag, value) in JsonMembers.Read(_document, _tags))
        {
            if (TextOf(value) is { } version)
            {
                tags[tag] = version;
            }
            else
            {
                _hasLeftOut = true;
            }
        }

        return tags;
    }
}
