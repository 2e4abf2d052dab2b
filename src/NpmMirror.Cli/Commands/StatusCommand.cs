using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NpmMirror.Cli.Settings;
using NpmMirror.Hosting;
using NpmMirror.Notes;
using NpmMirror.Search;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror status</c>: the contents and progress of the store; works beside a running <c>serve</c>.</summary>
internal static class StatusCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var json = CommandRun.JsonOption();
        var command = new Command("status", "Print what the store holds, its progress and its failures; works beside a running serve") { json };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings => RunAsync(settings, parsed.GetValue(json), cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, bool asJson, CancellationToken cancellationToken)
    {
        using var logging = Setup.CreateLogging(settings.Options.Log);
        await using var store = await Setup.OpenExistingStoreAsync(settings.Options, logging, cancellationToken);
        var status = await MirrorStatus.ReadAsync(store, Setup.CreateBlobs(settings.Options, logging), TimeProvider.System, cancellationToken);
        await using var index = new SqliteSearchIndex(settings.Options.Data, TimeProvider.System);
        status = status with { Search = await MirrorStatus.SearchStatus.ReadAsync(index, status.Log, cancellationToken) };
        if (status.Upstream is null)
        {
            // A store that knows no upstream: tell the one that a mirror started like this would have.
            status = status with { Upstream = new MirrorStatus.UpstreamStatus(await UpstreamChoice.DescribeAsync(settings.Options, cancellationToken), settings.OriginOf("upstream")) };
        }

        if (asJson)
        {
            Console.Write(JsonSerializer.Serialize(status, ReportJson.Indented.MirrorStatus) + Environment.NewLine);
        }
        else
        {
            Print(status);
        }

        return ExitCode.Ok;
    }

    private static void Print(MirrorStatus status)
    {
        var counts = status.Counts;
        Line("Store", status.Store);
        Line("Blobs", status.Blobs);
        Line("Packages", $"{counts.Packages} held, {counts.Removed} removed, {Amounts.Bytes(counts.RawBytes)} of metadata");
        Line("Tarballs", $"{counts.Tarballs} held, {Amounts.Bytes(counts.TarballBytes)}");
        Line("Log", $"position {status.Log.Position}, hash {status.Log.Hash}");
        var feed = status.Feed;
        Line("Upstream", $"{status.Upstream!.Address} ({status.Upstream.From})");
        Line("Feed", feed.Location is null ? "none followed yet" : $"{feed.Location}, read to {feed.Read}, handled to {feed.Handled}{(feed.IsFirstWalk ? ", the first walk is not done" : "")}");
        PrintFollowing(feed);
        foreach (var node in status.Nodes)
        {
            Line("Node", $"{node.Name}, version {node.Version}, up since {node.StartedAt.ToString("u", CultureInfo.InvariantCulture)}, heard {node.BeatAt.ToString("u", CultureInfo.InvariantCulture)} by its clock{(node.Name == status.Leader ? "; followed the feed last" : "")}");
        }

        if (status.Leader is { } leader && !status.Nodes.Any(node => node.Name == leader))
        {
            Line("Leader", $"{leader} followed the feed last");
        }

        if (status.Reconciliation is { } last)
        {
            Line("Compared", Describe(last));
        }

        if (status.UnfinishedReconciliation is { } unfinished)
        {
            Line("Comparing", Describe(unfinished));
        }

        if (status.Search is { } search)
        {
            Line("Search", $"{search.Packages} packages, {Amounts.Bytes(search.SizeBytes)}, {(search.IsBuilding ? "being built" : search.Lag == 0 ? "up to date" : $"{search.Lag} log rows to go")}");
        }

        Line("Queue", counts.Queued == 0 ? "empty" : $"{counts.Queued} waiting{(status.NextDue is { } due ? $", the next is due {due.ToString("u", CultureInfo.InvariantCulture)}" : "")}");
        if (counts.Queued > 0 && status.Removals.IsHeld(TimeProvider.System.GetUtcNow()))
        {
            Line("Removals", $"HELD BACK since {status.Removals.HeldSince!.Value.ToString("u", CultureInfo.InvariantCulture)}: {status.Removals.Reason} (npm-mirror reconcile --accept-removals lets them go on)");
        }

        foreach (var pause in status.Pauses)
        {
            Line("Paused", $"{pause.Host} is not asked for {pause.Words} until {pause.Until.ToString("u", CultureInfo.InvariantCulture)}: {pause.Reason}");
        }

        Line("Writable", status.Writable ? "yes" : $"no: {status.WhyNotWritable}");
        foreach (var error in status.Errors)
        {
            Line("Failing", $"{error.Package} ({error.Attempts} tries, again {error.NextTry.ToString("u", CultureInfo.InvariantCulture)}): {error.Error}");
        }

        foreach (var given in status.GivenUp)
        {
            Line("Given up", $"{given.Package} {given.At.ToString("u", CultureInfo.InvariantCulture)} after {given.Attempts} tries, until the upstream names it again: {given.Reason}");
        }
    }

    private static void PrintFollowing(MirrorStatus.FeedStatus feed)
    {
        var now = TimeProvider.System.GetUtcNow();
        if (FollowingLines.Following(feed.Following, feed.Handled, now) is { } following)
        {
            Line("Following", following);
        }

        if (FollowingLines.LateRows(feed.Following, now) is { } late)
        {
            Line("Late rows", late);
        }
    }

    private static string Describe(UnfinishedReconciliation begun) =>
        $"with the upstream's list since {begun.StartedAt.ToString("u", CultureInfo.InvariantCulture)}: {(begun.Failure is { } failure ? $"failed: {failure}" : "not done, or cut short")}";

    private static string Describe(Reconciliation last) =>
        $"with the upstream's list {last.EndedAt.ToString("u", CultureInfo.InvariantCulture)}: {last.Missing} missing, {last.Stale} stale, {last.Vanished} vanished of {last.Held} held"
        + (last.HeldBack is { } reason ? $"; REMOVALS ARE HELD BACK: {reason} (npm-mirror reconcile --accept-removals lets them go on)" : "");

    private static void Line(string name, string text) => Console.WriteLine($"{name,-10}{text}");
}
