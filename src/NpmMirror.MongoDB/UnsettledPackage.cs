using MongoDB.Bson;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>A package whose events wait for their numbers, or whose versions wait for its document.</summary>
/// <param name="Document">Its row, without its document.</param>
/// <param name="Events">Its events, of each commit together, in order.</param>
internal sealed record UnsettledPackage(PackageDocument Document, IReadOnlyList<(long Generation, IReadOnlyList<PendingEvent> Events)> Events)
{
    internal static readonly BsonDocument Fields = new()
    {
        ["generation"] = 1,
        ["commit"] = 1,
        ["content"] = 1,
        ["versionsOf"] = 1,
        ["round"] = 1,
        ["pending"] = 1,
    };

    /// <summary>How far numbering has told this row.</summary>
    internal long Round => Document.Stored.Number("round") ?? 0;

    internal static async ValueTask<UnsettledPackage?> ReadAsync(BsonDocument stored, Chunks chunks, CancellationToken cancellationToken)
    {
        if (PackageDocument.Of(stored) is not { } document)
        {
            return null;
        }

        var events = new List<(long, IReadOnlyList<PendingEvent>)>();
        foreach (var entry in document.Pending)
        {
            if (await chunks.ReadAsync(entry.Part("bytes"), cancellationToken) is { } bytes)
            {
                events.Add((entry.Number("generation") ?? 0, PendingEvents.Read(bytes)));
            }
        }

        return new UnsettledPackage(document, events);
    }

    /// <summary>The rows of the log of its commits up to a generation, after the end that is given.</summary>
    internal IEnumerable<LogRow> Chain(LogHead end, long generation)
    {
        foreach (var commit in Events.Where(commit => commit.Generation <= generation))
        {
            foreach (var row in Chain(end, commit))
            {
                end = new LogHead(row.Position, row.Hash);
                yield return row;
            }
        }
    }

    /// <summary>Those of one commit.</summary>
    internal IEnumerable<LogRow> Chain(LogHead end, (long Generation, IReadOnlyList<PendingEvent> Events) commit)
    {
        foreach (var pending in commit.Events)
        {
            var row = ChainHash.Append(end.Position, end.Hash, Document.Name, commit.Generation, pending);
            end = new LogHead(row.Position, row.Hash);
            yield return row;
        }
    }
}
