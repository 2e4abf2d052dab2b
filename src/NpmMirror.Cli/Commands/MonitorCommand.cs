using System.CommandLine;
using NpmMirror.Cli.Settings;
using NpmMirror.Mirroring;
using NpmMirror.Monitoring;
using NpmMirror.Upstream;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror monitor</c>: print what changes upstream; keeps nothing.</summary>
internal static class MonitorCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var json = CommandRun.JsonOption();
        var command = new Command("monitor", "Print what changes upstream: + new, > updated, - deleted, @ sequence; keeps nothing") { json };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings => RunAsync(settings, parsed.GetValue(json), cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, bool asJson, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        Setup.RequireOnline(options, "monitor");
        if (!settings.IsGiven("log.level"))
        {
            // What fails is printed as an event already.
            options.Log.Level = LogLevel.Critical;
        }

        using var logging = Setup.CreateLogging(options.Log);
        using var budget = new ByteBudget(options.BudgetBytes);
        using var client = new RegistryClient(await UpstreamSetup.FindAsync(options, cancellationToken), budget, TimeProvider.System, logging.CreateLogger("NpmMirror.Upstream"));
        var lines = new MonitorLines(asJson, Console.Out, Console.Error);
        var findFeed = UpstreamSetup.CreateFindFeed(client, options, logging);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watching = StandardOutput.CancelWhenClosedAsync(ending, TimeProvider.System);
        try
        {
            return await RunAsync(options, client, findFeed, lines, logging, ending.Token);
        }
        finally
        {
            await ending.CancelAsync();
            await watching;
        }
    }

    private static async Task<int> RunAsync(MirrorOptions options, RegistryClient client, FindFeed findFeed, MonitorLines lines, ILoggerFactory logging, CancellationToken cancellationToken)
    {
        IChangeFeed? feed;
        try
        {
            feed = await FindFeedAsync(findFeed, lines, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            lines.Print(new MonitorEvent.Ended());
            return ExitCode.Ok;
        }

        if (feed is null)
        {
            throw new MirrorException(MirrorFault.Configuration, $"{Masked.Address(client.BaseUrl.AbsoluteUri)} has no feed of changes; name one with feed.");
        }

        if (FeedProbe.FindWarning(client.BaseUrl, new Uri(feed.Location)) is { } warning)
        {
            // The log is silent here.
            await Console.Error.WriteLineAsync(warning);
        }

        await using var monitor = RegistryMonitor.Bare(feed, client, MonitorOptions.From(options), options.Concurrency, TimeProvider.System, logging.CreateLogger("NpmMirror.Monitor"));

        // Stopped rather than cancelled, so that the last event is told too.
        await using var stopping = cancellationToken.Register(monitor.Stop);
        var isStarted = false;
        await foreach (var told in monitor.FollowAsync(since: null, CancellationToken.None))
        {
            isStarted |= told is MonitorEvent.Started;
            if (!isStarted && told is MonitorEvent.Failed { Error: MirrorException { Fault: MirrorFault.BadInput } refused })
            {
                // A sequence that the feed does not know, and nobody but the user named it: asked again it says the same.
                throw refused;
            }

            lines.Print(told);
        }

        return ExitCode.Ok;
    }

    /// <summary>Asks until the upstream says whether it has a feed: an upstream that is away is an error to tell, not an end.</summary>
    private static async Task<IChangeFeed?> FindFeedAsync(FindFeed find, MonitorLines lines, CancellationToken cancellationToken)
    {
        var trouble = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1), Random.Shared);
        while (true)
        {
            try
            {
                return await find(cancellationToken);
            }
            catch (MirrorException failure) when (failure.IsTransient)
            {
                lines.Print(new MonitorEvent.Failed(failure, null));
                await Task.Delay(trouble.Next(failure.RetryAfter), TimeProvider.System, cancellationToken);
            }
        }
    }
}
