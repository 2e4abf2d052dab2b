using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Tarballs;

namespace NpmMirror.Maintenance;

/// <summary>Mends the findings of a verification in the usual ways: documents by <see cref="PackageSync"/>, tarballs by a verified download.</summary>
public sealed class Repairs
{
    private readonly IMetadataStore _store;
    private readonly PackageSync _sync;
    private readonly TarballDownloads _tarballs;
    private readonly ByteBudget _budget;

    internal Repairs(IMetadataStore store, PackageSync sync, TarballDownloads tarballs, ByteBudget budget) =>
        (_store, _sync, _tarballs, _budget) = (store, sync, tarballs, budget);

    /// <summary>Fetches a package's document anew. Null when it is stored, else why not.</summary>
    internal Task<string?> TryMendDocumentAsync(PackageName name, CancellationToken cancellationToken) => TryAsync(async () => await _sync.RepairAsync(name, cancellationToken) switch
    {
        SyncResult.Stored => null,
        SyncResult.Removed { Row.Damage: null } => null,
        SyncResult.Absent absent => $"the upstream answers {absent.Status}.",
        var other => other.RetryBecause ?? "the upstream has it no more.",
    });

    /// <summary>Fetches the bytes that a row names. Null when they are stored, else why not.</summary>
    internal Task<string?> TryMendTarballAsync(TarballRow row, CancellationToken cancellationToken) => TryAsync(async () => (await _tarballs.RepairAsync(row, cancellationToken))?.Reason);

    /// <summary>
    /// Fetches a tarball anew whose stored bytes are no tarball. They are not served from then on, whatever the upstream sends; <c>gc</c> deletes them.
    /// Null if others are stored, else the reason. If the packument does not list the version any more, the bytes stay: no others will come.
    /// </summary>
    internal Task<string?> TryReplaceTarballAsync(TarballRow row, CancellationToken cancellationToken) => TryAsync(async () =>
    {
        if (await _store.Packages.FindAsync(row.Package, cancellationToken) is not { } package || PackumentIndex.FromBytes(package.Index.Span, package.Name).Find(row.Version) is null)
        {
            return "its packument does not list the version any more.";
        }

        return await _store.Tarballs.FindTarballAsync(row.Package, row.File, cancellationToken) is { } now && now.Sha512 == row.Sha512 && await _store.Tarballs.ForgetTarballAsync(now, cancellationToken)
            ? await TryFetchTarballAsync(row.Package, row.Version, cancellationToken)
            : "it was served or written meanwhile; run it again.";
    });

    /// <summary>Writes a tarball's row anew: from its own values if it still names the bytes, else from a fetch. Null if it is mended, else the reason.</summary>
    internal Task<string?> TryMendRowAsync(TarballRow row, CancellationToken cancellationToken) => TryAsync(async () =>
    {
        if (row.State == TarballState.Held)
        {
            // Its time of verification is not believed.
            return await _store.Tarballs.PutTarballAsync(row with { VerifiedAt = null, Damage = null }, cancellationToken) ? null : "it was written meanwhile.";
        }

        var package = await _store.Packages.FindAsync(row.Package, cancellationToken);
        return package is not null && PackumentIndex.TryFromBytes(package.Index.Span, package.Name)?.Versions.Select(entry => entry.Version).FirstOrDefault(version => TarballUrls.FileName(row.Package, version) == row.File) is { } listed
            ? await TryFetchTarballAsync(row.Package, listed, cancellationToken)
            : "no packument of this mirror lists it.";
    });

    /// <summary>Fetches a tarball that was never held. Null when it is stored, else why not.</summary>
    internal Task<string?> TryFetchTarballAsync(PackageName name, string version, CancellationToken cancellationToken) => TryFetchAsync(name, version, _tarballs.StoreAsync, cancellationToken);

    /// <summary>Fetches a tarball that is held with other bytes than its packument promises. Null when those that it promises are stored, else why not: the others stay then.</summary>
    internal Task<string?> TryTakePromisedAsync(PackageName name, string version, CancellationToken cancellationToken) => TryFetchAsync(name, version, _tarballs.ReplaceAsync, cancellationToken);

    /// <summary>
    /// Asks the upstream again for a held tarball without a promised hash: its first answer may have been wrong. True if other bytes came
    /// and replaced the held ones; if the upstream sends none now, the held ones stay.
    /// </summary>
    internal async Task<bool> IsReplacedAsync(TarballRow row, CancellationToken cancellationToken)
    {
        await TryTakePromisedAsync(row.Package, row.Version, cancellationToken);
        return await _store.Tarballs.FindTarballAsync(row.Package, row.File, cancellationToken) is { State: TarballState.Held } now && now.Sha512 != row.Sha512;
    }

    /// <summary>The same of all tarballs of a package that the upstream names by no hash. Returns how many have other bytes now.</summary>
    /// <exception cref="MirrorException">The store cannot be read.</exception>
    public async Task<int> ReplaceUnpromisedAsync(PackageName name, CancellationToken cancellationToken)
    {
        var replaced = 0;
        foreach (var row in await _store.Tarballs.ListTarballsAsync(name, cancellationToken).Where(row => row is { State: TarballState.Held, IsUnpromised: true }).ToListAsync(cancellationToken))
        {
            replaced += await IsReplacedAsync(row, cancellationToken) ? 1 : 0;
        }

        return replaced;
    }

    private Task<string?> TryFetchAsync(PackageName name, string version, Fetch fetch, CancellationToken cancellationToken) => TryAsync(async () =>
    {
        if (await _store.Packages.ReadAsync(name, cancellationToken) is not { } stored)
        {
            return "the package is not held any more.";
        }

        using var document = await DocumentCodecs.DecodeAsync(name, stored.Document, _budget, cancellationToken);
        return PackumentIndex.FromBytes(stored.Row.Index.Span, stored.Row.Name).Find(version) is { } entry && Manifest.TarballUrl(entry, document.Bytes) is { } url
            ? (await fetch(name, entry, url, Manifest.Promise(entry, document.Bytes), cancellationToken))?.Reason
            : "its packument gives no address for it.";
    });

    private delegate Task<TarballResult.Absent?> Fetch(PackageName name, VersionEntry version, string url, TarballPromise promise, CancellationToken cancellationToken);

    private static async Task<string?> TryAsync(Func<Task<string?>> mend)
    {
        try
        {
            return await mend();
        }
        catch (MirrorException trouble)
        {
            return trouble.Message;
        }
        catch (Exception surprise) when (surprise is not OperationCanceledException)
        {
            // A repair that fails is a finding; the others go on.
            return $"an unexpected error ({surprise.GetType().Name}: {surprise.Message})";
        }
    }
}
