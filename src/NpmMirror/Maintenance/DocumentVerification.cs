using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>
/// Every package's document, those held and then the graveyard, by name, and whether the tarballs held are those it promises; with <c>tarballs=eager</c> also whether each version's tarball is held. One page
/// of names is in memory at a time.
/// </summary>
internal sealed class DocumentVerification(IMetadataStore store, DocumentCheck check, PromiseVerification promises, MirrorOptions options, VerifyRequest request, VerifyTally tally)
{
    private const int MarkEvery = 1_000;

    /// <summary>Checks the packages after the mark; returns the marks, moved as far as all was right.</summary>
    internal async Task<VerifyMarks> RunAsync(VerifyMarks marks, CancellationToken cancellationToken)
    {
        var isRight = true;
        var looked = 0;
        foreach (var isInGraveyard in marks.IsInGraveyard ? (bool[])[true] : [false, true])
        {
            // The smallest string after a name is the name with the smallest character appended.
            var from = isInGraveyard == marks.IsInGraveyard && marks.LastPackage is { } last ? last + '\0' : "";
            await foreach (var mark in store.Packages.ListMarksAsync(from, isInGraveyard, cancellationToken))
            {
                isRight &= await IsRightAsync(mark.Name, isInGraveyard, cancellationToken);
                if (isRight && ++looked % MarkEvery == 0)
                {
                    marks = await (marks with { LastPackage = mark.Name.Value, IsInGraveyard = isInGraveyard }).KeepAsync(store.Notes, cancellationToken);
                }
            }
        }

        // Rows that these lists do not give.
        await foreach (var damage in store.ListUnlistedAsync(cancellationToken))
        {
            isRight &= await IsMendedAsync(damage, cancellationToken);
        }

        return marks with { DocumentsRightAt = isRight ? marks.BegunAt : null, AreDocumentsDone = isRight };
    }

    private async Task<bool> IsMendedAsync(StoreDamage damage, CancellationToken cancellationToken)
    {
        var failure = request.Repairs is not { } repairs ? ""
            : damage.Package is { } name ? await repairs.TryMendDocumentAsync(name, cancellationToken)
            : "its package is not known; delete the row, or restore the store from a backup.";
        tally.Report(new VerifyFinding(VerifyFault.RowDamaged, $"{damage.Table} {damage.Key}", Finding.With(damage.Problem, failure), failure is null));
        return failure is null;
    }

    private async Task<bool> IsRightAsync(PackageName name, bool isInGraveyard, CancellationToken cancellationToken)
    {
        if (await check.FindProblemAsync(name, cancellationToken) is { } problem)
        {
            // The upstream cannot send a removed package again; the row itself can be written again from its other values.
            var isLost = isInGraveyard && await store.Packages.FindAsync(name, cancellationToken) is not { Damage.Table: "packages" };
            var failure = isLost ? "The upstream has no such package any more." : request.Repairs is { } repairs ? await repairs.TryMendDocumentAsync(name, cancellationToken) : "";
            tally.Report(new VerifyFinding(VerifyFault.DocumentDamaged, name.Value, Finding.With(problem, failure), failure is null));
            return failure is null;
        }

        var isRight = isInGraveyard || await promises.AreKeptAsync(name, cancellationToken);
        return (options.Tarballs != TarballMode.Eager || isInGraveyard || await AreTarballsHeldAsync(name, cancellationToken)) && isRight;
    }

    private async Task<bool> AreTarballsHeldAsync(PackageName name, CancellationToken cancellationToken)
    {
        var row = await store.Packages.FindAsync(name, cancellationToken);
        var versions = row is null ? [] : PackumentIndex.TryFromBytes(row.Index.Span, row.Name)?.Versions ?? [];

        // Tarballs that the upstream lacks, or sends wrong, are in the table too.
        var known = await store.Tarballs.ListTarballsAsync(name, cancellationToken).Select(tarball => tarball.File).ToHashSetAsync(StringComparer.Ordinal, cancellationToken);
        var isRight = true;
        foreach (var version in versions.Where(version => !known.Contains(TarballUrls.FileName(name, version.Version))))
        {
            var failure = request.Repairs is { } repairs ? await repairs.TryFetchTarballAsync(name, version.Version, cancellationToken) : "";
            var subject = $"{name}/{TarballUrls.FileName(name, version.Version)}";
            tally.Report(new VerifyFinding(VerifyFault.TarballNotHeld, subject, Finding.With("The tarball is wanted (tarballs=eager) and not held.", failure), failure is null));
            isRight &= failure is null;
        }

        return isRight;
    }
}
