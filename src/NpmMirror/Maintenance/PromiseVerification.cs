using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Tarballs;

namespace NpmMirror.Maintenance;

/// <summary>
/// Whether the tarballs held of a package are those that its packument promises. Others are there after a version was republished, and where a row names
/// the bytes of another tarball.
/// </summary>
internal sealed class PromiseVerification(IPackageTable packages, ITarballTable tarballs, IBlobStore blobs, ByteBudget budget, VerifyRequest request, VerifyTally tally)
{
    /// <summary>Checks a package whose document is right.</summary>
    internal async Task<bool> AreKeptAsync(PackageName name, CancellationToken cancellationToken)
    {
        var held = await tarballs.ListTarballsAsync(name, cancellationToken).Where(row => row is { State: TarballState.Held, Damage: null }).ToListAsync(cancellationToken);
        var isRight = true;

        // Mending reads the document anew, so it is released before.
        foreach (var (row, problem) in held.Count == 0 ? [] : await FindOthersAsync(name, held, cancellationToken))
        {
            var failure = request.Repairs is { } repairs ? await repairs.TryTakePromisedAsync(name, row.Version, cancellationToken) : "";
            tally.Report(new VerifyFinding(VerifyFault.TarballNotPromised, $"{name}/{row.File}", Finding.With($"It is held with other bytes than its packument promises. {problem}", failure), failure is null));
            isRight &= failure is null;
        }

        return isRight;
    }

    private async Task<List<(TarballRow Row, string Problem)>> FindOthersAsync(PackageName name, List<TarballRow> held, CancellationToken cancellationToken)
    {
        var others = new List<(TarballRow, string)>();
        if (await packages.ReadAsync(name, cancellationToken) is not { Document.Codec: not DocumentCodec.Purged } stored)
        {
            return others;
        }

        using var document = await DocumentCodecs.DecodeAsync(name, stored.Document, budget, cancellationToken);
        var index = PackumentIndex.FromBytes(stored.Row.Index.Span, name);
        foreach (var row in held)
        {
            if (index.Find(row.Version) is { } entry && await FindProblemAsync(row, entry, document, cancellationToken) is { } problem)
            {
                others.Add((row, problem));
            }
        }

        return others;
    }

    private async Task<string?> FindProblemAsync(TarballRow row, VersionEntry entry, RawDocument document, CancellationToken cancellationToken)
    {
        try
        {
            return (await PromiseCheck.FindProblemAsync(blobs, row, Manifest.Promise(entry, document.Bytes), cancellationToken)).Problem;
        }
        catch (MirrorException trouble) when (trouble.Fault is MirrorFault.UpstreamMalformed or MirrorFault.StoreUnavailable)
        {
            // A promise that cannot be read; bytes that cannot be are found when the tarball's turn comes.
            return null;
        }
    }
}
