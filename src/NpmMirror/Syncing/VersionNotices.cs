using NpmMirror.Log;
using NpmMirror.Packuments;

namespace NpmMirror.Syncing;

/// <summary>
/// Remarks about published and changed versions: deprecations, new install scripts, lost provenance. Found
/// when both documents are at hand, since the log alone does not give the new value.
/// </summary>
internal static class VersionNotices
{
    /// <summary>The events, each kind at most once; without position and times.</summary>
    public static List<RegistryEvent> Of(PackumentDiff diff, PackumentIndex oldIndex, ReadOnlySpan<byte> oldDocument, PackumentIndex newIndex, ReadOnlySpan<byte> newDocument)
    {
        var deprecations = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        var undone = new List<string>();
        var scripts = new List<ComparedVersion>();
        var provenance = new List<ComparedVersion>();
        foreach (var change in diff.Changed)
        {
            if (oldIndex.Find(change.Version) is not { } old || newIndex.Find(change.Version) is not { } current)
            {
                continue;
            }

            if (IsAmong(change.Members, "deprecated") && Manifest.Deprecation(current, newDocument) is var words && words != Manifest.Deprecation(old, oldDocument))
            {
                NoteDeprecation(change.Version, words, deprecations, undone);
            }

            if (IsAmong(change.Members, "scripts", "hasInstallScript") && Manifest.HasInstallScript(current, newDocument) && !Manifest.HasInstallScript(old, oldDocument))
            {
                scripts.Add(new ComparedVersion(change.Version, change.Version));
            }

            if (IsAmong(change.Members, "dist") && !Manifest.HasProvenance(current, newDocument) && Manifest.HasProvenance(old, oldDocument))
            {
                provenance.Add(new ComparedVersion(change.Version, change.Version));
            }
        }

        var lookup = new Predecessors(newIndex);
        foreach (var added in diff.Added)
        {
            if (Manifest.Deprecation(added, newDocument) is { } words)
            {
                NoteDeprecation(added.Version, words, deprecations, undone);
            }

            if (lookup.Before(added.Version) is not { } previous)
            {
                continue;
            }

            if (Manifest.HasInstallScript(added, newDocument) && !Manifest.HasInstallScript(previous, newDocument))
            {
                scripts.Add(new ComparedVersion(added.Version, previous.Version));
            }

            if (Manifest.HasProvenance(previous, newDocument) && !Manifest.HasProvenance(added, newDocument))
            {
                provenance.Add(new ComparedVersion(added.Version, previous.Version));
            }
        }

        return Events(deprecations, undone, scripts, provenance, newIndex.ModifiedAt);
    }

    private static List<RegistryEvent> Events(
        Dictionary<string, List<string>> deprecations, List<string> undone, List<ComparedVersion> scripts, List<ComparedVersion> provenance, DateTimeOffset? at)
    {
        var events = new List<RegistryEvent>();
        if (deprecations.Count + undone.Count > 0)
        {
            var all = deprecations.Select(words => new Deprecation(words.Key, words.Value)).ToList();
            if (undone.Count > 0)
            {
                all.Add(new Deprecation(null, undone));
            }

            events.Add(new Deprecated(all) { At = at });
        }

        if (scripts.Count > 0)
        {
            events.Add(new InstallScriptAppeared(scripts) { At = at });
        }

        if (provenance.Count > 0)
        {
            events.Add(new ProvenanceLost(provenance) { At = at });
        }

        return events;
    }

    private static void NoteDeprecation(string version, string? words, Dictionary<string, List<string>> deprecations, List<string> undone)
    {
        if (words is null)
        {
            undone.Add(version);
        }
        else if (deprecations.TryGetValue(words, out var versions))
        {
            versions.Add(version);
        }
        else
        {
            deprecations.Add(words, [version]);
        }
    }

    private static bool IsAmong(IReadOnlyList<MemberChange> members, params ReadOnlySpan<string> names)
    {
        foreach (var member in members)
        {
            if (names.Contains(member.Name))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Which version stands before which; ordered when it is first asked for.</summary>
    private sealed class Predecessors(PackumentIndex index)
    {
        private List<(VersionOrder Order, VersionEntry Entry)>? _ascending;

        public VersionEntry? Before(string version)
        {
            if (VersionOrder.Of(version) is not { } order)
            {
                return null;
            }

            _ascending ??= [.. Ordered(index).OrderBy(pair => pair.Order)];
            (VersionOrder Order, VersionEntry Entry)? before = null;
            foreach (var pair in _ascending)
            {
                if (pair.Order.CompareTo(order) >= 0)
                {
                    break;
                }

                // A stable version is compared with a stable one, if there is any.
                if (pair.Order.IsStable || !order.IsStable || before is not { Order.IsStable: true })
                {
                    before = pair;
                }
            }

            return before?.Entry;
        }

        private static IEnumerable<(VersionOrder Order, VersionEntry Entry)> Ordered(PackumentIndex index) =>
            index.Versions.Select(entry => (Order: VersionOrder.Of(entry.Version), entry)).Where(pair => pair.Order is not null).Select(pair => (pair.Order!, pair.entry));
    }
}
