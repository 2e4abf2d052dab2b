using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>Whether a stored document is as it was stored: decoded, compared with its digest, and of the package that it is stored for.</summary>
internal sealed class DocumentCheck(IMetadataStore store, ByteBudget budget, VerifyTally tally)
{
    // A document of the past is pointed into by several events of one commit.
    private (PackageName Package, Digest Sha256, string? Problem)? _lastArchived;

    private long? _total;

    /// <summary>The problem of a package's own document or index, or null.</summary>
    internal async Task<string?> FindProblemAsync(PackageName name, CancellationToken cancellationToken)
    {
        try
        {
            if (await store.Packages.ReadAsync(name, cancellationToken) is not { } stored)
            {
                return null;
            }

            PackumentIndex.FromBytes(stored.Row.Index.Span, stored.Row.Name);
            return await FindProblemAsync(name, stored.Document, cancellationToken);
        }
        catch (MirrorException trouble) when (trouble.Fault is MirrorFault.StoreUnavailable or MirrorFault.StoreDamaged)
        {
            return trouble.Message;
        }
    }

    /// <summary>The problem of a document of the past, or null.</summary>
    internal async Task<string?> FindArchiveProblemAsync(PackageName name, Digest sha256, CancellationToken cancellationToken)
    {
        if (_lastArchived is not { } last || last.Package != name || last.Sha256 != sha256)
        {
            last = (name, sha256, await LookAtArchiveAsync(name, sha256, cancellationToken));
            _lastArchived = last;
        }

        return last.Problem;
    }

    private async Task<string?> LookAtArchiveAsync(PackageName name, Digest sha256, CancellationToken cancellationToken)
    {
        try
        {
            if (await store.Packages.ReadArchivedAsync(name, sha256, cancellationToken) is { } archived)
            {
                return await FindProblemAsync(name, archived, cancellationToken);
            }
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            return damage.Message;
        }

        // The last known document of a removed package may be its document still.
        return (await store.Packages.FindAsync(name, cancellationToken))?.DocumentSha256 == sha256 ? null : "The document of the past is not there.";
    }

    private async Task<string?> FindProblemAsync(PackageName name, StoredDocument document, CancellationToken cancellationToken)
    {
        if (document.Codec == DocumentCodec.Purged)
        {
            return null;
        }

        try
        {
            using var raw = await DocumentCodecs.DecodeAsync(name, document, budget, cancellationToken);
            tally.CountDocument(raw.LengthBytes, _total ??= await CountAsync(cancellationToken));
            PackumentReader.Read(raw.Bytes, name, isAnyCase: true);
            return null;
        }
        catch (MirrorException trouble) when (trouble.Fault == MirrorFault.UpstreamMalformed)
        {
            return "The document is no packument of this package.";
        }
        catch (MirrorException trouble) when (trouble.Fault is MirrorFault.StoreUnavailable or MirrorFault.StoreDamaged)
        {
            return trouble.Message;
        }
    }

    private async ValueTask<long> CountAsync(CancellationToken cancellationToken)
    {
        var counts = await store.CountAsync(cancellationToken);
        return counts.Packages + counts.Removed;
    }
}
