using System.Data;
using System.Diagnostics;
using Npgsql;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>
/// Writes what people query of packages that have it not: those of a store that an older program wrote, and those that came back without a new document.
/// In the background of a process that commits; a package a transaction, so a start that is ended goes on where it was, and several nodes share the work.
/// </summary>
internal sealed class PostgresFilling(PostgresDatabase database) : IAsyncDisposable
{
    // Commits wait at most for the package that is under way. The sync of the server's disk is not waited for: what a power cut undoes is done again.
    private const string Next =
        """
        select p.id, p.name, p.generation, p.described, p.is_removed, p.raw_size, p.document_sha256, p.package_index, d.codec, d.bytes
        from packages p left join documents d on d.package = p.id
        where abs(p.described) <> p.generation and p.name > $1 order by p.name limit 1 for update of p skip locked
        """;

    private const string Put = "update packages set described = $2, has_manifests = $3, description = $4, license = $5 where id = $1";

    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _lock = new();
    private Task? _running;

    /// <summary>Starts it, if it does not run.</summary>
    internal void Start()
    {
        lock (_lock)
        {
            _running ??= _ended.IsCancellationRequested ? Task.CompletedTask : Task.Run(RunAsync, CancellationToken.None);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Task? running;
        lock (_lock)
        {
            _ended.Cancel();
            running = _running;
        }

        await (running ?? Task.CompletedTask);
        _ended.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_ended.IsCancellationRequested)
        {
            try
            {
                await FillAsync(_ended.Token);
            }
            catch (Exception e) when (e is MirrorException or OperationCanceledException or ObjectDisposedException)
            {
                // Commits tell of a server that is away.
            }

            await Task.Delay(Interval, database.Time, _ended.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        for (var after = ""; ;)
        {
            var clock = Stopwatch.StartNew();
            try
            {
                if (await database.WriteUnsyncedAsync((connection, token) => FillNextAsync(connection, after, token), cancellationToken) is not { } filled)
                {
                    return;
                }

                after = filled;
            }
            catch (UnfilledException e)
            {
                // It stands in no other's way, and is tried again in the next round.
                after = e.Name;
            }

            // Half of the time is the others'.
            await Task.Delay(clock.Elapsed, TimeProvider.System, cancellationToken);
        }
    }

    private async ValueTask<string?> FillNextAsync(NpgsqlConnection connection, string after, CancellationToken cancellationToken)
    {
        string name;
        DescribedBefore before;
        bool isRemoved;
        StoredDocument? document;
        byte[] index;
        await using (var find = new NpgsqlCommand(Next, connection).With(Param(after)))
        await using (var reader = await find.ExecuteReaderAsync(CommandBehavior.SingleRow, cancellationToken))
        {
            if (!await reader.ReadAsync(cancellationToken))
            {
                return null;
            }

            name = reader.GetText(1);
            before = new DescribedBefore(reader.GetInt64(0), reader.GetInt64(2), reader.GetInt64(3), HasManifests: false, Index: null);
            (isRemoved, index) = (reader.GetBoolean(4), reader.GetBytes(7));
            document = await reader.IsDBNullAsync(8, cancellationToken) ? null : new StoredDocument((DocumentCodec)reader.GetInt16(8), reader.GetBytes(9), reader.GetInt32(5), reader.GetDigest(6));
        }

        try
        {
            var rows = new QueryRows(connection);
            var isReadable = document is not null && PackageName.TryParse(name, out _);
            var described = isReadable
                ? await PackageDescription.WriteAsync(rows, PackageName.Parse(name), before, before.Generation, isRemoved, document, index, database.Address.Queries, cancellationToken)
                : new PackageDescription(-before.Generation, HasManifests: false);
            if (!isReadable)
            {
                rows.Empty(before.Id);
            }

            await using var batch = new NpgsqlBatch(connection);
            rows.MoveTo(batch);
            batch.Add(Put, Param(before.Id), Param(described.Described), Param(described.HasManifests), Param(described.Description), Param(described.License));
            await batch.ExecuteNonQueryAsync(cancellationToken);
            return name;
        }
        catch (PostgresException e) when (!PostgresFaults.IsUndone(e) && !PostgresFaults.IsBroken(e))
        {
            throw new UnfilledException(name, e);
        }
    }

    /// <summary>The server refused what was written of a package.</summary>
    private sealed class UnfilledException(string name, Exception inner) : Exception(inner.Message, inner)
    {
        internal string Name => name;
    }
}
