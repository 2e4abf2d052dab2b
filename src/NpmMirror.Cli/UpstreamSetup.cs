using NpmMirror.Mirroring;
using NpmMirror.Upstream;

namespace NpmMirror.Cli;

/// <summary>From options to the upstream: its address, credentials and feed.</summary>
internal static class UpstreamSetup
{
    /// <summary>What to know of the upstream.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: it is this mirror itself, or nobody says what it is.</exception>
    public static Task<RegistryClientOptions> FindAsync(MirrorOptions options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var baseUrl = options.Upstream ?? throw new MirrorException(MirrorFault.Configuration, "upstream is not given.");
        if (OwnAddress.Is(new Uri(baseUrl), options))
        {
            throw new MirrorException(MirrorFault.Configuration, $"upstream is {Masked.Address(baseUrl)}, which is this mirror itself; name the registry to mirror with upstream.");
        }

        return Task.FromResult(new RegistryClientOptions
        {
            BaseUrl = new Uri(baseUrl),
            Timeout = options.UpstreamTimeout,
            PackumentMaxBytes = options.PackumentMaxBytes,
            TarballMaxBytes = options.TarballMaxBytes,
            TarballHosts = [.. options.TarballHosts],
            Concurrency = options.Concurrency,
        });
    }

    /// <summary>How the upstream's feed is found.</summary>
    public static FindFeed CreateFindFeed(RegistryClient client, MirrorOptions options, ILoggerFactory logging)
    {
        var probe = new FeedProbe(client, FeedOptionsOf(options), logging.CreateLogger("NpmMirror.Monitor"));
        return cancellationToken => probe.FindAsync(options.Feed, cancellationToken);
    }

    private static FeedOptions FeedOptionsOf(MirrorOptions options) => new()
    {
        Mode = options.Mode,
        PollDelay = options.Delay > 0 ? TimeSpan.FromMilliseconds(options.Delay) : options.PollDelay,
        Timeout = options.UpstreamTimeout,
    };
}
