using NpmMirror.Mirroring;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Cli;

/// <summary>The parts of a mirror, opened from its options; closes them again in the right order.</summary>
internal sealed class OpenMirror : IAsyncDisposable
{
    private readonly FileStream? _followLock;

    private OpenMirror(MirrorParts parts, FileStream? followLock)
    {
        Parts = parts;
        _followLock = followLock;
    }

    /// <summary>What was opened.</summary>
    public MirrorParts Parts { get; }

    /// <summary>Opens everything.</summary>
    /// <param name="options">The options.</param>
    /// <param name="isFollowing">Whether this process will follow the feed, which one process a data folder does.</param>
    /// <param name="logging">Where all parts log.</param>
    /// <param name="cancellationToken">Ends the opening.</param>
    /// <exception cref="MirrorException">The upstream is not known, or the store refuses.</exception>
    public static async Task<OpenMirror> OpenAsync(MirrorOptions options, bool isFollowing, ILoggerFactory logging, CancellationToken cancellationToken)
    {
        var store = Setup.CreateStore(options, logging);
        FileStream? followLock = null;
        try
        {
            // Whose copy a folder is it knows itself; only for a new one npm is asked, and before anything is made.
            var isThere = Setup.HasStore(options);
            if (isThere)
            {
                followLock = TakeLock(options, isFollowing);
                await store.OpenAsync(cancellationToken);
                var noted = await UpstreamSetup.FindNotedAsync(store, cancellationToken);
                options.Upstream = options.Offline ? noted ?? options.Upstream : UpstreamSetup.Choose(noted, options, isFollowing, logging);
            }

            var upstream = await UpstreamSetup.FindAsync(options, cancellationToken);
            if (!isThere)
            {
                followLock = TakeLock(options, isFollowing);
                await store.OpenAsync(cancellationToken);
            }

            var budget = new ByteBudget(options.BudgetBytes, Path.Combine(options.Data, "tmp"));
            var client = new RegistryClient(upstream with { InstanceId = await FindInstanceAsync(store, options, cancellationToken) }, budget, TimeProvider.System, logging.CreateLogger("NpmMirror.Upstream"));
            return new OpenMirror(new MirrorParts(store, Setup.CreateBlobs(options, logging), client, UpstreamSetup.CreateFindFeed(client, options, logging), budget), followLock);
        }
        catch
        {
            await store.DisposeAsync();
            followLock?.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Parts.Upstream.Dispose();
        await Parts.Store.DisposeAsync();
        (Parts.Blobs as IDisposable)?.Dispose();
        Parts.Budget.Dispose();
        _followLock?.Dispose();
    }

    private static FileStream? TakeLock(MirrorOptions options, bool isFollowing) => isFollowing && Setup.EmbeddedFolder(options) is { } folder ? FollowLock.Take(folder) : null;

    private static async Task<string> FindInstanceAsync(IMetadataStore store, MirrorOptions options, CancellationToken cancellationToken)
    {
        if (await store.GetCursorAsync(MirrorCursors.Instance, cancellationToken) is { } known)
        {
            return known;
        }

        var instance = Guid.NewGuid().ToString("N");
        if (options.Offline)
        {
            return instance;
        }

        try
        {
            await store.SetCursorAsync(MirrorCursors.Instance, instance, cancellationToken);
        }
        catch (MirrorException failure) when (failure.Fault == MirrorFault.StoreReadOnly)
        {
            // What is held is served from a read-only folder too; the name lasts as long as the process then.
        }

        return instance;
    }
}
