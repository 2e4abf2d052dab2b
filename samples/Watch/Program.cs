// Prints what changes in a registry, until Ctrl+C: dotnet run --project samples/Watch -- https://registry.example.org/ [sequence to begin behind]
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror;
using NpmMirror.Monitoring;
using NpmMirror.Upstream;

using var budget = new ByteBudget(128 * 1024 * 1024);
using var client = new RegistryClient(new RegistryClientOptions { BaseUrl = new Uri(args[0]) }, budget, TimeProvider.System, NullLogger.Instance);
var feed = await new FeedProbe(client, new FeedOptions(), NullLogger.Instance).FindAsync("auto", CancellationToken.None)
    ?? throw new InvalidOperationException($"{args[0]} has no feed of changes.");
await using var monitor = RegistryMonitor.Bare(feed, client, new MonitorOptions { LastSeq = args.ElementAtOrDefault(1) }, concurrency: 10, TimeProvider.System, NullLogger.Instance);
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true;
    monitor.Stop();
};
await foreach (var told in monitor.FollowAsync(since: null, CancellationToken.None))
{
    Console.WriteLine(told switch
    {
        MonitorEvent.Appeared appeared => $"+ {appeared.Package}",
        MonitorEvent.Updated updated => $"> {updated.Package}",
        MonitorEvent.Deleted deleted => $"- {deleted.Package}",
        MonitorEvent.Revised revised => $"@ {revised.LastSequence}",
        MonitorEvent.Failed failed => $"! {failed.Error.Message}",
        _ => told.GetType().Name,
    });
}
