using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using NpmMirror.Maintenance;
using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>Makes the target's packages, their documents and archives equal to the source's: each whose row differs is put anew.</summary>
internal sealed class PackageCopy(IMetadataStore source, IMetadataStore target, IImportTable import, CopyTally tally) : IDisposable
{
    // The target shares one sync of its disk among them.
    private const int AtATime = 128;

    // Of long documents fewer are in memory.
    private const int LongBytes = 1024 * 1024;
    private const int LongAtATime = 4;

    // Below it, compressing is not worth it.
    private const int ShortBytes = 1024;

    private readonly SemaphoreSlim _longOnes = new(LongAtATime);

    /// <summary>Walks both lists, held and removed.</summary>
    internal async Task RunAsync(CancellationToken cancellationToken)
    {
        var counts = await source.CountAsync(cancellationToken);
        tally.BeginPart("packages", counts.Packages + counts.Removed);
        foreach (var isRemoved in (bool[])[false, true])
        {
            await Parallel.ForEachAsync(
                ListDifferentAsync(isRemoved, cancellationToken),
                new ParallelOptions { MaxDegreeOfParallelism = AtATime, CancellationToken = cancellationToken },
                async (row, token) => await CopyAsync(row, token));
        }
    }

    /// <summary>Copies a package as the source has it now.</summary>
    internal async ValueTask CopyAsync(PackageName name, CancellationToken cancellationToken)
    {
        if (await source.Packages.ReadAsync(name, cancellationToken) is not { } package)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{target.Location} has the package {name}, and {source.Location} does not: it is no copy of this mirror; name an empty place.");
        }

        var document = await CheckAsync(name, package.Document, cancellationToken);
        var isPinned = await source.Packages.ReadArchivedAsync(name, package.Row.DocumentSha256, cancellationToken) is not null;
        await PurgeAsync(package, cancellationToken);
        await import.PutPackageAsync(package with { Document = document }, isPinned, cancellationToken);
        tally.Copy("packages");
    }

    /// <inheritdoc/>
    public void Dispose() => _longOnes.Dispose();

    private async ValueTask CopyAsync(PackageRow row, CancellationToken cancellationToken)
    {
        if (row.RawSizeBytes <= LongBytes)
        {
            await CopyAsync(row.Name, cancellationToken);
            return;
        }

        await _longOnes.WaitAsync(cancellationToken);
        try
        {
            await CopyAsync(row.Name, cancellationToken);
        }
        finally
        {
            _longOnes.Release();
        }
    }

    /// <summary>Copies a document of the past. False where the target does not have its package yet.</summary>
    internal async ValueTask<bool> CopyArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken)
    {
        try
        {
            if (await source.Packages.ReadArchivedAsync(name, sha256, cancellationToken) is { } archived)
            {
                return await import.PutArchivedAsync(name, await CheckAsync(name, archived, cancellationToken), cancellationToken);
            }
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            tally.Find($"{name} {sha256}", damage.Message);
            return true;
        }

        // The last known document of a removed package may be its document still.
        if ((await source.Packages.FindAsync(name, cancellationToken))?.DocumentSha256 != sha256)
        {
            tally.Find($"{name} {sha256}", "The document of the past is not there.");
        }

        return true;
    }

    private async IAsyncEnumerable<PackageRow> ListDifferentAsync(bool isRemoved, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var pairs = MergedLists.WalkAsync(
            source.Packages.ListAsync(null, isRemoved, cancellationToken),
            target.Packages.ListAsync(null, isRemoved, cancellationToken),
            (left, right) => left.Name.CompareTo(right.Name),
            cancellationToken);
        await foreach (var (row, copied) in pairs)
        {
            if (row is { Damage: { } damage })
            {
                throw damage.ToException();
            }

            if (row is not null)
            {
                tally.Look(seen => seen with { Packages = seen.Packages + (isRemoved ? 0 : 1), Removed = seen.Removed + (isRemoved ? 1 : 0), RawBytes = seen.RawBytes + row.RawSizeBytes });
            }

            if (row is null || copied is null || !IsSame(row, copied))
            {
                yield return (row ?? copied)!;
            }
        }
    }

    private static bool IsSame(PackageRow row, PackageRow copied) =>
        copied.Damage is null && row.Generation == copied.Generation && row.LastPosition == copied.LastPosition && row.DocumentSha256 == copied.DocumentSha256
        && row.RawSizeBytes == copied.RawSizeBytes && row.Facts == copied.Facts && row.Index.Span.SequenceEqual(copied.Index.Span);

    /// <summary>Drops what the source dropped on purpose since the package was copied: putting rows over it would not.</summary>
    private async ValueTask PurgeAsync(StoredPackage package, CancellationToken cancellationToken)
    {
        var name = package.Row.Name;
        if (await target.Packages.FindAsync(name, cancellationToken) is not { } copied)
        {
            return;
        }

        var (payloads, references) = (new List<LogPosition>(), new HashSet<Digest>());
        var histories = MergedLists.WalkAsync(source.Log.ReadHistoryAsync(name, cancellationToken), target.Log.ReadHistoryAsync(name, cancellationToken), (left, right) => left.Position.CompareTo(right.Position), cancellationToken);
        await foreach (var (row, earlier) in histories)
        {
            if (row is not null && earlier is not null)
            {
                references.UnionWith(ArchivedReferences.Of(earlier));
                payloads.AddRange(row.Payload is null && earlier.Payload is not null ? [row.Position] : []);
            }
        }

        var documents = package.Document.Codec == DocumentCodec.Purged && copied.DocumentSha256 == package.Row.DocumentSha256 ? [package.Row.DocumentSha256] : new List<Digest>();
        foreach (var sha256 in references)
        {
            if (await source.Packages.ReadArchivedAsync(name, sha256, cancellationToken) is { Codec: DocumentCodec.Purged }
                && await target.Packages.ReadArchivedAsync(name, sha256, cancellationToken) is { Codec: not DocumentCodec.Purged })
            {
                documents.Add(sha256);
            }
        }

        if (payloads.Count + documents.Count > 0)
        {
            await target.Packages.PurgeAsync(new PackagePurge(name, copied.Generation, payloads, documents), cancellationToken);
        }
    }

    /// <summary>The document, found to be what its digest says; compressed, where a store kept it as it came.</summary>
    private static async ValueTask<StoredDocument> CheckAsync(PackageName name, StoredDocument document, CancellationToken cancellationToken)
    {
        if (document.Codec == DocumentCodec.Purged)
        {
            return document;
        }

        if (document.Codec == DocumentCodec.Identity && document.RawSizeBytes >= ShortBytes)
        {
            return document.As(DocumentCodecs.Usual, name);
        }

        await using var raw = DocumentCodecs.OpenDecoded(name, document);
        return new Digest(await SHA256.HashDataAsync(raw, cancellationToken)) == document.Sha256 ? document : throw DocumentCodecs.Damaged(name, null);
    }
}
