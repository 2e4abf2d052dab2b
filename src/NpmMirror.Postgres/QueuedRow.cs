using System.Diagnostics.CodeAnalysis;
using Npgsql;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>A row of the queue. A blind enqueue came since the take and named no rev: no done rev can tell whether it is answered.</summary>
internal sealed record QueuedRow(QueueItem Item, long Ticket, bool HasBlindEnqueue)
{
    internal const string Columns = "name, priority, due_at, queued_at, wanted_rev, is_deleted_row, attempts, missing_since, last_error, ticket, has_blind";

    /// <summary>The first column after these.</summary>
    internal const int ColumnsCount = 11;

    /// <summary>The row after one more enqueue of its name; the first where there is none.</summary>
    internal static QueuedRow Merge(QueuedRow? row, QueueItem added, DateTimeOffset now) => row is null
        ? new QueuedRow(added, 1, false)
        : new QueuedRow(row.Item.BelievedAt(now).MergedWith(added), row.Ticket + 1, row.HasBlindEnqueue || added.WantedRev is null);

    /// <summary>Reads a row; false where its name is no package's.</summary>
    internal static bool TryRead(NpgsqlDataReader reader, DateTimeOffset now, [MaybeNullWhen(false)] out QueuedRow row)
    {
        row = null;
        if (!PackageName.TryParse(reader.GetText(0), out var name))
        {
            return false;
        }

        var item = new QueueItem
        {
            Name = name,
            Priority = (QueuePriority)reader.GetInt16(1),
            DueAt = reader.GetTime(2),
            QueuedAt = reader.GetTime(3),
            WantedRev = reader.GetTextOrNull(4),
            IsDeletedRow = reader.GetBoolean(5),
            Attempts = reader.GetInt32(6),
            MissingSince = reader.GetTimeOrNull(7),
            LastError = reader.GetTextOrNull(8),
        };
        row = new QueuedRow(item.BelievedAt(now), reader.GetInt64(9), reader.GetBoolean(10));
        return true;
    }

    /// <summary>Rows as columns, for unnest: in the order of <see cref="Columns"/>.</summary>
    internal static NpgsqlParameter[] ToColumns(IReadOnlyList<QueuedRow> rows) =>
    [
        Params(rows.Select(row => row.Item.Name.Value)),
        Params(rows.Select(row => (int)row.Item.Priority)),
        Params(rows.Select(row => (DateTimeOffset?)row.Item.DueAt)),
        Params(rows.Select(row => (DateTimeOffset?)row.Item.QueuedAt)),
        Params(rows.Select(row => row.Item.WantedRev)),
        Params(rows.Select(row => row.Item.IsDeletedRow)),
        Params(rows.Select(row => row.Item.Attempts)),
        Params(rows.Select(row => row.Item.MissingSince)),
        Params(rows.Select(row => row.Item.LastError)),
        Params(rows.Select(row => row.Ticket)),
        Params(rows.Select(row => row.HasBlindEnqueue)),
    ];
}
