using Npgsql;
using NpmMirror.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>Commits of different packages in one transaction. Documents go first; the log's end is locked last and for a short time, because all nodes wait for it.</summary>
internal static class PostgresCommit
{
    // The index is read where it tells which versions change.
    private const string LockRows =
        """
        select name, id, generation, last_position, described, has_manifests, case when described = generation and name = any($2) then package_index end
        from packages where name = any($1) order by name for update
        """;

    private const string InsertRow =
        """
        insert into packages (id, name, generation, last_position, is_removed, removal, removal_reason, rev, ancestors, upstream, etag, last_modified,
            modified_at, first_seen_at, stored_at, raw_size, document_sha256, package_index, described, has_manifests, description, license)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
        on conflict (name) do nothing
        """;

    private const string UpdateRow =
        """
        update packages set generation = $3, last_position = $4, is_removed = $5, removal = $6, removal_reason = $7, rev = $8, ancestors = $9,
            upstream = $10, etag = $11, last_modified = $12, modified_at = $13, first_seen_at = $14, stored_at = $15,
            raw_size = coalesce($16, raw_size), document_sha256 = coalesce($17, document_sha256), package_index = coalesce($18, package_index),
            described = $19, has_manifests = $20, description = case when $23 then $21 else description end, license = case when $23 then $22 else license end
        where id = $1 and name = $2
        """;

    private const string KeepPrevious =
        """
        insert into archive (package, sha256, raw_size, codec, bytes)
        select p.id, p.document_sha256, p.raw_size, d.codec, d.bytes from packages p join documents d on d.package = p.id where p.id = $1 and ($2 or d.is_pinned)
        on conflict do nothing
        """;

    private const string WriteDocument =
        """
        insert into documents (package, codec, is_pinned, bytes) values ($1, $2, false, $3)
        on conflict (package) do update set codec = excluded.codec, is_pinned = false, bytes = excluded.bytes
        """;

    /// <summary>Writes those whose generation is right. Returns what became of each, and the log's end where it moved.</summary>
    internal static async ValueTask<(IReadOnlyList<CommitResult> Results, LogPosition? Head)> RunAsync(
        NpgsqlConnection connection, IReadOnlyList<PackageCommit> commits, QueryOptions queries, CancellationToken cancellationToken)
    {
        var (marks, ids) = await LockRowsAsync(connection, commits, cancellationToken);
        var results = new CommitResult[commits.Count];
        var writes = new List<Write>();
        for (var i = 0; i < commits.Count; i++)
        {
            var mark = marks.GetValueOrDefault(commits[i].Name);
            if (mark.Generation != commits[i].ExpectedGeneration)
            {
                results[i] = new CommitResult(false, mark.Generation, new LogPosition(mark.LastPosition));
            }
            else if (commits[i].Document is null && mark.Generation == 0)
            {
                throw new ArgumentException($"The first commit of {commits[i].Name} has no document.", nameof(commits));
            }
            else
            {
                writes.Add(new Write(i, commits[i], mark.Generation == 0 ? mark with { Id = ids.Dequeue() } : mark));
            }
        }

        if (writes.Count == 0)
        {
            return (results, null);
        }

        // The same order in all processes: none waits for one who waits for it.
        writes.Sort((left, right) => left.Commit.Name.CompareTo(right.Commit.Name));
        var rows = new QueryRows(connection);
        foreach (var write in writes)
        {
            var (commit, mark) = (write.Commit, write.Mark);
            write.Description = await PackageDescription.WriteAsync(rows, commit.Name, mark.Before, mark.Generation + 1, commit.Facts.IsRemoved, commit.Document, commit.Index, queries, cancellationToken);
        }

        var head = await WriteDocumentsAsync(connection, writes, rows, cancellationToken);
        var end = await WriteRowsAsync(connection, writes, head, cancellationToken);
        foreach (var write in writes)
        {
            results[write.Index] = new CommitResult(true, write.Mark.Generation + 1, write.LastPosition);
        }

        return (results, end == head ? null : end.Position);
    }

    private static async ValueTask<(Dictionary<PackageName, Mark> Marks, Queue<long> Ids)> LockRowsAsync(NpgsqlConnection connection, IReadOnlyList<PackageCommit> commits, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        batch.Add(LockRows, Params(commits.Select(commit => commit.Name.Value)), Params(commits.Where(commit => commit.Document is not null).Select(commit => commit.Name.Value)));
        batch.Add("select nextval('package_ids') from generate_series(1, $1)", Param(commits.Count(commit => commit.ExpectedGeneration == 0)));
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var marks = new Dictionary<PackageName, Mark>();
        while (await reader.ReadAsync(cancellationToken))
        {
            marks[PackageName.Parse(reader.GetText(0))] = new Mark(
                reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetBoolean(5), await reader.IsDBNullAsync(6, cancellationToken) ? null : reader.GetBytes(6));
        }

        await reader.NextResultAsync(cancellationToken);
        var ids = new Queue<long>();
        while (await reader.ReadAsync(cancellationToken))
        {
            ids.Enqueue(reader.GetInt64(0));
        }

        return (marks, ids);
    }

    /// <summary>Documents, archive and child rows; locks the log's end, if there is something to append.</summary>
    private static async ValueTask<LogHead> WriteDocumentsAsync(NpgsqlConnection connection, List<Write> writes, QueryRows rows, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        foreach (var (_, commit, mark) in writes)
        {
            if (commit.Document is { } document)
            {
                if (mark.Generation > 0)
                {
                    batch.Add(KeepPrevious, Param(mark.Id), Param(commit.ArchivesPrevious));
                }

                batch.Add(WriteDocument, Param(mark.Id), Param((int)document.Codec), Param(document.Bytes));
            }
            else if (commit.ArchivesPrevious)
            {
                batch.Add("update documents set is_pinned = true where package = $1", Param(mark.Id));
            }
        }

        rows.MoveTo(batch);
        if (writes.Exists(write => write.Commit.Events.Count > 0))
        {
            // All nodes wait for this lock, so a node that falls silent holds it for a short time.
            batch.Add("set local idle_in_transaction_session_timeout = '10s'");
            batch.Add(PostgresLog.LockHead);
            await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
            return await PostgresLog.ReadHeadAsync(reader, cancellationToken);
        }

        if (batch.BatchCommands.Count > 0)
        {
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        return default;
    }

    private static async ValueTask<LogHead> WriteRowsAsync(NpgsqlConnection connection, List<Write> writes, LogHead head, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        var (rows, ids, inserts) = (new List<LogRow>(), new List<long>(), new List<NpgsqlBatchCommand>());
        var end = head;
        foreach (var write in writes)
        {
            foreach (var pending in write.Commit.Events)
            {
                var row = ChainHash.Append(end.Position, end.Hash, write.Commit.Name, write.Mark.Generation + 1, pending);
                end = new LogHead(row.Position, row.Hash);
                rows.Add(row);
                ids.Add(write.Mark.Id);
            }

            write.LastPosition = write.Commit.Events.Count > 0 ? end.Position : new LogPosition(write.Mark.LastPosition);
            if (write.Mark.Generation == 0)
            {
                inserts.Add(batch.Add(InsertRow, Columns(write)));
            }
            else
            {
                batch.Add(UpdateRow, [.. Columns(write), Param(write.Description!.IsWhole)]);
            }
        }

        if (rows.Count > 0)
        {
            PostgresLog.Append(batch, rows, ids, end);
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
        if (inserts.Exists(insert => insert.RecordsAffected == 0))
        {
            throw new LostRaceException();
        }

        if (rows.Count > 1)
        {
            CrashPoint.Hit(CrashPoint.WhileNumberingEvents);
        }

        return end;
    }

    private static NpgsqlParameter[] Columns(Write write)
    {
        var (facts, document) = (write.Commit.Facts, write.Commit.Document);
        return
        [
            Param(write.Mark.Id),
            Param(write.Commit.Name.Value),
            Param(write.Mark.Generation + 1),
            Param(write.LastPosition.Value),
            Param(facts.IsRemoved),
            Param(facts.Removal?.ToString()),
            Param(facts.RemovalReason),
            Param(facts.Rev),
            Param(facts.Ancestors),
            Param(facts.Upstream),
            Param(facts.ETag),
            Param(facts.LastModified),
            Param(facts.ModifiedAt),
            Param(facts.FirstSeenAt),
            Param(facts.StoredAt),
            ParamOrNull(document?.RawSizeBytes),
            Param(document?.Sha256 ?? default),
            Param(document is null ? null : (ReadOnlyMemory<byte>?)write.Commit.Index),
            Param(write.Description!.Described),
            Param(write.Description.HasManifests),
            Param(write.Description.Description),
            Param(write.Description.License),
        ];
    }

    /// <summary>What a commit has to know of the row that it replaces; all zero for a package without a row.</summary>
    private readonly record struct Mark(long Id, long Generation, long LastPosition, long Described, bool HasManifests, byte[]? Index)
    {
        internal DescribedBefore Before => new(Id, Generation, Described, HasManifests, Index);
    }

    private sealed record Write(int Index, PackageCommit Commit, Mark Mark)
    {
        internal LogPosition LastPosition { get; set; }

        internal PackageDescription? Description { get; set; }
    }
}
