using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Options;
using NpmMirror.Upstream;

namespace NpmMirror.Hosting;

/// <summary>Tells of changes in a registry, and keeps nothing.</summary>
public static class RegistryWatch
{
    /// <summary>
    /// Follows the upstream's feed and tells each event. Failures are told (<see cref="MonitorEvent.Failed"/>) and tried again, also if the upstream is
    /// away at first. When cancelled it stops, and tells <see cref="MonitorEvent.Ended"/> as the last event.
    /// </summary>
    /// <param name="options">The registry to follow, and the sequence to begin after (<see cref="MirrorOptions.LastSeq"/>). Without an upstream: the registry that npm is configured for.</param>
    /// <param name="loggers">Its loggers; null: it logs nothing.</param>
    /// <param name="warn">Called once if the feed is not the upstream's own, and the two may not fit.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="MirrorException">The upstream has no feed, or does not know the sequence to begin after.</exception>
    /// <example>
    /// <code>
    /// await foreach (var told in RegistryWatch.FollowAsync(new MirrorOptions { Upstream = "https://registry.example.org/" }))
    /// {
    ///     Console.WriteLine(told);
    /// }
    /// </code>
    /// </example>
    public static async IAsyncEnumerable<MonitorEvent> FollowAsync(
        MirrorOptions options, ILoggerFactory? loggers = null, Action<string>? warn = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        loggers ??= NullLoggerFactory.Instance;
        MirrorBuilder.Check(options);
        using var budget = new ByteBudget(options.BudgetBytes);
        using var client = new RegistryClient(await UpstreamChoice.FindAsync(options, cancellationToken), budget, TimeProvider.System, loggers.CreateLogger("NpmMirror.Upstream"));
        var find = UpstreamChoice.CreateFindFeed(client, options, loggers);
        var trouble = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1), Random.Shared);
        var look = await LookAsync(find, cancellationToken);
        while (look.Failure is { } failure)
        {
            yield return new MonitorEvent.Failed(failure, null);
            await Task.Delay(trouble.Next(failure.RetryAfter), TimeProvider.System, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            look = await LookAsync(find, cancellationToken);
        }

        if (cancellationToken.IsCancellationRequested)
        {
            yield return new MonitorEvent.Ended();
            yield break;
        }

        var feed = look.Feed ?? throw HasNoFeed(client);
        if (FeedProbe.FindWarning(client.BaseUrl, new Uri(feed.Location)) is { } warning)
        {
            warn?.Invoke(warning);
        }

        await using var monitor = Monitor(feed, client, options, loggers, []);

        // Stopped rather than cancelled, so that the last event is told too.
        await using var stopping = cancellationToken.Register(monitor.Stop);
        var isStarted = false;
        await foreach (var told in monitor.FollowAsync(since: null, CancellationToken.None))
        {
            isStarted |= told is MonitorEvent.Started;
            if (!isStarted && told is MonitorEvent.Failed { Error: MirrorException { Fault: MirrorFault.BadInput } refused })
            {
                // The caller's sequence is unknown to the feed, and would be the next time too.
                throw refused;
            }

            yield return told;
        }
    }

    /// <summary>A monitor that is not started: the same events as .NET events. It keeps nothing, and is disposed by the caller.</summary>
    /// <param name="options">The registry to follow, and the sequence to begin after. Without an upstream: the registry that npm is configured for.</param>
    /// <param name="loggers">Its loggers; null: it logs nothing.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="MirrorException">The upstream is away, or has no feed.</exception>
    /// <example>
    /// <code>
    /// await using var monitor = await RegistryWatch.OpenAsync(new MirrorOptions { Upstream = "https://registry.example.org/" });
    /// monitor.Updated += updated => Console.WriteLine(updated.Package);
    /// monitor.Start();
    /// </code>
    /// </example>
    public static async Task<RegistryMonitor> OpenAsync(MirrorOptions options, ILoggerFactory? loggers = null, CancellationToken cancellationToken = default)
    {
        loggers ??= NullLoggerFactory.Instance;
        MirrorBuilder.Check(options);
        var budget = new ByteBudget(options.BudgetBytes);
        var client = new RegistryClient(await UpstreamChoice.FindAsync(options, cancellationToken), budget, TimeProvider.System, loggers.CreateLogger("NpmMirror.Upstream"));
        try
        {
            var feed = await UpstreamChoice.CreateFindFeed(client, options, loggers)(cancellationToken) ?? throw HasNoFeed(client);
            return Monitor(feed, client, options, loggers, [client, budget]);
        }
        catch
        {
            client.Dispose();
            budget.Dispose();
            throw;
        }
    }

    private static RegistryMonitor Monitor(IChangeFeed feed, RegistryClient client, MirrorOptions options, ILoggerFactory loggers, IReadOnlyList<IDisposable> owned) =>
        RegistryMonitor.Bare(feed, client, MonitorOptions.From(options), options.Concurrency, TimeProvider.System, loggers.CreateLogger("NpmMirror.Monitor"), owned);

    private static MirrorException HasNoFeed(RegistryClient client) =>
        new(MirrorFault.Configuration, $"{Masked.Address(client.BaseUrl.AbsoluteUri)} has no feed of changes; name one with feed.");

    /// <summary>Asks whether the upstream has a feed. An upstream that is away is a failure to tell, not an end; nothing of both: cancelled, or it has none.</summary>
    private static async Task<(IChangeFeed? Feed, MirrorException? Failure)> LookAsync(FindFeed find, CancellationToken cancellationToken)
    {
        try
        {
            return (await find(cancellationToken), null);
        }
        catch (MirrorException failure) when (failure.IsTransient)
        {
            return (null, failure);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return (null, null);
        }
    }
}
