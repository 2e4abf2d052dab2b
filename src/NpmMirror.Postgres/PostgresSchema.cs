using System.Globalization;
using Npgsql;
using NpmMirror.Storage;

namespace NpmMirror.Postgres;

/// <summary>Creates the schema, and leads from an older one to this version's.</summary>
internal static class PostgresSchema
{
    private const int ServerMin = 130_000;
    private const int PoolerRounds = 3;

    // One of all programs migrates at a time; and in its own schema, while none writes.
    private const long MigrationLock = 0x6e706d6d;

    /// <summary>The version this program writes.</summary>
    internal static int Version => PostgresTables.Steps.Count;

    /// <summary>Makes the schema what this program needs; writes nothing where it is.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreSchema"/>: of a newer program.</exception>
    internal static async ValueTask EnsureAsync(PostgresDatabase database, CancellationToken cancellationToken)
    {
        var address = database.Address;
        var version = await database.ReadAsync(
            async (connection, token) =>
            {
                await CheckServerAsync(connection, address, token);
                await CheckSessionsAsync(database, connection, token);
                return await CheckAsync(connection, address, token);
            },
            cancellationToken);
        if (version == Version)
        {
            return;
        }

        try
        {
            await database.MigrateAsync(async (connection, token) => await MigrateAsync(connection, address, token), cancellationToken);
        }
        catch (MirrorException e) when (e is { Fault: MirrorFault.StoreReadOnly, InnerException: PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege } refused })
        {
            var right = version == 0 ? $"it needs the right to create the schema {address.Schema} (CREATE SCHEMA {address.Schema} AUTHORIZATION …)" : $"the schema {address.Schema} must belong to it, to be brought from version {version} to {Version}";
            throw new MirrorException(MirrorFault.Configuration, $"{address.Location} does not let the user {MirrorException.Quote(address.User)} make its tables ({MirrorException.Quote(refused.MessageText)}); {right}.", inner: e);
        }
        catch (MirrorException e) when (e.Fault == MirrorFault.StoreReadOnly)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, e.Message, e.IsTransient, inner: e);
        }
    }

    /// <summary>Asked first in each transaction that writes. The lock keeps the tables as they are until its end.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreReadOnly"/>: a newer program has changed them since this one opened them.</exception>
    internal static async ValueTask RequireStillKnownAsync(NpgsqlConnection connection, PostgresAddress address, CancellationToken cancellationToken)
    {
        // Two statements: one alone would read what was there before it had the lock.
        await using var batch = new NpgsqlBatch(connection);
        batch.Add("select pg_advisory_xact_lock_shared($1, hashtext($2))", PostgresValues.Param((int)MigrationLock), PostgresValues.Param(address.Schema));
        batch.Add("select version from npm_mirror_schema");
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await reader.NextResultAsync(cancellationToken);
        if (await reader.ReadAsync(cancellationToken) && reader.GetInt32(0) > Version)
        {
            throw SchemaMoved.ToException(address.Location, reader.GetInt32(0), Version);
        }
    }

    private static async ValueTask CheckServerAsync(NpgsqlConnection connection, PostgresAddress address, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select current_setting('server_version_num')::int, current_setting('server_encoding'), current_setting('search_path')", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        if (reader.GetInt32(0) < ServerMin)
        {
            throw new MirrorException(MirrorFault.Configuration, $"{address.Location} is PostgreSQL {connection.PostgreSqlVersion}; npm-mirror needs {ServerMin / 10_000} or newer.");
        }

        if (reader.GetString(1) != "UTF8")
        {
            throw new MirrorException(MirrorFault.Configuration, $"The database of {address.Location} has the encoding {reader.GetString(1)}; create one with UTF8 (createdb --encoding=UTF8 --template=template0).");
        }

        if (reader.GetString(2) != address.Schema)
        {
            throw PostgresFaults.Pooler(address, $"it drops the settings of connections: search_path is {MirrorException.Quote(reader.GetString(2))}");
        }
    }

    /// <summary>Two connections at once are two sessions of the server, each the same one for as long as it is open; a pooler by transaction makes one of them, or changes them.</summary>
    private static async ValueTask CheckSessionsAsync(PostgresDatabase database, NpgsqlConnection first, CancellationToken cancellationToken)
    {
        // Of no pool: the program's own does not grow for it.
        await using var second = await database.ListenAsync(cancellationToken);
        var session = await SessionAsync(first, cancellationToken);
        for (var round = 0; round < PoolerRounds; round++)
        {
            if (await SessionAsync(second, cancellationToken) == session || await SessionAsync(first, cancellationToken) != session)
            {
                throw PostgresFaults.Pooler(database.Address, "it hands out connections by transaction");
            }
        }
    }

    private static async ValueTask<int> SessionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select pg_backend_pid()", connection);
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>The schema's version; 0 where it is not there or empty.</summary>
    private static async ValueTask<int> CheckAsync(NpgsqlConnection connection, PostgresAddress address, CancellationToken cancellationToken)
    {
        const string Tables = "select count(*) filter (where relname = 'npm_mirror_schema'), count(*) from pg_class where relkind in ('r', 'p', 'v') and relnamespace = to_regnamespace($1)";
        await using var find = new NpgsqlCommand(Tables, connection).With(PostgresValues.Param(address.Schema));
        await using (var reader = await find.ExecuteReaderAsync(cancellationToken))
        {
            await reader.ReadAsync(cancellationToken);
            if (reader.GetInt64(0) == 0)
            {
                return reader.GetInt64(1) == 0 ? 0 : throw new MirrorException(MirrorFault.StoreUnavailable, $"The schema {address.Schema} of {address.Location} is another program's; name another with ?schema=….");
            }
        }

        await using var read = new NpgsqlCommand("select version from npm_mirror_schema", connection);
        var version = await read.ExecuteScalarAsync(cancellationToken) as int? ?? -1;
        return version switch
        {
            < 1 => throw new MirrorException(MirrorFault.StoreSchema, $"{address.Location} has a schema version that no npm-mirror writes; it was changed by another program: restore a backup."),
            _ when version > Version => throw new MirrorException(
                MirrorFault.StoreSchema, $"{address.Location} has schema version {version}, and this npm-mirror knows versions up to {Version}; run the newer npm-mirror that wrote it, or restore a backup of before."),
            _ => version,
        };
    }

    private static async ValueTask<int> MigrateAsync(NpgsqlConnection connection, PostgresAddress address, CancellationToken cancellationToken)
    {
        await ExecuteAsync(connection, string.Create(CultureInfo.InvariantCulture, $"select pg_advisory_xact_lock({MigrationLock}), pg_advisory_xact_lock({MigrationLock}, hashtext('{address.Schema}'))"), cancellationToken);

        // Read again under the lock: another process may have been faster.
        var version = await CheckAsync(connection, address, cancellationToken);
        if (version == 0)
        {
            // Asked first: without the right to make schemas, IF NOT EXISTS fails also where there is one.
            await using var find = new NpgsqlCommand("select to_regnamespace($1) is not null", connection).With(PostgresValues.Param(address.Schema));
            if (await find.ExecuteScalarAsync(cancellationToken) is false)
            {
                await ExecuteAsync(connection, $"create schema {address.Schema}", cancellationToken);
            }
        }

        foreach (var step in PostgresTables.Steps.Skip(version))
        {
            await ExecuteAsync(connection, step, cancellationToken);
        }

        return await ExecuteAsync(connection, string.Create(CultureInfo.InvariantCulture, $"update npm_mirror_schema set version = {Version}"), cancellationToken);
    }

    private static async ValueTask<int> ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        // Without an end of its own: an index over millions of rows takes its time, and so does another's.
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
