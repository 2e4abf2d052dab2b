using System.Diagnostics.Metrics;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore.Packages;

/// <summary>A packument's description of one tarball.</summary>
/// <param name="Version">The version that has it.</param>
/// <param name="Url">The upstream's address of it.</param>
/// <param name="Promise">The promise of its bytes.</param>
internal sealed record TarballDescription(VersionEntry Version, string Url, TarballPromise Promise);

/// <summary>
/// Looks tarballs up in their packuments. That decodes the whole packument: two hundred clients that ask for one new file of a package with
/// a packument of 20 MB would keep the machine busy for seconds before the first byte, so concurrent searches share one result.
/// </summary>
internal sealed class TarballDescriptions(IPackageTable packages, ByteBudget budget, TimeProvider time, Meter? meter = null)
{
    private const int SearchesMax = 10_000;

    private static readonly TimeSpan SearchMax = TimeSpan.FromSeconds(30);

    private readonly SingleFlight<(PackageName, string), TarballDescription?> _searches = new("searches", SearchesMax, time, meter);
    private long _searchCount;

    /// <summary>How many packuments were looked into.</summary>
    internal long SearchCount => Interlocked.Read(ref _searchCount);

    /// <summary>The description of a package's tarball by its file name; null when no version of the stored packument has it.</summary>
    /// <exception cref="MirrorException">The stored packument cannot be read, or not in time.</exception>
    internal async Task<TarballDescription?> FindAsync(PackageName package, string file, CancellationToken cancellationToken)
    {
        var askedAt = time.GetTimestamp();
        for (var isFirst = true; ; isFirst = false)
        {
            var search = _searches.Join((package, file), () => SearchAsync(package, file));
            var found = await search.Result.WaitAsync(cancellationToken);

            // The first may have begun before this request, with an older packument: its finding is right, but a file that it did not find may be there by now.
            if (found is not null || search.BegunAt >= askedAt || !isFirst)
            {
                return found;
            }
        }
    }

    private async Task<TarballDescription?> SearchAsync(PackageName package, string file)
    {
        using var limit = new CancellationTokenSource(SearchMax, time);
        try
        {
            Interlocked.Increment(ref _searchCount);
            if (await packages.ReadAsync(package, limit.Token) is not { } stored)
            {
                return null;
            }

            var index = PackumentIndex.FromBytes(stored.Row.Index.Span, stored.Row.Name);
            using var document = await DocumentCodecs.DecodeAsync(package, stored.Document, budget, limit.Token);
            return TarballUrls.FindVersion(index, document.Bytes, package, file) is { } version && Manifest.TarballUrl(version, document.Bytes) is { } url
                ? new TarballDescription(version, url, Manifest.Promise(version, document.Bytes))
                : null;
        }
        catch (OperationCanceledException e)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"The packument of {package} could not be searched within {SearchMax.TotalSeconds:N0} s; try again.", isTransient: true, TimeSpan.FromSeconds(5), e);
        }
    }
}
