using System.Diagnostics.Metrics;
using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>
/// Looks upstream for a version, a tag or a tarball that a held packument lacks, before a client is told that there is none: lockfiles are made
/// elsewhere, and may be newer than the held packument. A version that was not found is remembered for <c>negativeTtl</c>; a package is asked for once a second at most.
/// </summary>
internal sealed class VersionSearch(IPackageTable packages, UpstreamLooks looks, Freshness freshness, MirrorOptions options, TimeProvider time, Meter? meter)
{
    private const int RememberedMin = 10_000;

    /// <summary>No version, tag or file name is longer; longer ones would only fill the memory.</summary>
    private const int ItemMaxChars = 512;

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(30);

    private readonly BoundedCache<(PackageName, string), long> _absent = new BoundedCache<(PackageName, string), long>("absent versions", RememberedMin).MeasureIn(meter);
    private readonly BoundedCache<PackageName, long> _lookedAt = new BoundedCache<PackageName, long>("searched packages", RememberedMin).MeasureIn(meter);

    /// <summary>True after a look upstream: search again in the held packument. False if it is as new as the request, or was searched not long ago: there is none.</summary>
    /// <param name="searched">The package as it was searched.</param>
    /// <param name="item">The missing version, tag or file name.</param>
    /// <param name="askedAt">When the client asked for it: an earlier look upstream counts only once.</param>
    /// <param name="cancellationToken">Ends the wait, not the look.</param>
    /// <exception cref="MirrorException">The upstream is in trouble or did not answer in time, so that it is not known whether it has the item.</exception>
    public async Task<bool> LookAsync(PackageRow searched, string item, long askedAt, CancellationToken cancellationToken)
    {
        var name = searched.Name;
        if (await IsAnotherNowAsync(searched, cancellationToken))
        {
            return true;
        }

        if (item.Length > ItemMaxChars || (_absent.TryGet((name, item), out var searchedAt) && time.GetElapsedTime(searchedAt) < options.NegativeTtl))
        {
            return false;
        }

        if (freshness.IsComparedSince(name, askedAt))
        {
            _absent.Set((name, item), time.GetTimestamp());
            return false;
        }

        // Invented versions cost the upstream one request a second, and their client waits for it.
        if (_lookedAt.TryGet(name, out var last) && BetweenLooks - time.GetElapsedTime(last) is var rest && rest > TimeSpan.Zero)
        {
            await Task.Delay(rest, time, cancellationToken);
            if (freshness.IsComparedSince(name, askedAt) || await IsAnotherNowAsync(searched, cancellationToken))
            {
                return true;
            }
        }

        await WaitForLookAsync(name, item, cancellationToken);
        return true;
    }

    private async ValueTask<bool> IsAnotherNowAsync(PackageRow searched, CancellationToken cancellationToken) =>
        (await packages.FindAsync(searched.Name, cancellationToken))?.Generation != searched.Generation;

    private async Task WaitForLookAsync(PackageName name, string item, CancellationToken cancellationToken)
    {
        if (looks.Begin(name, isPastCaches: true) is not { } look)
        {
            throw Unknown(name, item, "too many such requests are under way", null);
        }

        _lookedAt.Set(name, look.BegunAt);
        try
        {
            if (await look.Result.WaitAsync(WaitMax, time, cancellationToken) is { } trouble)
            {
                throw Unknown(name, item, trouble.Message, trouble);
            }
        }
        catch (TimeoutException e)
        {
            throw Unknown(name, item, $"the upstream did not answer within {WaitMax.TotalSeconds:0} s", e);
        }
    }

    private static MirrorException Unknown(PackageName name, string item, string why, Exception? inner) => new(
        (inner as MirrorException)?.Fault ?? MirrorFault.UpstreamUnavailable,
        $"{MirrorException.Quote(item)} of {name} is not held, and the upstream could not be asked for it; try again: {why}",
        isTransient: true,
        (inner as MirrorException)?.RetryAfter ?? TimeSpan.FromSeconds(5),
        inner);
}
