using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Notes;
using NpmMirror.NpmSettings;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Hosting;

/// <summary>Chooses the upstream and how it is reached: from the options, from the note in the store, and from npm's own configuration.</summary>
internal static partial class UpstreamChoice
{
    /// <summary>Where an upstream comes from that the store knows.</summary>
    public const string AsNoted = "as the mirror noted";

    /// <summary>The upstream of the last fetches; null for a store that knows none yet.</summary>
    public static async Task<string?> FindNotedAsync(INoteTable notes, CancellationToken cancellationToken) =>
        await notes.FindNoteAsync(MirrorCursors.Upstream, cancellationToken) is { } noted ? UpstreamIdentity.Parse(noted).Url : null;

    /// <summary>The settings of the upstream's client: of the one that is named, else of npm's; credentials, authorities and proxy as npm has them.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: the upstream is this mirror itself, or is not configured at all.</exception>
    public static async Task<RegistryClientOptions> FindAsync(MirrorOptions options, CancellationToken cancellationToken)
    {
        var npm = NpmConfig.Load(NpmSurroundings.OfThisProcess(TimeProvider.System));
        var upstream = await npm.FindUpstreamAsync(options.Upstream, cancellationToken);
        if (OwnAddress.Is(upstream, options))
        {
            var who = options.Upstream is null ? "npm on this machine is configured to use" : "upstream is";
            throw new MirrorException(MirrorFault.Configuration, $"{who} {Masked.Address(upstream.AbsoluteUri)}, which is this mirror itself; name the registry to mirror with --upstream.");
        }

        return WithLimits(npm.ToClientOptions(upstream), options);
    }

    /// <summary>How a client asks: with the times, sizes and numbers of the mirror's options.</summary>
    public static RegistryClientOptions WithLimits(RegistryClientOptions upstream, MirrorOptions options) =>
        upstream with
        {
            Timeout = options.UpstreamTimeout,
            PackumentMaxBytes = options.PackumentMaxBytes,
            TarballMaxBytes = options.TarballMaxBytes,
            TarballHosts = [.. options.TarballHosts],
            Concurrency = options.Concurrency,
            IsOffline = options.Offline,
            RequestsPerSecond = options.RequestsPerSecond,
        };

    /// <summary>
    /// The upstream of a store that noted one: that, when none is named; another one becomes its upstream when this process follows, and is
    /// refused otherwise, because packages of two registries would be mixed.
    /// </summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: another is named than the store was filled from.</exception>
    public static string? Choose(string? noted, MirrorOptions options, bool isFollowing, ILoggerFactory loggers)
    {
        if (noted is null || options.Upstream is not { } named)
        {
            return options.Upstream ?? noted;
        }

        if (IsSame(noted, named))
        {
            return named;
        }

        if (!isFollowing)
        {
            throw new MirrorException(
                MirrorFault.Configuration,
                $"This is a mirror of {Masked.Address(noted)}, and takes nothing from {Masked.Address(named)}: leave upstream out, name another folder with data, or give that upstream to serve or mirror, which change it for good.");
        }

        LogAnother(loggers.CreateLogger("NpmMirror.Mirror"), Masked.Address(noted), Masked.Address(named));
        return named;
    }

    /// <summary>The upstream's address for people, its credentials hidden; if none is configured, the sentence that says so.</summary>
    public static async Task<string> DescribeAsync(MirrorOptions options, CancellationToken cancellationToken)
    {
        try
        {
            var npm = NpmConfig.Load(NpmSurroundings.OfThisProcess(TimeProvider.System));
            return Masked.Address((await npm.FindUpstreamAsync(options.Upstream, cancellationToken)).AbsoluteUri);
        }
        catch (MirrorException failure) when (failure.Fault == MirrorFault.Configuration)
        {
            return failure.Message;
        }
    }

    /// <summary>How the upstream's feed is found.</summary>
    public static FindFeed CreateFindFeed(RegistryClient client, MirrorOptions options, ILoggerFactory loggers)
    {
        var probe = new FeedProbe(client, FeedOptionsOf(options), loggers.CreateLogger("NpmMirror.Monitor"));
        return cancellationToken => probe.FindAsync(options.Feed, cancellationToken);
    }

    private static FeedOptions FeedOptionsOf(MirrorOptions options) => new()
    {
        Mode = options.Mode,
        PollDelay = options.Delay > 0 ? TimeSpan.FromMilliseconds(options.Delay) : options.PollDelay,
        Timeout = options.UpstreamTimeout,
    };

    private static bool IsSame(string left, string right) =>
        Uri.TryCreate(left, UriKind.Absolute, out var one) && Uri.TryCreate(right, UriKind.Absolute, out var other)
        && Uri.Compare(one, other, UriComponents.SchemeAndServer, UriFormat.Unescaped, StringComparison.OrdinalIgnoreCase) == 0
        && string.Equals(one.AbsolutePath.TrimEnd('/'), other.AbsolutePath.TrimEnd('/'), StringComparison.Ordinal);

    [LoggerMessage(EventIds.Hosting + 1, LogLevel.Warning, "This was a mirror of {Noted}; from now on it follows {Named}, and what it holds is compared with that")]
    private static partial void LogAnother(ILogger logger, string noted, string named);
}
