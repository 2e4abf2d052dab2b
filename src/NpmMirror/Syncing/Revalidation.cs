using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>
/// Without a feed, held packages are compared with the upstream by their age. A reader waits for that, but no longer than
/// <c>revalidateWait</c>: then it gets the held document, and the comparison goes on in the background.
/// </summary>
internal sealed class Revalidation(UpstreamLooks looks, Freshness freshness, Func<bool> isFollowed, MirrorOptions options, TimeProvider time)
{
    /// <summary>
    /// Whether the row may be served without a look at the upstream: it is fresh, or followed, or the look is under way and takes longer than
    /// readers wait. Cheap: asked for with each answer from memory.
    /// </summary>
    public bool IsServable(PackageRow row) =>
        options.Offline || isFollowed() || freshness.IsFresh(row) || (looks.Find(row.Name) is { } look && time.GetElapsedTime(look.BegunAt) >= options.RevalidateWait);

    /// <summary>Compares a row that is too old, and waits for it a while. True when it was compared: then the store is to be asked again.</summary>
    public async ValueTask<bool> CompareAsync(PackageRow row, CancellationToken cancellationToken)
    {
        if (IsServable(row) || looks.Begin(row.Name) is not { } look)
        {
            return false;
        }

        // As many slow looks as requests at once: the upstream is slow, and more readers would wait in vain.
        var left = options.RevalidateWait - time.GetElapsedTime(look.BegunAt);
        if (left <= TimeSpan.Zero || looks.CountSlow(options.RevalidateWait) >= options.Concurrency)
        {
            return false;
        }

        try
        {
            return await look.Result.WaitAsync(left, time, cancellationToken) is null;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }
}
