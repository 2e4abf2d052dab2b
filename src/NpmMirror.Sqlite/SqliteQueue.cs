using System.Diagnostics.CodeAnalysis;
using Microsoft.Data.Sqlite;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>The queue.</summary>
internal sealed class SqliteQueue(SqliteDatabase database) : IQueueTable
{
    private const string QueueColumns = "name, priority, due_at, queued_at, wanted_rev, is_deleted_row, attempts, missing_since, last_error, ticket, has_blind";

    // A lease that ends later than any that is given was written by a wrong clock.
    private const string IsUnleased = "(token IS NULL OR leased_until IS NULL OR leased_until <= @now OR leased_until > @leaseMax)";
    private const int EnqueueBatch = 1000;
    private const int ItemBytes = 200;
    private const int AttemptsMax = 1_000_000_000;

    // The enum lists its negative values last.
    private static readonly QueuePriority[] Priorities = [.. Enum.GetValues<QueuePriority>().Order()];
    private static readonly string PriorityNumbers = string.Join(", ", Priorities.Select(priority => (int)priority));

    // Ranges of the index: below the first, between two neighbours, above the last, where SQLite has text and bytes, too.
    private static readonly string IsNoPriority = string.Join(
        " OR ",
        [$"priority < {(int)Priorities[0]}", .. Priorities.Skip(1).Select(priority => $"(priority > {(int)priority - 1} AND priority < {(int)priority})"), $"priority > {(int)Priorities[^1]}"]);

    /// <inheritdoc/>
    public async ValueTask EnqueueAsync(IReadOnlyList<QueueItem> items, QueueCursor? cursor, CancellationToken cancellationToken)
    {
        // A walk over everything comes in long lists: commits of others get in between. The cursor is set with the last batch.
        for (var start = 0; start == 0 || start < items.Count; start += EnqueueBatch)
        {
            var (from, to) = (start, Math.Min(start + EnqueueBatch, items.Count));
            await database.WriteAsync(
                transaction =>
                {
                    for (var i = from; i < to; i++)
                    {
                        Enqueue(transaction, items[i], database.Now);
                    }

                    if (cursor is not null && to == items.Count)
                    {
                        CrashPoint.Hit(CrashPoint.AfterEnqueueBeforeCursor);
                        SqliteNotes.Set(transaction.Session, cursor.Key, cursor.Value);
                    }

                    return true;
                },
                (long)(to - from) * ItemBytes,
                cancellationToken);
        }
    }

    // Only adding is synced. After a power cut that undoes a lease, a completion or a postponement some work is repeated, which is always allowed.

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<QueueLease>> TakeAsync(int max, TimeSpan duration, CancellationToken cancellationToken) => database.WriteUnsyncedAsync<IReadOnlyList<QueueLease>>(
        transaction =>
        {
            var now = database.Now;
            var due = new List<Queued>();
            var nameless = new List<object>();

            // An item without a priority would never be taken, nor one without a time.
            transaction.Session.Execute($"UPDATE queue SET priority = {(int)Priorities[^1]} WHERE {IsNoPriority}");

            // So was a moment further away than the longest pause. The index finds these without a walk, and usually there are none.
            transaction.Session.Execute(
                $"UPDATE queue SET due_at = @now WHERE priority IN ({PriorityNumbers}) AND due_at > @pauseMax",
                ("@now", now.ToMs()),
                ("@pauseMax", (now + StoredMoments.LongestPause).ToMs()));
            foreach (var priority in Priorities)
            {
                // One range of the index a priority: items that are not due yet are never walked over.
                using var reader = transaction.Session.Query(
                    $"""
                    SELECT {QueueColumns} FROM queue
                    WHERE priority = @priority AND due_at <= @now AND {IsUnleased}
                    ORDER BY due_at, name LIMIT @max
                    """,
                    ("@priority", (int)priority),
                    ("@now", now.ToMs()),
                    ("@leaseMax", SqliteValues.LeaseMax(now)),
                    ("@max", max - due.Count));
                while (reader.Read())
                {
                    if (TryReadQueued(reader, now, out var queued))
                    {
                        due.Add(queued);
                    }
                    else
                    {
                        nameless.Add(SqlitePages.NameOf(reader));
                    }
                }
            }

            foreach (var name in nameless)
            {
                // Its package is not known, and it would be taken again and again.
                transaction.Session.Execute("DELETE FROM queue WHERE name = @name", ("@name", name));
                transaction.Counted = transaction.Counted with { Queued = transaction.Counted.Queued - 1 };
            }

            return [.. due.Select(queued => Lease(transaction.Session, queued, now, duration))];
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<QueueLease?> TakeAsync(PackageName name, TimeSpan duration, CancellationToken cancellationToken) => database.WriteUnsyncedAsync(
        transaction =>
        {
            var now = database.Now;
            var queued = FindQueued(transaction.Session, now, $"AND {IsUnleased}", ("@name", name.Value), ("@now", now.ToMs()), ("@leaseMax", SqliteValues.LeaseMax(now)));
            return queued is null ? null : Lease(transaction.Session, queued, now, duration);
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> RenewAsync(QueueLease lease, TimeSpan duration, CancellationToken cancellationToken) => database.WriteUnsyncedAsync(
        transaction => transaction.Session.Execute(
            "UPDATE queue SET leased_until = @until WHERE name = @name AND token = @token",
            ("@until", StoredMoments.EndOfLease(database.Now, duration).ToMs()),
            ("@name", lease.Item.Name.Value),
            ("@token", lease.Token)) > 0,
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> CompleteAsync(QueueLease lease, string? doneRev, CancellationToken cancellationToken) => database.WriteUnsyncedAsync(
        transaction =>
        {
            if (FindLeased(transaction.Session, lease, database.Now) is not { } queued)
            {
                return false;
            }

            if (queued.Ticket != lease.Ticket && (queued.HasBlindEnqueue || queued.Item.IsWantedBeyond(doneRev)))
            {
                WriteQueued(transaction.Session, queued with { Item = queued.Item.Renewed(database.Now) });
                return true;
            }

            transaction.Session.Execute("DELETE FROM queue WHERE name = @name", ("@name", lease.Item.Name.Value));
            transaction.Counted = transaction.Counted with { Queued = transaction.Counted.Queued - 1 };
            return true;
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> PostponeAsync(QueueLease lease, QueuePostponement postponement, CancellationToken cancellationToken) => database.WriteUnsyncedAsync(
        transaction =>
        {
            if (FindLeased(transaction.Session, lease, database.Now) is not { } queued)
            {
                return false;
            }

            var now = database.Now;
            var isDueAtOnce = queued.Ticket != lease.Ticket && now < postponement.DueAt;
            WriteQueued(transaction.Session, queued with
            {
                Item = queued.Item with
                {
                    DueAt = isDueAtOnce ? now : postponement.DueAt,
                    Attempts = queued.Item.Attempts + 1,
                    LastError = postponement.Error,
                    MissingSince = postponement.MissingSince,
                },
            });
            return true;
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<QueueItem?> FindQueuedAsync(PackageName name, CancellationToken cancellationToken) =>
        database.ReadAsync(session => FindQueued(session, database.Now, "", ("@name", name.Value))?.Item, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<QueueItem> ListQueuedAsync(CancellationToken cancellationToken) => database.PagesAsync<QueueItem, object>(
        "",
        SqlitePages.RowsMax,
        (session, last) => session.Query($"SELECT {QueueColumns} FROM queue WHERE name > @after ORDER BY name LIMIT {SqlitePages.RowsMax}", ("@after", last)),
        (SqliteDataReader reader, [MaybeNullWhen(false)] out QueueItem item) => (item = TryReadQueued(reader, database.Now, out var queued) ? queued.Item : null) is not null,
        SqlitePages.NameOf,
        _ => ItemBytes,
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<DateTimeOffset?> NextDueAsync(CancellationToken cancellationToken) => database.ReadAsync(
        session =>
        {
            var now = database.Now;
            var pauseMax = (now + StoredMoments.LongestPause).ToMs();
            var next = session.Scalar<object>(
                $"""
                SELECT min(CASE WHEN NOT {IsUnleased} AND leased_until > due THEN leased_until ELSE due END)
                FROM (SELECT token, leased_until, CASE WHEN due_at > @pauseMax THEN @now ELSE due_at END AS due FROM queue WHERE token IS NOT NULL)
                """,
                ("@now", now.ToMs()),
                ("@leaseMax", SqliteValues.LeaseMax(now)),
                ("@pauseMax", pauseMax)) as long?;
            foreach (var priority in Priorities)
            {
                foreach (var end in (ReadOnlySpan<string>)["ASC", "DESC"])
                {
                    var due = session.Scalar<object>($"SELECT due_at FROM queue WHERE priority = @priority AND token IS NULL ORDER BY due_at {end} LIMIT 1", ("@priority", (int)priority)) as long?;
                    due = due > pauseMax ? now.ToMs() : due;
                    next = next is null || due < next ? due ?? next : next;
                }
            }

            return next is { } ms ? DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(ms, SqliteValues.TimeMin, SqliteValues.TimeMax)) : (DateTimeOffset?)null;
        },
        cancellationToken);

    private static void Enqueue(WriteTransaction transaction, QueueItem item, DateTimeOffset now)
    {
        var session = transaction.Session;
        if (FindQueued(session, now, "", ("@name", item.Name.Value)) is not { } queued)
        {
            WriteQueued(session, new Queued(item, 1, false, false));
            transaction.Counted = transaction.Counted with { Queued = transaction.Counted.Queued + 1 };
            return;
        }

        if (queued.IsDamaged)
        {
            WriteQueued(session, queued);
        }

        var merged = queued.Item.MergedWith(item);
        session.Execute(
            """
            UPDATE queue SET priority = @priority, due_at = @dueAt, queued_at = @queuedAt, wanted_rev = @wantedRev, is_deleted_row = @isDeletedRow,
                ticket = ticket + 1, has_blind = has_blind OR @isBlind
            WHERE name = @name
            """,
            ("@priority", (int)merged.Priority),
            ("@dueAt", merged.DueAt.ToMs()),
            ("@queuedAt", merged.QueuedAt.ToMs()),
            ("@wantedRev", merged.WantedRev),
            ("@isDeletedRow", merged.IsDeletedRow),
            ("@isBlind", item.WantedRev is null),
            ("@name", item.Name.Value));
    }

    private static QueueLease Lease(SqliteSession session, Queued queued, DateTimeOffset now, TimeSpan duration)
    {
        if (queued.IsDamaged)
        {
            WriteQueued(session, queued);
        }

        var token = Guid.NewGuid().ToString("N");
        session.Execute(
            "UPDATE queue SET token = @token, leased_until = @until, has_blind = 0 WHERE name = @name",
            ("@token", token),
            ("@until", StoredMoments.EndOfLease(now, duration).ToMs()),
            ("@name", queued.Item.Name.Value));
        return new QueueLease(queued.Item, queued.Ticket, token);
    }

    // Without a lease: writing an item whole gives it back.
    private static void WriteQueued(SqliteSession session, Queued queued) => session.Execute(
        $"INSERT OR REPLACE INTO queue ({QueueColumns}) VALUES (@name, @priority, @dueAt, @queuedAt, @wantedRev, @isDeletedRow, @attempts, @missingSince, @lastError, @ticket, @hasBlind)",
        ("@name", queued.Item.Name.Value),
        ("@priority", (int)queued.Item.Priority),
        ("@dueAt", queued.Item.DueAt.ToMs()),
        ("@queuedAt", queued.Item.QueuedAt.ToMs()),
        ("@wantedRev", queued.Item.WantedRev),
        ("@isDeletedRow", queued.Item.IsDeletedRow),
        ("@attempts", queued.Item.Attempts),
        ("@missingSince", queued.Item.MissingSince.ToMs()),
        ("@lastError", queued.Item.LastError),
        ("@ticket", queued.Ticket),
        ("@hasBlind", queued.HasBlindEnqueue));

    private static Queued? FindLeased(SqliteSession session, QueueLease lease, DateTimeOffset now) =>
        FindQueued(session, now, "AND token = @token", ("@name", lease.Item.Name.Value), ("@token", lease.Token));

    private static Queued? FindQueued(SqliteSession session, DateTimeOffset now, string condition, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        using var reader = session.Query($"SELECT {QueueColumns} FROM queue WHERE name = @name {condition}", parameters);
        return reader.Read() && TryReadQueued(reader, now, out var queued) ? queued : null;
    }

    /// <summary>Reads an item from a row, damaged or not; false if its name is no package's.</summary>
    private static bool TryReadQueued(SqliteDataReader reader, DateTimeOffset now, [MaybeNullWhen(false)] out Queued queued)
    {
        queued = null;
        var values = new CheckedRow(reader, "queue");
        if (values.Package(0) is not { } name)
        {
            return false;
        }

        var item = new QueueItem
        {
            Name = name,
            Priority = (QueuePriority)values.Integer(1, (int)Priorities[0], (int)Priorities[^1], (int)Priorities[^1]),
            DueAt = values.Time(2, now),
            QueuedAt = values.Time(3, now),
            WantedRev = values.TextOrNull(4),
            IsDeletedRow = values.Flag(5),
            Attempts = values.Integer(6, max: AttemptsMax),
            MissingSince = values.TimeOrNull(7),
            LastError = values.TextOrNull(8),
        };
        var ticket = values.Number(9);
        var hasBlind = values.Flag(10);
        item = values.Damage is { } damage ? item with { LastError = damage.Problem } : item;
        queued = new Queued(item.BelievedAt(now), ticket, hasBlind, values.Damage is not null);
        return true;
    }

    // A blind enqueue came since the take and named no rev: no done rev can tell whether it is answered. A write replaces a damaged row as a whole.
    private sealed record Queued(QueueItem Item, long Ticket, bool HasBlindEnqueue, bool IsDamaged);
}
