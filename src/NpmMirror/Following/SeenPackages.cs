using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using NpmMirror.Packuments;

namespace NpmMirror.Following;

/// <summary>
/// Tells new packages from changed ones without a store: new is a package that was not seen in this run and is at its first revision, or was
/// not modified since it was created, or never had more than one version.
/// </summary>
internal sealed class SeenPackages
{
    // 8 bytes each; beyond, the packument alone decides.
    private const int SeenMax = 1_000_000;

    // How far the registry's times of a publish and of its change may be apart.
    private static readonly TimeSpan PublishSpread = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, int> _versions = [];

    /// <summary>The event of a package's present state; without an index it is gone.</summary>
    internal MonitorEvent Classify(PackageName name, byte[] packument, PackumentIndex? index, string? rowRev)
    {
        var key = Key(name);
        lock (_lock)
        {
            if (index is null)
            {
                _versions.Remove(key);
                return new MonitorEvent.Deleted(name);
            }

            var isSeen = _versions.TryGetValue(key, out var versionsBefore);
            var isPublish = isSeen ? index.Versions.Count > versionsBefore : IsPublish(index);
            if (isSeen || _versions.Count < SeenMax)
            {
                _versions[key] = index.Versions.Count;
            }

            return !isSeen && IsNew(packument, index, rowRev)
                ? new MonitorEvent.Appeared(name, packument)
                : new MonitorEvent.Updated(name, packument) { IsPublish = isPublish };
        }
    }

    private static bool IsNew(byte[] packument, PackumentIndex index, string? rowRev) =>
        ((index.Rev ?? rowRev) is { } rev && new Revision(rev).Number == 1)
        || (index.CreatedAt is { } created && created == index.ModifiedAt)
        || VersionsEver(index.Time.Of(packument)) == 1;

    private static bool IsPublish(PackumentIndex index)
    {
        var newest = index.Versions.Max(version => version.PublishedAt);
        return newest is null || index.ModifiedAt is null || index.ModifiedAt - newest < PublishSpread;
    }

    private static int VersionsEver(ReadOnlySpan<byte> time)
    {
        if (time.IsEmpty)
        {
            return 0;
        }

        var count = 0;
        var reader = new Utf8JsonReader(time, new JsonReaderOptions { MaxDepth = 1000 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isVersion = !reader.ValueTextEquals("created"u8) && !reader.ValueTextEquals("modified"u8) && !reader.ValueTextEquals("unpublished"u8);
            count += isVersion ? 1 : 0;
            reader.Skip();
        }

        return count;
    }

    private static ulong Key(PackageName name) => BinaryPrimitives.ReadUInt64LittleEndian(Digest.OfSha256(Encoding.UTF8.GetBytes(name.Value)).Bytes);
}
