using System.Text.Json.Nodes;
using NpmMirror.Log;
using NpmMirror.Notes;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

/// <content>The invariants, at each move of the cursor and at the end.</content>
internal sealed partial class SimulatedWorld
{
    private volatile bool _isCheckingHandled = true;

    /// <summary>Before <c>handled</c> moves: each row that the feed had shown up to there is stored, removed or queued.</summary>
    private void CheckCursor(string key, string? value)
    {
        if (key == MirrorCursors.WalkHead && value is null)
        {
            // After a reset the numbers mean something again when all was compared.
            _isCheckingHandled = true;
        }

        if (key != MirrorCursors.Handled || !_isCheckingHandled || value is null)
        {
            return;
        }

        _counts.HandledChecks++;
        var handled = new Sequence(value).Order;
        foreach (var document in _upstream.Database.Everything())
        {
            // The feed had not shown late and lost rows.
            if (document.Sequence <= handled && document.AppearsAt == DateTimeOffset.MinValue && !IsHandled(document))
            {
                _fault ??= $"handled is to move to {value}, but {document.Name} at {document.Sequence} ({document.Revision}) is neither stored nor queued.\n{_log.Text}";
            }
        }
    }

    private bool IsHandled(FakeDocument document)
    {
        var name = PackageName.Parse(document.Name);
        if (_store.Queue.FindQueuedAsync(name, CancellationToken.None).AsTask().Result is not null)
        {
            return true;
        }

        // Read the row after the queue: a package that leaves the queue meanwhile was stored before.
        var row = _store.Packages.FindAsync(name, CancellationToken.None).AsTask().Result;
        return (row is null or { Facts.IsRemoved: true } && (IsGone(document) || _denied.Contains(document.Name)))
            || (row is not null && new Revision(row.Facts.Rev!).Number >= document.RevisionNumber);
    }

    private static bool IsGone(FakeDocument document) => document.IsDeleted || document.Parse()["versions"] is null;

    /// <summary>Lets time pass until nothing is left to do; then everything must be equal.</summary>
    private async Task BecomeEqualAsync(CancellationToken cancellationToken)
    {
        var until = _clock.GetUtcNow() + QuietMax;
        var differences = await DifferencesAsync(cancellationToken);
        while (differences.Count > 0)
        {
            Assert.True(_clock.GetUtcNow() < until, $"{QuietMax.TotalHours} quiet hours, and still different:\n{string.Join('\n', differences)}\n{_log.Text}");
            await StepAsync(cancellationToken);
            differences = await DifferencesAsync(cancellationToken);
        }
    }

    private async Task<List<string>> DifferencesAsync(CancellationToken cancellationToken)
    {
        var differences = new List<string>();
        var names = new HashSet<string>();
        foreach (var document in _upstream.Database.Everything())
        {
            names.Add(document.Name);
            var row = await _store.Packages.FindAsync(PackageName.Parse(document.Name), cancellationToken);
            if (Difference(document, row) is { } difference)
            {
                differences.Add($"{document.Name}: {difference}");
            }
        }

        differences.AddRange((await HeldAsync(cancellationToken)).Except(names).Select(name => $"{name}: held, never was upstream"));
        var handled = await _store.Notes.FindNoteAsync(MirrorCursors.Handled, cancellationToken);
        if (new Sequence(handled ?? "0").Order != _upstream.HeadSequence)
        {
            differences.Add($"handled is {handled}, the feed's head {_upstream.HeadSequence}");
        }

        await foreach (var item in _store.Queue.ListQueuedAsync(cancellationToken))
        {
            differences.Add($"{item.Name}: queued, {item.LastError}");
        }

        return differences;
    }

    private string? Difference(FakeDocument document, PackageRow? row)
    {
        if (IsGone(document))
        {
            return row is null or { Facts.IsRemoved: true } ? null : $"gone upstream, held here in {row.Facts.Rev}";
        }

        if (row is null or { Facts.IsRemoved: true })
        {
            return $"there upstream in {document.Revision}, {(row is null ? "missing" : "removed")} here";
        }

        var theirs = _upstream.Packument(document.Name)!;
        if (row.DocumentSha256 != Digest.OfSha256(theirs))
        {
            return $"{document.Revision} upstream, {row.Facts.Rev} here";
        }

        var tags = JsonNode.Parse(theirs)!["dist-tags"]!.AsObject().ToDictionary(tag => tag.Key, tag => tag.Value!.GetValue<string>());
        return tags.OrderBy(tag => tag.Key, StringComparer.Ordinal).SequenceEqual(PackumentIndex.FromBytes(row.Index.Span).DistTags.OrderBy(tag => tag.Key, StringComparer.Ordinal)) ? null : "other tags";
    }

    /// <summary>Each package's events in order, no version told twice, and the last of them about the package's present state.</summary>
    private async Task CheckLogAsync(CancellationToken cancellationToken)
    {
        var last = new Dictionary<string, RegistryEvent>();
        var newest = new Dictionary<string, long>();
        var published = new HashSet<(string, string)>();
        await foreach (var row in _store.Log.ReadLogAsync(LogPosition.Zero, cancellationToken))
        {
            var told = EventPayload.FromRow(row)!;
            var name = row.Package.Value;
            _counts.Events++;
            if (told.UpstreamRev is { } rev)
            {
                var number = new Revision(rev).Number;
                Assert.True(number >= newest.GetValueOrDefault(name), $"{name}: {told.GetType().Name} of {rev} after one of {newest.GetValueOrDefault(name)}\n{_log.Text}");
                newest[name] = number;
            }

            if (told is PackageRemoved)
            {
                // A package that comes back is there for the first time again.
                published.RemoveWhere(version => version.Item1 == name);
            }

            Assert.True(told is not VersionPublished version || published.Add((name, version.Version)), $"{name}: a version was told twice\n{_log.Text}");
            last[name] = told;
        }

        foreach (var document in _upstream.Database.Everything())
        {
            if (!IsGone(document))
            {
                Assert.True(last.TryGetValue(document.Name, out var told), $"{document.Name} was never told\n{_log.Text}");
                Assert.True(told.UpstreamRev == document.Revision, $"{document.Name}: {document.Revision} was not told, only {told.UpstreamRev} ({told.GetType().Name})\n{_log.Text}");
            }
            else if (last.TryGetValue(document.Name, out var told))
            {
                Assert.True(told is PackageRemoved, $"{document.Name}: its removal was not told, only {told.GetType().Name}\n{_log.Text}");
            }
        }
    }
}
