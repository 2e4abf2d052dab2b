using System.Security.Cryptography;
using System.Text;

namespace NpmMirror.Testing;

/// <summary>The documents and their feed: each id once, at its newest sequence, deleted ones for ever.</summary>
internal sealed class FakeDatabase(FakeMishaps mishaps, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, FakeDocument> _documents = new(StringComparer.Ordinal);
    private readonly SortedSet<FakeDocument> _feed = new(Comparer<FakeDocument>.Create((left, right) => left.Sequence.CompareTo(right.Sequence)));
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly PriorityQueue<FakeDocument, DateTimeOffset> _late = new();
    private long _assigned;
    private long _shown;

    /// <summary>The highest sequence that the feed has told.</summary>
    public long Head
    {
        get
        {
            lock (_lock)
            {
                return Show();
            }
        }
    }

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
            var now = time.GetUtcNow();
            Show();
            var previous = _documents.GetValueOrDefault(name);
            var content = load(previous);
            var ownRevision = isLazy || isDeleted ? null : FakeDocument.OwnRevision(content());
            document = new FakeDocument(name, sequence ?? _assigned + 1, ownRevision ?? NextRevision(name, previous), content)
            {
                IsDeleted = isDeleted,
                IsLazy = isLazy,
                HasOwnRevision = ownRevision is not null,
                Previous = previous,
                AppearsAt = mishaps.RowAppearsAt(isDeleted, now) ?? DateTimeOffset.MinValue,
                ServedFrom = mishaps.PackumentFollowsAt(now) ?? DateTimeOffset.MinValue,
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
            _assigned = Math.Max(_assigned, document.Sequence);
            if (document.AppearsAt <= now)
            {
                _shown = Math.Max(_shown, document.Sequence);
            }
            else if (document.AppearsAt < DateTimeOffset.MaxValue)
            {
                _late.Enqueue(document, document.AppearsAt);
            }

            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.TrySetResult();
        return new FakeChange(name, document.Sequence, document.Revision);
    }

    /// <summary>Rows after a sequence, and whether there are more.</summary>
    public (IReadOnlyList<FakeDocument> Rows, bool HasMore, long Head) RowsAfter(long since, int limit, bool isDescending = false)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            var head = Show();
            if (isDescending)
            {
                return ([.. _feed.Reverse().Where(row => row.AppearsAt <= now).Take(limit)], _feed.Count > limit, head);
            }

            if (since >= head)
            {
                return ([], false, head);
            }

            var rows = _feed.GetViewBetween(Probe(since + 1), Probe(long.MaxValue)).Where(row => row.AppearsAt <= now).Take(limit + 1L > int.MaxValue ? limit : limit + 1).ToList();
            var hasMore = rows.Count > limit;
            return (hasMore ? rows[..limit] : rows, hasMore, head);
        }
    }

    /// <summary>All documents by their sequences, deleted ones and those without a row too.</summary>
    public IReadOnlyList<FakeDocument> Everything()
    {
        lock (_lock)
        {
            return [.. _feed];
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

    /// <summary>Ends when there may be rows after a sequence.</summary>
    public Task WhenChangedAsync(long since)
    {
        lock (_lock)
        {
            return Show() > since ? Task.CompletedTask : _changed.Task;
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
                var renumbered = new FakeDocument(row.Name, first++, row.Revision, () => row.Json)
                {
                    IsDeleted = row.IsDeleted,
                    IsLazy = row.IsLazy,
                    HasOwnRevision = row.HasOwnRevision,
                    Previous = row.Previous,
                    ServedFrom = row.ServedFrom,
                };
                _documents[row.Name] = renumbered;
                _feed.Add(renumbered);
            }

            // Late and lost rows are over: the new feed was made from the documents.
            _late.Clear();
            (_assigned, _shown) = (first - 1, first - 1);
        }
    }

    /// <summary>Leaves out numbers, as a service does that moves to another database.</summary>
    public void Jump(long by)
    {
        lock (_lock)
        {
            _assigned += by;
        }
    }

    /// <summary>The highest sequence told, with the rows whose time has come.</summary>
    private long Show()
    {
        while (_late.TryPeek(out var document, out var at) && at <= time.GetUtcNow())
        {
            _shown = Math.Max(_shown, document.Sequence);
            _late.Dequeue();
        }

        return _shown;
    }

    private static FakeDocument Probe(long sequence) => new("", sequence, "", () => []);

    private static string NextRevision(string name, FakeDocument? previous)
    {
        var number = (previous?.RevisionNumber ?? 0) + 1;
        return $"{number}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{name}#{number}")).AsSpan(0, 16))}";
    }
}
