using NpmMirror.Hosting;
using NpmMirror.Log;

namespace NpmMirror.Page.Packages;

/// <summary>The history of a package, from the log: the newest events first, in words.</summary>
internal sealed class HistoryLines(Mirror mirror)
{
    private const int Most = 100;
    private const int NamesMax = 5;

    /// <summary>The newest events; the caller has checked that the package may be seen.</summary>
    internal async Task<IReadOnlyList<HistoryLine>> ReadAsync(PackageName name, CancellationToken cancellationToken)
    {
        var isPastHidden = await mirror.Visibility.FindPastAsync(name, cancellationToken) is not null;
        var lines = new Queue<HistoryLine>(Most + 1);
        await foreach (var row in mirror.Store.Log.ReadHistoryAsync(name, cancellationToken))
        {
            lines.Enqueue(new HistoryLine(row.SeenAt, row.Position, isPastHidden && row.Type != EventTypes.PackageRemoved ? row.Type : Describe(row)));
            if (lines.Count > Most)
            {
                lines.Dequeue();
            }
        }

        return [.. lines.Reverse()];
    }

    private static string Describe(LogRow row)
    {
        RegistryEvent? told;
        try
        {
            told = row.Damage is null ? EventPayload.FromRow(row) : null;
        }
        catch (MirrorException)
        {
            return $"{row.Type}: this row of the log is damaged";
        }

        return told switch
        {
            PackageAdded added => $"first seen, with {added.Versions} versions",
            VersionPublished published => $"version {Words.Plain(published.Version, 100)} published",
            VersionChanged changed => $"changed in place: {Names(changed.Versions.Select(one => $"{one.Version} ({string.Join(", ", one.Members.Take(NamesMax).Select(member => member.Name))})"))}",
            VersionRemoved removed => $"version {Words.Plain(removed.Version, 100)} removed",
            DistTagMoved { To: { } to } moved => $"tag {Words.Plain(moved.Tag, 60)} set to {Words.Plain(to, 60)}{(moved.From is { } from ? $", from {Words.Plain(from, 60)}" : "")}",
            DistTagMoved gone => $"tag {Words.Plain(gone.Tag, 60)} removed",
            MaintainersChanged => "maintainers changed",
            MetadataChanged metadata => $"changed: {Names(metadata.Members.Select(member => member.Name))}",
            Deprecated deprecated => string.Join("; ", deprecated.Deprecations.Take(NamesMax).Select(one => one.Message is { } words ? $"deprecated: {Names(one.Versions)} ({Words.Plain(words, 200)})" : $"deprecated no longer: {Names(one.Versions)}")),
            InstallScriptAppeared script => $"now with an install script: {Names(script.Versions.Select(one => one.Version))}",
            ProvenanceLost lost => $"now without provenance: {Names(lost.Versions.Select(one => one.Version))}",
            PackageRemoved removed => $"removed upstream: {removed.Kind}{(removed.Reason is { } reason ? $" ({Words.Plain(reason, 200)})" : "")}",
            PackageRestored => "back upstream",
            _ => $"{row.Type}, purged",
        };
    }

    private static string Names(IEnumerable<string> names)
    {
        var all = names.Take(NamesMax + 1).Select(name => Words.Plain(name, 100)).ToList();
        return string.Join(", ", all.Take(NamesMax)) + (all.Count > NamesMax ? " …" : "");
    }
}

/// <summary>An event of a package.</summary>
internal sealed record HistoryLine(DateTimeOffset SeenAt, LogPosition Position, string Text);
