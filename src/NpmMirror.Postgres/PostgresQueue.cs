using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Npgsql;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>The queue. What is due, is by the node's clock, which wrote the moment; leases end by the server's, so that all nodes agree on them.</summary>
internal sealed class PostgresQueue(PostgresDatabase database) : IQueueTable
{
    private const int EnqueueBatch = 1000;
    private const int RoundsMax = 10;
    private const int ItemBytes = 200;

    private const string NewToken = "replace(gen_random_uuid()::text, '-', '')";

    // The enum lists its negative values last.
    private static readonly int[] Priorities = [.. Enum.GetValues<QueuePriority>().Select(priority => (int)priority).Order()];
    private static readonly string LongestLease = string.Create(CultureInfo.InvariantCulture, $"interval '{StoredMoments.LongestLease.TotalSeconds} seconds'");
    private static readonly string LongestPause = string.Create(CultureInfo.InvariantCulture, $"interval '{StoredMoments.LongestPause.TotalSeconds} seconds'");

    // A lease that ends later than any that is given was written by a wrong clock.
    private static readonly string IsUnleased =
        $"(token is null or leased_until is null or leased_until <= coalesce($2, clock_timestamp()) or leased_until > coalesce($2, clock_timestamp()) + {LongestLease})";

    /// <inheritdoc/>
    public async ValueTask EnqueueAsync(IReadOnlyList<QueueItem> items, QueueCursor? cursor, CancellationToken cancellationToken)
    {
        // A walk over everything comes in long lists: no transaction takes long. The cursor goes with the last batch.
        for (var start = 0; start == 0 || start < items.Count; start += EnqueueBatch)
        {
            var (batch, isLast) = (items.Skip(start).Take(EnqueueBatch).ToList(), start + EnqueueBatch >= items.Count);
            await database.WriteAsync(
                async (connection, token) =>
                {
                    await EnqueueAsync(connection, batch, database.Now, token);
                    if (cursor is not null && isLast)
                    {
                        CrashPoint.Hit(CrashPoint.AfterEnqueueBeforeCursor);
                        await PostgresNotes.SetAsync(connection, cursor.Key, cursor.Value, token);
                    }

                    return true;
                },
                cancellationToken);
        }
    }

    // Only adding is synced. A power cut that undoes a lease, a completion or a postponement makes work be done once more, which it may be anyway.

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<QueueLease>> TakeAsync(int max, TimeSpan duration, CancellationToken cancellationToken)
    {
        var now = database.Now;
        StoredMoments.EndOfLease(now, duration);

        // One range of the index a priority: what is not due yet is never walked over. The outer limit stops the locking, too.
        var due = Priorities.Select(priority => string.Create(
            CultureInfo.InvariantCulture,
            $"select name from (select name from queue where priority = {priority} and due_at <= $1 and {IsUnleased} order by due_at, name limit {max} for update skip locked) of_{priority + 1}"));
        var take = string.Create(
            CultureInfo.InvariantCulture,
            $"""
            with picked as materialized (select name from ({string.Join(" union all ", due)}) due limit {max})
            update queue q set token = {NewToken}, leased_until = coalesce($2, clock_timestamp()) + $3, has_blind = false
            from picked where q.name = picked.name returning {Qualified(QueuedRow.Columns)}, q.token
            """);

        // A moment further away than the longest pause is one of a wrong clock. The index finds these without a walk, and as a rule there are none.
        var believe = $"update queue set due_at = $1 where name in (select name from queue where priority = any($2) and due_at > $1 + {LongestPause} for update skip locked)";
        return database.WriteUnsyncedAsync<IReadOnlyList<QueueLease>>(
            async (connection, token) =>
            {
                await using var batch = new NpgsqlBatch(connection);
                batch.Add(believe, Param(now), Params(Priorities));
                batch.Add(take, Param(now), Param(database.LeaseNow), Param(duration));
                await using var reader = await batch.ExecuteReaderAsync(token);
                var leases = new List<QueueLease>();
                while (await reader.ReadAsync(token))
                {
                    if (TryReadLease(reader, now, out var lease))
                    {
                        leases.Add(lease);
                    }
                }

                return [.. leases.OrderBy(lease => lease.Item.Priority).ThenBy(lease => lease.Item.DueAt).ThenBy(lease => lease.Item.Name)];
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<QueueLease?> TakeAsync(PackageName name, TimeSpan duration, CancellationToken cancellationToken)
    {
        var now = database.Now;
        StoredMoments.EndOfLease(now, duration);
        var sql = $"update queue set token = {NewToken}, leased_until = coalesce($2, clock_timestamp()) + $3, has_blind = false where name = $1 and {IsUnleased} returning {QueuedRow.Columns}, token";
        return database.WriteUnsyncedAsync(
            async (connection, token) =>
            {
                await using var command = new NpgsqlCommand(sql, connection).With(Param(name.Value), Param(database.LeaseNow), Param(duration));
                await using var reader = await command.ExecuteReaderAsync(token);
                return await reader.ReadAsync(token) && TryReadLease(reader, now, out var lease) ? lease : null;
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<bool> RenewAsync(QueueLease lease, TimeSpan duration, CancellationToken cancellationToken)
    {
        StoredMoments.EndOfLease(database.Now, duration);
        return database.WriteUnsyncedAsync(
            async (connection, token) =>
            {
                const string Renew = "update queue set leased_until = coalesce($3, clock_timestamp()) + $4 where name = $1 and token = $2";
                await using var command = new NpgsqlCommand(Renew, connection).With(Param(lease.Item.Name.Value), Param(lease.Token), Param(database.LeaseNow), Param(duration));
                return await command.ExecuteNonQueryAsync(token) > 0;
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<bool> CompleteAsync(QueueLease lease, string? doneRev, CancellationToken cancellationToken) => database.WriteUnsyncedAsync(
        async (connection, token) =>
        {
            const string Finish = "delete from queue where name = $1 and token = $2 and ticket = $3";
            await using var finish = new NpgsqlCommand(Finish, connection).With(Param(lease.Item.Name.Value), Param(lease.Token), Param(lease.Ticket));
            if (await finish.ExecuteNonQueryAsync(token) > 0)
            {
                return true;
            }

            if (await FindLeasedAsync(connection, lease, token) is not { } queued)
            {
                return false;
            }

            if (queued.Ticket != lease.Ticket && (queued.HasBlindEnqueue || queued.Item.IsWantedBeyond(doneRev)))
            {
                await GiveBackAsync(connection, queued with { Item = queued.Item.Renewed(database.Now) }, token);
                return true;
            }

            await using var drop = new NpgsqlCommand("delete from queue where name = $1", connection).With(Param(lease.Item.Name.Value));
            return await drop.ExecuteNonQueryAsync(token) > 0;
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> PostponeAsync(QueueLease lease, QueuePostponement postponement, CancellationToken cancellationToken) => database.WriteUnsyncedAsync(
        async (connection, token) =>
        {
            if (await FindLeasedAsync(connection, lease, token) is not { } queued)
            {
                return false;
            }

            var now = database.Now;
            var isDueAtOnce = queued.Ticket != lease.Ticket && now < postponement.DueAt;
            await GiveBackAsync(
                connection,
                queued with
                {
                    Item = queued.Item with
                    {
                        DueAt = isDueAtOnce ? now : postponement.DueAt,
                        Attempts = queued.Item.Attempts + 1,
                        LastError = postponement.Error,
                        MissingSince = postponement.MissingSince,
                    },
                },
                token);
            return true;
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<QueueItem?> FindQueuedAsync(PackageName name, CancellationToken cancellationToken) => database.ReadAsync(
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand($"select {QueuedRow.Columns} from queue where name = $1", connection).With(Param(name.Value));
            await using var reader = await command.ExecuteReaderAsync(token);
            return await reader.ReadAsync(token) && QueuedRow.TryRead(reader, database.Now, out var queued) ? queued.Item : null;
        },
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<QueueItem> ListQueuedAsync(CancellationToken cancellationToken) => database.PagesAsync<QueueItem, string>(
        "",
        PostgresPages.RowsMax,
        last => new NpgsqlCommand($"select {QueuedRow.Columns} from queue where name > $1 order by name limit {PostgresPages.RowsMax}").With(Param(last)),
        (NpgsqlDataReader reader, [MaybeNullWhen(false)] out QueueItem item) => (item = QueuedRow.TryRead(reader, database.Now, out var queued) ? queued.Item : null) is not null,
        reader => reader.GetText(0),
        _ => ItemBytes,
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<DateTimeOffset?> NextDueAsync(CancellationToken cancellationToken) => database.ReadAsync(
        async (connection, token) =>
        {
            // The end of a lease is told as the node's clock will show it. Of what is not leased, the index tells the ends.
            var sql =
                $"""
                select min(due) from (
                    select case when not {IsUnleased} and leased_until - coalesce($2, clock_timestamp()) > due - $1 then $1 + (leased_until - coalesce($2, clock_timestamp())) else due end as due
                    from (select token, leased_until, case when due_at > $1 + {LongestPause} then $1 else due_at end as due from queue where token is not null) leased
                    union all
                    select case when due_at > $1 + {LongestPause} then $1 else due_at end
                    from unnest($3) of_priority cross join lateral (
                        (select due_at from queue where priority = of_priority and token is null order by due_at limit 1)
                        union all
                        (select due_at from queue where priority = of_priority and token is null order by due_at desc limit 1)) ends
                ) all_due
                """;
            await using var command = new NpgsqlCommand(sql, connection).With(Param(database.Now), Param(database.LeaseNow), Params(Priorities));
            await using var reader = await command.ExecuteReaderAsync(token);
            await reader.ReadAsync(token);
            return reader.GetTimeOrNull(0);
        },
        cancellationToken);

    private static string Qualified(string columns) => string.Join(", ", columns.Split(", ").Select(column => $"q.{column}"));

    /// <summary>Adds what is not there, merges into what is, in one order in all processes: none waits for one who waits for it.</summary>
    private static async ValueTask EnqueueAsync(NpgsqlConnection connection, List<QueueItem> items, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var left = items.GroupBy(item => item.Name).OrderBy(group => group.Key).ToDictionary(group => group.Key, group => group.ToList());
        for (var round = 0; left.Count > 0; round++)
        {
            if (round == RoundsMax)
            {
                throw new LostRaceException();
            }

            var fresh = left.Select(one => one.Value.Aggregate((QueuedRow?)null, (row, item) => QueuedRow.Merge(row, item, now))!).OrderBy(row => row.Item.Name).ToList();
            foreach (var name in await InsertAsync(connection, fresh, cancellationToken))
            {
                left.Remove(name);
            }

            if (left.Count > 0)
            {
                var known = await LockAsync(connection, left.Keys, now, cancellationToken);
                await UpdateAsync(connection, [.. known.Select(row => left[row.Item.Name].Aggregate(row, (merged, item) => QueuedRow.Merge(merged, item, now)))], cancellationToken);

                // One that is neither new nor there was finished in between: once more.
                known.ForEach(row => left.Remove(row.Item.Name));
            }
        }
    }

    private static async ValueTask<List<PackageName>> InsertAsync(NpgsqlConnection connection, List<QueuedRow> rows, CancellationToken cancellationToken)
    {
        const string Insert =
            $"""
            insert into queue ({QueuedRow.Columns}) select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            on conflict (name) do nothing returning name
            """;
        await using var command = new NpgsqlCommand(Insert, connection).With(QueuedRow.ToColumns(rows));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var names = new List<PackageName>();
        while (await reader.ReadAsync(cancellationToken))
        {
            names.Add(PackageName.Parse(reader.GetText(0)));
        }

        return names;
    }

    private static async ValueTask<List<QueuedRow>> LockAsync(NpgsqlConnection connection, IEnumerable<PackageName> names, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"select {QueuedRow.Columns} from queue where name = any($1) order by name for update", connection).With(Params(names.Select(name => name.Value)));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<QueuedRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            if (QueuedRow.TryRead(reader, now, out var row))
            {
                rows.Add(row);
            }
        }

        return rows;
    }

    private static async ValueTask UpdateAsync(NpgsqlConnection connection, List<QueuedRow> rows, CancellationToken cancellationToken)
    {
        const string Update =
            $"""
            update queue q set priority = n.priority, due_at = n.due_at, queued_at = n.queued_at, wanted_rev = n.wanted_rev, is_deleted_row = n.is_deleted_row,
                missing_since = n.missing_since, ticket = n.ticket, has_blind = n.has_blind
            from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) as n ({QueuedRow.Columns}) where q.name = n.name
            """;
        await using var command = new NpgsqlCommand(Update, connection).With(QueuedRow.ToColumns(rows));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Writes an item whole, without a lease.</summary>
    private static async ValueTask GiveBackAsync(NpgsqlConnection connection, QueuedRow row, CancellationToken cancellationToken)
    {
        const string GiveBack =
            $"""
            update queue q set priority = n.priority, due_at = n.due_at, queued_at = n.queued_at, wanted_rev = n.wanted_rev, is_deleted_row = n.is_deleted_row,
                attempts = n.attempts, missing_since = n.missing_since, last_error = n.last_error, has_blind = n.has_blind, token = null, leased_until = null
            from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) as n ({QueuedRow.Columns}) where q.name = n.name
            """;
        await using var command = new NpgsqlCommand(GiveBack, connection).With(QueuedRow.ToColumns([row]));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async ValueTask<QueuedRow?> FindLeasedAsync(NpgsqlConnection connection, QueueLease lease, CancellationToken cancellationToken)
    {
        const string Find = $"select {QueuedRow.Columns} from queue where name = $1 and token = $2 for update";
        await using var command = new NpgsqlCommand(Find, connection).With(Param(lease.Item.Name.Value), Param(lease.Token));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) && QueuedRow.TryRead(reader, database.Now, out var queued) ? queued : null;
    }

    private static bool TryReadLease(NpgsqlDataReader reader, DateTimeOffset now, [MaybeNullWhen(false)] out QueueLease lease)
    {
        lease = QueuedRow.TryRead(reader, now, out var queued) ? new QueueLease(queued.Item, queued.Ticket, reader.GetString(QueuedRow.ColumnsCount)) : null;
        return lease is not null;
    }
}
