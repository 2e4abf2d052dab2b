using System.Security.Cryptography;
using System.Text;

namespace NpmMirror.Testing;

/// <summary>The documents and their feed: each id once, at its newest sequence, deleted ones for ever.</summary>
internal sealed class FakeDatabase
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, FakeDocument> _documents = new(StringComparer.Ordinal);
    private readonly SortedSet<FakeDocument> _feed = new(Comparer<FakeDocument>.Create((left, right) => left.Sequence.CompareTo(right.Sequence)));
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public long Head { get; private set; }

    public int LiveCount { get; private set; }

    /// <summary>The newest revision of an id, deleted or not; or null.</summary>
    public FakeDocument? Find(string name)
    {
        lock (_lock)
        {
            return _documents.GetValueOrDefault(name);
        }
    }

    /// <summary>Puts a new revision in; <paramref name="sequence"/> places its row elsewhere than at the end.</summary>
    public FakeChange Put(string name, Func<FakeDocument?, Func<byte[]>> load, bool isDeleted = false, bool isLazy = false, long? sequence = null)
    {
        TaskCompletionSource changed;
        FakeDocument document;
        lock (_lock)
        {
            var previous = _documents.GetValueOrDefault(name);
            var content = load(previous);
            var ownRevision = isLazy || isDeleted ? null : FakeDocument.OwnRevision(content());
            document = new FakeDocument(name, sequence ?? Head + 1, ownRevision ?? NextRevision(name, previous), content)
            {
                IsDeleted = isDeleted,
                IsLazy = isLazy,
                HasOwnRevision = ownRevision is not null,
                Previous = previous,
            };
            if (_feed.Contains(document))
            {
                throw new InvalidOperationException($"Sequence {sequence} is taken.");
            }

            if (previous is not null)
            {
                _feed.Remove(previous);
                previous.Previous = null;
            }

            LiveCount += (isDeleted ? 0 : 1) - (previous is { IsDeleted: false } ? 1 : 0);
            _documents[name] = document;
            _feed.Add(document);
            Head = Math.Max(Head, document.Sequence);
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.TrySetResult();
        return new FakeChange(name, document.Sequence, document.Revision);
    }

    /// <summary>Rows behind a sequence, and whether there are more.</summary>
    public (IReadOnlyList<FakeDocument> Rows, bool HasMore, long Head) RowsBehind(long since, int limit, bool isDescending = false)
    {
        lock (_lock)
        {
            if (isDescending)
            {
                return ([.. _feed.Reverse().Take(limit)], _feed.Count > limit, Head);
            }

            if (since >= Head)
            {
                return ([], false, Head);
            }

            var rows = _feed.GetViewBetween(Probe(since + 1), Probe(long.MaxValue)).Take(limit + 1L > int.MaxValue ? limit : limit + 1).ToList();
            var hasMore = rows.Count > limit;
            return (hasMore ? rows[..limit] : rows, hasMore, Head);
        }
    }

    /// <summary>All live documents.</summary>
    public IReadOnlyList<FakeDocument> All()
    {
        lock (_lock)
        {
            return [.. _documents.Values.Where(document => !document.IsDeleted)];
        }
    }

    /// <summary>Ends when there may be rows behind a sequence.</summary>
    public Task WhenChangedAsync(long since)
    {
        lock (_lock)
        {
            return Head > since ? Task.CompletedTask : _changed.Task;
        }
    }

    /// <summary>Numbers all rows anew from <paramref name="first"/>, in their order, as after a move to another database.</summary>
    public void Renumber(long first)
    {
        lock (_lock)
        {
            var rows = _feed.ToList();
            _feed.Clear();
            foreach (var row in rows)
            {
                var renumbered = new FakeDocument(row.Name, first++, row.Revision, () => row.Json) { IsDeleted = row.IsDeleted, IsLazy = row.IsLazy, HasOwnRevision = row.HasOwnRevision };
                _documents[row.Name] = renumbered;
                _feed.Add(renumbered);
            }

            Head = first - 1;
        }
    }

    private static FakeDocument Probe(long sequence) => new("", sequence, "", () => []);

    private static string NextRevision(string name, FakeDocument? previous)
    {
        var number = (previous?.RevisionNumber ?? 0) + 1;
        return $"{number}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{name}#{number}")).AsSpan(0, 16))}";
    }
}
