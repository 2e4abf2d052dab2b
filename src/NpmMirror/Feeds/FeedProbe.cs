using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Upstream;

namespace NpmMirror.Feeds;

/// <summary>Finds an upstream's feed and its dialect from the option <c>feed</c>: <c>auto</c>, <c>none</c> or an address.</summary>
internal sealed partial class FeedProbe
{
    private const string PagedEngine = "npm-replicate";

    /// <summary>How often trouble where the convention would have a feed is waited for: most registries have nothing there, and some have a name that leads nowhere.</summary>
    private const int ConventionTriesMax = 3;

    // An empty database has no rows to answer with; most servers send a heartbeat within a second instead.
    private static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(5);

    private readonly RegistryClient _client;
    private readonly FeedOptions _options;
    private readonly ILogger _logger;
    private int _conventionTries;
    private bool _hasWarned;

    /// <summary>Creates the probe.</summary>
    /// <param name="client">The client of the upstream whose feed is sought.</param>
    /// <param name="options">How the found feed will be asked.</param>
    /// <param name="logger">Gets a line about the result.</param>
    public FeedProbe(RegistryClient client, FeedOptions options, ILogger logger)
    {
        _client = client;
        _options = options;
        _logger = logger;
    }

    /// <summary>Finds the feed; null when there is none.</summary>
    /// <exception cref="MirrorException">The option is no address; or the upstream is away, so that the answer is not known (transient: ask again later).</exception>
    public async Task<IChangeFeed?> FindAsync(string feed, CancellationToken cancellationToken)
    {
        if (feed.Equals("none", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        if (!feed.Equals("auto", StringComparison.OrdinalIgnoreCase))
        {
            var address = AddressOf(feed);
            if (!_hasWarned && FindWarning(_client.BaseUrl, address) is { } warning)
            {
                _hasWarned = true;
                LogForeign(warning);
            }

            return await OpenAsync(address, cancellationToken);
        }

        if (await IsFeedAsync(cancellationToken))
        {
            return await OpenAsync(_client.BaseUrl, cancellationToken);
        }

        if (FeedConvention.FeedOf(_client.BaseUrl) is { } derived)
        {
            return await ProbeConventionAsync(derived, cancellationToken);
        }

        LogNone(_client.BaseUrl);
        return null;
    }

    /// <summary>Reads the option's address.</summary>
    /// <exception cref="MirrorException">It is no address.</exception>
    public static Uri AddressOf(string feed) =>
        Uri.TryCreate(feed, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? new Uri(feed)
            : throw new MirrorException(MirrorFault.Configuration, $"feed is {MirrorException.Quote(feed)}; write auto, none or the feed's http(s) address.");

    /// <summary>A warning to the operator of a feed that may not belong to the upstream; null if it does.</summary>
    public static string? FindWarning(Uri upstream, Uri feed) => FeedConvention.IsOwn(upstream, feed)
        ? null
        : $"The feed at {UpstreamFailures.Where(feed)} is on another host than the upstream {UpstreamFailures.Where(upstream)}: the mirror asks the upstream for the packages that the feed names. If the feed's own server has them, name that server with upstream.";

    private async Task<bool> IsFeedAsync(CancellationToken cancellationToken)
    {
        var requests = new FeedRequests(_client, _client.BaseUrl);
        var changes = await AskAsync(() => ReadFirstPageAsync(requests, "?limit=1", cancellationToken));
        if (changes is { IsExpected: false, Trouble: null })
        {
            return false;
        }

        // This registry may answer every request on that route with a server error: its front page tells whether it is there at all.
        var info = await AskAsync(() => ReadEngineAsync(requests, cancellationToken));
        if (info is { IsExpected: false, Trouble: null })
        {
            return false;
        }

        return (changes.Trouble ?? info.Trouble) is { } trouble ? throw trouble : true;
    }

    /// <summary>Looks at the address that the public registry's convention gives a feed. A server counts as a feed only if it says that it is one and answers as one.</summary>
    private async Task<IChangeFeed?> ProbeConventionAsync(Uri derived, CancellationToken cancellationToken)
    {
        var options = _options with { IsDerived = true };
        var requests = new FeedRequests(_client, derived, options);
        string? engine = null;
        var answer = await AskAsync(async () => engine = await ReadEngineAsync(requests, cancellationToken));
        if (engine == PagedEngine)
        {
            answer = await AskAsync(() => ReadFirstPageAsync(requests, "?since=0&limit=1", cancellationToken));
        }

        if (engine == PagedEngine && answer.IsExpected)
        {
            LogFoundByConvention(requests.Location, _client.BaseUrl);
            return new PagedChangeFeed(_client, derived, options);
        }

        if (answer.Trouble is { } trouble && !IsUnknownHost(trouble) && ++_conventionTries < ConventionTriesMax)
        {
            throw trouble;
        }

        LogNoneByConvention(_client.BaseUrl, requests.Location, answer.Trouble?.Message ?? "The server there is not npm's replication service.");
        return null;
    }

    private static bool IsUnknownHost(MirrorException trouble)
    {
        for (Exception? cause = trouble; cause is not null; cause = cause.InnerException)
        {
            if (cause is SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData })
            {
                return true;
            }
        }

        return false;
    }

    private async Task<IChangeFeed> OpenAsync(Uri location, CancellationToken cancellationToken)
    {
        location = FeedRequests.Normalize(location);
        var requests = new FeedRequests(_client, location);
        var isPaged = await IsPagedAsync(requests, cancellationToken);
        LogFound(requests.Location, isPaged ? "paged" : "live");
        return isPaged ? new PagedChangeFeed(_client, location, _options) : new LiveChangeFeed(_client, location, _options);
    }

    private async Task<bool> IsPagedAsync(FeedRequests requests, CancellationToken cancellationToken)
    {
        string? engine = null;
        if ((await AskAsync(async () => engine = await ReadEngineAsync(requests, cancellationToken))).Trouble is { } trouble)
        {
            throw trouble;
        }

        if (engine == PagedEngine)
        {
            return true;
        }

        var isEmpty = false;
        var plain = await AskAsync(async () => isEmpty = !await ReadFirstPageAsync(requests, "?since=0&limit=1", cancellationToken));
        if (plain.Trouble is { } away)
        {
            throw away;
        }

        if (!plain.IsExpected)
        {
            throw new MirrorException(MirrorFault.Configuration, $"{requests.Location} is no change feed; correct feed, or set it to none.");
        }

        // npm's own refuses parameters that it does not know. Only the headers are waited for: without any change the body may never come.
        var wait = isEmpty && WaitMax < _options.Timeout ? WaitMax : _options.Timeout;
        var longpoll = await AskAsync(async () => await (await requests.OpenAsync("/_changes?feed=longpoll&heartbeat=1000&since=0&limit=1", wait, isEndless: true, cancellationToken)).DisposeAsync());
        if (longpoll.Trouble is not { } silence)
        {
            return !longpoll.IsExpected;
        }

        // An empty one answered a moment ago, so it is waiting for its first change.
        return isEmpty && silence.Fault == MirrorFault.UpstreamUnavailable ? false : throw silence;
    }

    /// <summary>Whether the answer is the expected one; a failure if no answer tells.</summary>
    private static async Task<(bool IsExpected, MirrorException? Trouble)> AskAsync(Func<Task> ask)
    {
        try
        {
            await ask();
            return (true, null);
        }
        catch (MirrorException exception) when (exception.Fault is MirrorFault.UpstreamUnavailable or MirrorFault.UpstreamBusy)
        {
            return (false, exception);
        }
        catch (MirrorException)
        {
            // A 404, a refusal, HTML, another JSON.
            return (false, null);
        }
    }

    /// <summary>Whether the feed has any row.</summary>
    private async Task<bool> ReadFirstPageAsync(FeedRequests requests, string query, CancellationToken cancellationToken)
    {
        await using var answer = await requests.OpenAsync($"/_changes{query}", _options.Timeout, isEndless: false, cancellationToken);
        var pipe = FeedRequests.Pipe(answer);
        try
        {
            await foreach (var page in ChangesReader.ReadPagesAsync(pipe, Sequence.Zero, limit: 1, answer.Url, cancellationToken))
            {
                // A server that ignores the limit has shown enough by its first page.
                return page.Rows.Count > 0;
            }

            return false;
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }

    /// <summary>The engine that an info document names, "" where it names none.</summary>
    private static Task<string> ReadEngineAsync(FeedRequests requests, CancellationToken cancellationToken) => requests.GetJsonAsync(
        "/",
        info => FeedRequests.ReadInfo(info) is null
            ? throw UpstreamFailures.Malformed(new Uri(requests.Location), "is no database's information", isTransient: false)
            : info.TryGetProperty("engine", out var engine) && engine.ValueKind == JsonValueKind.String ? engine.GetString()! : "",
        cancellationToken);

    [LoggerMessage(EventIds.Upstream + 10, LogLevel.Information, "Following the {Dialect} feed at {Location}")]
    private partial void LogFound(string location, string dialect);

    [LoggerMessage(EventIds.Upstream + 12, LogLevel.Information, "Following the paged feed at {Location}, the conventional address of the feed of {Upstream} (feed=none turns it off)")]
    private partial void LogFoundByConvention(string location, Uri upstream);

    [LoggerMessage(EventIds.Upstream + 13, LogLevel.Information, "{Upstream} has no change feed, and there is none at its conventional address {Location}: packages are revalidated when they are asked for (set feed if it has one elsewhere). {Reason}")]
    private partial void LogNoneByConvention(Uri upstream, string location, string reason);

    [LoggerMessage(EventIds.Upstream + 14, LogLevel.Warning, "{Warning}")]
    private partial void LogForeign(string warning);

    [LoggerMessage(EventIds.Upstream + 11, LogLevel.Information, "{Upstream} has no change feed: packages are revalidated when they are asked for (set feed if it has one elsewhere)")]
    private partial void LogNone(Uri upstream);
}
