using System.Text.Json;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.Searching;

/// <summary>Reads packages of the store for the index, several at a time.</summary>
internal sealed class PackageReading(IPackageTable packages, VisibilityRules rules, ByteBudget budget)
{
    // One processor is left to those that install, and to the index's own writing.
    private static readonly int ReadersMax = Math.Clamp(Environment.ProcessorCount - 1, 1, 8);

    /// <summary>What the index is to hold of each package now.</summary>
    internal async Task<IndexChange[]> ReadAsync(IReadOnlyList<PackageName> names, CancellationToken cancellationToken)
    {
        var changes = new IndexChange[names.Count];
        var options = new ParallelOptions { MaxDegreeOfParallelism = ReadersMax, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, names.Count, options, async (i, token) => changes[i] = new IndexChange(names[i], await ReadAsync(names[i], token)));
        return changes;
    }

    /// <summary>The package, or null for one that is not shown, or whose document cannot be read: its repair is a change of its own.</summary>
    private async ValueTask<IndexedPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken)
    {
        try
        {
            if (await packages.ReadAsync(name, cancellationToken) is not { } stored || rules.Hides(stored.Row) || stored.Row.Damage is not null)
            {
                return null;
            }

            var index = PackumentIndex.FromBytes(stored.Row.Index.Span, name);
            if (stored.Document.Codec == DocumentCodec.Purged)
            {
                return null;
            }

            using var raw = await DocumentCodecs.DecodeAsync(name, stored.Document, budget, cancellationToken);
            return index.DocumentSizeBytes == raw.LengthBytes ? IndexedPackage.Read(name, index, raw.Bytes) : null;
        }
        catch (Exception e) when (e is JsonException or ArgumentException or IndexOutOfRangeException or InvalidOperationException or MirrorException { Fault: MirrorFault.StoreDamaged or MirrorFault.UpstreamMalformed })
        {
            return null;
        }
    }
}
