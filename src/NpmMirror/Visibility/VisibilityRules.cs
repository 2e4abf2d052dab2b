using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Visibility;

/// <summary>
/// Whether readers may see a package, its earlier versions, its tarballs and its past, by its row and <c>removed.*</c>. Every answer to a
/// reader is decided here, directly or through <see cref="PackageVisibility"/>, so that all answers agree.
/// </summary>
internal sealed class VisibilityRules(RemovedOptions removed)
{
    /// <summary>The kinds of removal at which a whole package leaves the lists.</summary>
    private static readonly RemovalKind[] OfPackages = [RemovalKind.Unpublished, RemovalKind.Gone, RemovalKind.Blocked];

    /// <summary>True if packages of some kind are shown although they were removed.</summary>
    internal bool KeepsPackages => Array.Exists(OfPackages, kind => removed.ModeOf(kind) == RemovedMode.Keep);

    /// <summary>Whether the package is not shown. Every answer to a reader follows from this.</summary>
    public bool Hides(PackageRow row) => row.Facts.IsRemoved && !IsKept(row.Facts);

    /// <summary>Why the package is not shown (its packument, manifests, tags, attestations, its row as a living one), or null.</summary>
    public Hidden? Of(PackageRow row)
    {
        var facts = row.Facts;
        if (!Hides(row))
        {
            return null;
        }

        return facts.Removal == RemovalKind.Blocked
            ? new Hidden(451, $"{row.Name} is blocked upstream for legal reasons{Because(facts)}; it was held until {facts.StoredAt:yyyy-MM-dd}.")
            : new Hidden(404, $"{row.Name} was removed upstream{Because(facts)}; this mirror hides it since {facts.StoredAt:yyyy-MM-dd}.");
    }

    /// <summary>
    /// The row as readers of feeds and lists see it: one that is not shown counts as removed. A removed package that is still shown counts as an existing
    /// one, under its document's revision.
    /// </summary>
    public PackageRow AsShown(PackageRow row)
    {
        if (!row.Facts.IsRemoved || Hides(row))
        {
            return row;
        }

        // The deletion's revision came after the document's.
        var ancestors = string.IsNullOrEmpty(row.Facts.Ancestors) ? null : row.Facts.Ancestors.Split(' ', 2);
        return row with
        {
            Facts = row.Facts with
            {
                Removal = null,
                RemovalReason = null,
                Rev = ancestors?[0] ?? row.Facts.Rev,
                Ancestors = ancestors is [_, var earlier] ? earlier : null,
            },
        };
    }

    /// <summary>
    /// Why the earlier parts of the package are not shown, or null: versions that its packument does not have any more, and their tarballs. Unpublished or
    /// vanished packages are no such case: their tarballs are served, so that old lockfiles install.
    /// </summary>
    public Hidden? OfPast(PackageRow row) => row.Facts.Removal switch
    {
        RemovalKind.Blocked when !IsKept(row.Facts) => new Hidden(451, $"{row.Name} is blocked for legal reasons{Because(row.Facts)}."),
        RemovalKind.SecurityHolder when !IsKept(row.Facts) => new Hidden(451, $"{row.Name} was taken over by a security holding package{Because(row.Facts)}; its earlier versions are not served."),
        _ => null,
    };

    /// <summary>The files of the package that are shown although its past is hidden: a security holder's own.</summary>
    internal static HashSet<string> FilesShown(PackageRow row) => row.Facts.Removal == RemovalKind.SecurityHolder
        ? [.. PackumentIndex.FromBytes(row.Index.Span, row.Name).Versions.Select(version => TarballUrls.FileName(row.Name, version.Version))]
        : [];

    private bool IsKept(PackageFacts facts) => removed.ModeOf(facts.Removal!.Value) == RemovedMode.Keep;

    private static string Because(PackageFacts facts) => facts.RemovalReason is { } reason ? $" ({reason})" : "";
}
