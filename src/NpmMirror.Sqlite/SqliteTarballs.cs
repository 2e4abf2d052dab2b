using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>The rows of tarballs, and how often they were fetched.</summary>
internal sealed class SqliteTarballs(SqliteDatabase database) : ITarballTable
{
    private const string TarballColumns = "package, file, version, state, sha512, size, upstream_url, verified_at, last_served_at, problem";
    private const int TarballBytes = 250;
    private const int ForgetBatch = 5000;

    /// <inheritdoc/>
    public ValueTask<TarballRow?> FindTarballAsync(PackageName package, string file, CancellationToken cancellationToken) =>
        database.ReadAsync(session => FindTarball(session, package, file), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> PutTarballAsync(TarballRow row, CancellationToken cancellationToken) => database.WriteAsync(
        transaction =>
        {
            var stored = FindTarball(transaction.Session, row.Package, row.File);
            if (stored is { State: TarballState.Held } && stored.Sha512 != row.Sha512)
            {
                return false;
            }

            transaction.Session.Execute(
                $"INSERT OR REPLACE INTO tarballs ({TarballColumns}) VALUES (@package, @file, @version, @state, @sha512, @size, @upstreamUrl, @verifiedAt, @lastServedAt, @problem)",
                ("@package", row.Package.Value),
                ("@file", row.File),
                ("@version", row.Version),
                ("@state", (int)row.State),
                ("@sha512", row.Sha512.ToArrayOrNull()),
                ("@size", row.SizeBytes),
                ("@upstreamUrl", row.UpstreamUrl),
                ("@verifiedAt", row.VerifiedAt.ToMs()),
                ("@lastServedAt", stored?.LastServedAt > row.LastServedAt || row.LastServedAt is null ? stored?.LastServedAt.ToMs() : row.LastServedAt.ToMs()),
                ("@problem", row.Problem));
            var (before, now) = (stored?.State == TarballState.Held ? stored : null, row.State == TarballState.Held ? row : null);
            transaction.Counted = transaction.Counted with
            {
                Tarballs = transaction.Counted.Tarballs + (now is null ? 0 : 1) - (before is null ? 0 : 1),
                TarballBytes = transaction.Counted.TarballBytes + (now?.SizeBytes ?? 0) - (before?.SizeBytes ?? 0),
            };
            return true;
        },
        TarballBytes,
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask StampServedAsync(IReadOnlyList<TarballServed> served, CancellationToken cancellationToken) => await database.WriteAsync(
        transaction =>
        {
            foreach (var (package, file, at) in served)
            {
                transaction.Session.Execute(
                    $"UPDATE tarballs SET last_served_at = max(coalesce({Believed("last_served_at")}, @at), @at) WHERE package = @package AND file = @file",
                    ("@at", at.ToMs()),
                    ("@package", package.Value),
                    ("@file", file));
            }

            return true;
        },
        (long)served.Count * TarballBytes,
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask StampVerifiedAsync(IReadOnlyList<TarballVerified> verified, CancellationToken cancellationToken) => await database.WriteAsync(
        transaction =>
        {
            foreach (var (package, file, sha512, at) in verified)
            {
                transaction.Session.Execute(
                    $"UPDATE tarballs SET verified_at = CASE WHEN @at IS NULL THEN NULL ELSE max(coalesce({Believed("verified_at")}, @at), @at) END WHERE package = @package AND file = @file AND state = {(int)TarballState.Held} AND sha512 = @sha512",
                    ("@at", at?.ToMs()),
                    ("@package", package.Value),
                    ("@file", file),
                    ("@sha512", sha512.Bytes.ToArray()));
            }

            return true;
        },
        WriteUrgency.Unsynced,
        (long)verified.Count * TarballBytes,
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> ForgetTarballAsync(TarballRow row, CancellationToken cancellationToken) => database.WriteAsync(
        transaction =>
        {
            if (row.State != TarballState.Held || FindTarball(transaction.Session, row.Package, row.File) != row)
            {
                return false;
            }

            transaction.Session.Execute("DELETE FROM tarballs WHERE package = @package AND file = @file", ("@package", row.Package.Value), ("@file", row.File));
            transaction.Counted = transaction.Counted with { Tarballs = transaction.Counted.Tarballs - 1, TarballBytes = transaction.Counted.TarballBytes - row.SizeBytes };
            return true;
        },
        TarballBytes,
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> IsReferencedAsync(Digest sha512, CancellationToken cancellationToken) => database.ReadAsync(
        session => session.Scalar<long>("SELECT EXISTS (SELECT 1 FROM tarballs WHERE sha512 = @sha512)", ("@sha512", sha512.Bytes.ToArray())) != 0,
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<TarballRow> ListTarballsAsync(PackageName? package, CancellationToken cancellationToken)
    {
        var range = package is null ? "(package, file) > (@package, @file)" : "package = @package AND file > @file";
        var sql = $"SELECT {TarballColumns} FROM tarballs WHERE {range} ORDER BY package, file LIMIT {SqlitePages.RowsMax}";
        return database.PagesAsync<TarballRow, TarballKey>(
            new TarballKey(package?.Value ?? "", ""),
            SqlitePages.RowsMax,
            (session, last) => session.Query(sql, ("@package", last.Package), ("@file", last.File)),
            TryReadTarball,
            reader => new TarballKey(reader.GetValue(0), reader.GetValue(1)),
            _ => TarballBytes,
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask RecordAccessAsync(IReadOnlyList<TarballAccess> accesses, CancellationToken cancellationToken) => await database.WriteAsync(
        transaction =>
        {
            foreach (var (package, file, client, day, count) in accesses)
            {
                transaction.Session.Execute(
                    """
                    INSERT INTO access (package, file, client, day, count) VALUES (@package, @file, @client, @day, @count)
                    ON CONFLICT (package, file, client, day) DO UPDATE SET count = count + excluded.count
                    """,
                    ("@package", package.Value),
                    ("@file", file),
                    ("@client", client),
                    ("@day", day.DayNumber),
                    ("@count", count));
            }

            return true;
        },
        (long)accesses.Count * TarballBytes,
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<TarballAccess> ListAccessAsync(PackageName package, string? file, CancellationToken cancellationToken)
    {
        var only = file is null ? "" : "AND file = @only";
        var sql =
            $"""
            SELECT file, client, day, count FROM access
            WHERE package = @package {only} AND (file, client, day) > (@file, @client, @day) ORDER BY file, client, day LIMIT {SqlitePages.RowsMax}
            """;
        return database.PagesAsync<TarballAccess, AccessKey>(
            new AccessKey("", "", -1),
            SqlitePages.RowsMax,
            (session, last) => session.Query(sql, ("@package", package.Value), ("@file", last.File), ("@client", last.Client), ("@day", last.Day), ("@only", file)),
            (SqliteDataReader reader, out TarballAccess access) =>
            {
                var values = new CheckedRow(reader, "access", keyColumns: 3);
                access = new TarballAccess(package, values.Text(0), values.Text(1), DateOnly.FromDayNumber(values.Integer(2, 0, DateOnly.MaxValue.DayNumber)), values.Number(3));
                // A record of an unknown client or day is left out.
                return values.Damage is null;
            },
            reader => new AccessKey(reader.GetValue(0), reader.GetValue(1), reader.GetValue(2)),
            _ => TarballBytes,
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<int> ForgetAccessAsync(DateOnly day, CancellationToken cancellationToken)
    {
        // In batches: commits of others get in between.
        int all = 0, batch;
        do
        {
            batch = await database.WriteAsync(
                transaction => transaction.Session.Execute(
                    $"DELETE FROM access WHERE (package, file, client, day) IN (SELECT package, file, client, day FROM access WHERE day < @day OR day > {DateOnly.MaxValue.DayNumber} LIMIT {ForgetBatch})",
                    ("@day", day.DayNumber)),
                ForgetBatch * TarballBytes,
                cancellationToken);
            all += batch;
        }
        while (batch == ForgetBatch);

        return all;
    }

    private static TarballRow? FindTarball(SqliteSession session, PackageName package, string file)
    {
        using var reader = session.Query($"SELECT {TarballColumns} FROM tarballs WHERE package = @package AND file = @file", ("@package", package.Value), ("@file", file));
        return reader.Read() && TryReadTarball(reader, out var row) ? row : null;
    }

    // An impossible moment is ignored: it would be the latest for ever.
    private static string Believed(string column) => $"CASE WHEN {column} BETWEEN {SqliteValues.TimeMin} AND {SqliteValues.TimeMax} THEN {column} END";

    /// <summary>Reads a row, damaged or not; false if its package's name is not valid.</summary>
    private static bool TryReadTarball(SqliteDataReader reader, [MaybeNullWhen(false)] out TarballRow row)
    {
        row = null;
        var values = new CheckedRow(reader, "tarballs", keyColumns: 2);
        if (values.Package(0) is not { } package)
        {
            return false;
        }

        row = new TarballRow
        {
            Package = package,
            File = values.Text(1),
            Version = values.Text(2),
            State = (TarballState)values.Integer(3, 0, (int)TarballState.Corrupt),
            Sha512 = reader.IsDBNull(4) ? default : values.Digest(4, SHA512.HashSizeInBytes),
            SizeBytes = values.Number(5),
        };
        if (row.State == TarballState.Held && row.Sha512.IsEmpty)
        {
            values.Note(4);
        }

        // If these are right the bytes can be found; the others are not needed.
        row = values.Damage is { } damage ? row with { State = TarballState.Missing, Sha512 = default, SizeBytes = 0, Problem = damage.Problem, Damage = damage } : row;
        row = row with { UpstreamUrl = values.TextOrNull(6), VerifiedAt = values.TimeOrNull(7), LastServedAt = values.TimeOrNull(8), Problem = values.TextOrNull(9) ?? row.Problem, Damage = values.Damage };
        return true;
    }

    /// <summary>The key of a row, as it is stored.</summary>
    internal readonly record struct TarballKey(object Package, object File);

    private readonly record struct AccessKey(object File, object Client, object Day);
}
