using System.Buffers.Binary;
using System.Security.Cryptography;

namespace NpmMirror.Packuments;

public sealed partial class PackumentIndex
{
    private const byte StoredFormat = 2;

    // Its hashes are of another kind, and have no seed.
    private const byte EarlierFormat = 1;
    private const int ChecksumSizeBytes = 4;

    // Of an entry: its header, its version, its hash, its length, its place.
    private const int EntrySizeMinBytes = 11;

    /// <summary>
    /// The stored form: a format byte, the hashes' seed, variable-length integers and texts, each version as its difference from the one before, and a checksum.
    /// </summary>
    public byte[] ToBytes()
    {
        var writer = new IndexWriter(64 + (Versions.Count * 24));
        writer.Byte(StoredFormat);
        writer.Hash(HashSeed);
        writer.Number((ulong)DocumentSizeBytes);
        writer.Byte((byte)((Rev is null ? 0 : 1) | (IsUnpublished ? 2 : 0) | (IsSecurityHolder ? 4 : 0) | (HasLeftOut ? 8 : 0)));
        writer.Text(Name);
        if (Rev is not null)
        {
            writer.Text(Rev);
        }

        writer.Date(ModifiedAt);
        writer.Date(CreatedAt);
        writer.Slice(VersionsValue);
        writer.Slice(Time);
        writer.Slice(Maintainers);
        writer.Hash(TimeHash);
        writer.Hash(MaintainersHash);
        writer.Hash(RestHash);
        writer.Number((ulong)Versions.Count);
        var entries = new VersionEntryCoder();
        foreach (var entry in Versions)
        {
            entries.Write(ref writer, entry);
        }

        writer.Number((ulong)DistTags.Count);
        foreach (var (tag, version) in DistTags)
        {
            // Tags point at versions that are here already, nearly always.
            var at = IndexOf(version);
            writer.Text(tag);
            writer.Number((ulong)(at + 1));
            if (at < 0)
            {
                writer.Text(version);
            }
        }

        writer.Bytes(SHA256.HashData(writer.Written).AsSpan(0, ChecksumSizeBytes));
        return writer.Written.ToArray();
    }

    /// <summary>Reads the stored form of a package's index; null if it is damaged, or another package's.</summary>
    public static PackumentIndex? TryFromBytes(ReadOnlySpan<byte> stored, PackageName name)
    {
        try
        {
            return FromBytes(stored, name);
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            return null;
        }
    }

    /// <summary>Reads the stored form of a package's index.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>, also where it is another package's, or <see cref="MirrorFault.StoreUnavailable"/> where a newer program wrote it.</exception>
    public static PackumentIndex FromBytes(ReadOnlySpan<byte> stored, PackageName name)
    {
        var index = FromBytes(stored);
        return index.Name == name.Value ? index : throw IndexReader.Damaged();
    }

    /// <summary>The <see cref="HashSeed"/> of a stored index, unchecked: a wrong one only makes a comparison longer. 0 where it has none.</summary>
    internal static ulong HashSeedOf(ReadOnlySpan<byte> stored) =>
        stored is [StoredFormat, ..] && stored.Length > sizeof(ulong) ? BinaryPrimitives.ReadUInt64LittleEndian(stored[1..]) : 0;

    internal static PackumentIndex FromBytes(ReadOnlySpan<byte> stored)
    {
        if (stored.Length <= ChecksumSizeBytes || !SHA256.HashData(stored[..^ChecksumSizeBytes]).AsSpan(0, ChecksumSizeBytes).SequenceEqual(stored[^ChecksumSizeBytes..]))
        {
            throw IndexReader.Damaged();
        }

        if (stored[0] is not (StoredFormat or EarlierFormat))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"A stored packument index has format {stored[0]}, this program knows {StoredFormat}; run a newer npm-mirror.");
        }

        var reader = new IndexReader(stored[1..^ChecksumSizeBytes]);
        var hashSeed = stored[0] == EarlierFormat ? 0 : reader.Hash();
        reader.DocumentSizeBytes = reader.Integer();
        var flags = reader.Byte();
        var name = reader.Text();
        var rev = (flags & 1) != 0 ? reader.Text() : null;
        var modified = reader.Date();
        var created = reader.Date();
        var (versionsValue, time, maintainers) = (reader.Slice(), reader.Slice(), reader.Slice());
        var (timeHash, maintainersHash, restHash) = (reader.Hash(), reader.Hash(), reader.Hash());
        var versions = ReadVersions(ref reader);
        return new PackumentIndex
        {
            Name = name,
            Rev = rev,
            ModifiedAt = modified,
            CreatedAt = created,
            Versions = versions,
            DistTags = ReadTags(ref reader, versions),
            VersionsValue = versionsValue,
            Time = time,
            Maintainers = maintainers,
            HashSeed = hashSeed,
            TimeHash = timeHash,
            MaintainersHash = maintainersHash,
            RestHash = restHash,
            IsUnpublished = (flags & 2) != 0,
            IsSecurityHolder = (flags & 4) != 0,
            HasLeftOut = (flags & 8) != 0,
            DocumentSizeBytes = reader.DocumentSizeBytes,
        };
    }

    private static VersionEntry[] ReadVersions(ref IndexReader reader)
    {
        var versions = new VersionEntry[reader.Count(EntrySizeMinBytes)];
        var entries = new VersionEntryCoder();
        for (var i = 0; i < versions.Length; i++)
        {
            versions[i] = entries.Read(ref reader);
        }

        return versions;
    }

    private static Dictionary<string, string> ReadTags(ref IndexReader reader, VersionEntry[] versions)
    {
        var count = reader.Count(2);
        var tags = new Dictionary<string, string>(count, StringComparer.Ordinal);
        for (var i = 0; i < count; i++)
        {
            var tag = reader.Text();
            var at = reader.Integer();
            if (at > versions.Length)
            {
                throw IndexReader.Damaged();
            }

            tags[tag] = at == 0 ? reader.Text() : versions[at - 1].Version;
        }

        return tags;
    }
}
