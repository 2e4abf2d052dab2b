using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>Rows that no listing gives, because their key is damaged.</summary>
internal static class SqliteUnlisted
{
    private const int UnlistedBytes = 100;

    /// <summary>See <see cref="IMetadataStore.ListUnlistedAsync"/>.</summary>
    internal static async IAsyncEnumerable<StoreDamage> ListAsync(SqliteDatabase database, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var damage in NamelessAsync(database, "packages", "name", "is_removed", cancellationToken))
        {
            yield return damage;
        }

        await foreach (var damage in NamelessAsync(database, "queue", "name", "0", cancellationToken))
        {
            yield return damage;
        }

        var tarballs = database.PagesAsync<StoreDamage, SqliteTarballs.TarballKey>(
            new SqliteTarballs.TarballKey(0, 0),
            SqlitePages.MarksMax,
            (session, last) => session.Query($"SELECT package, file FROM tarballs WHERE (package, file) > (@package, @file) ORDER BY package, file LIMIT {SqlitePages.MarksMax}", ("@package", last.Package), ("@file", last.File)),
            (SqliteDataReader reader, [MaybeNullWhen(false)] out StoreDamage damage) => IsNameless(new CheckedRow(reader, "tarballs", keyColumns: 2), out damage),
            reader => new SqliteTarballs.TarballKey(reader.GetValue(0), reader.GetValue(1)),
            _ => UnlistedBytes,
            cancellationToken);
        var positions = database.PagesAsync<StoreDamage, long>(
            long.MinValue,
            SqlitePages.MarksMax,
            (session, last) => session.Query($"SELECT position FROM log WHERE position > @last AND (position < 1 OR position > {CheckedRow.CountMax}) ORDER BY position LIMIT {SqlitePages.MarksMax}", ("@last", last)),
            (SqliteDataReader reader, [MaybeNullWhen(false)] out StoreDamage damage) =>
            {
                var values = new CheckedRow(reader, "log");
                values.Note(0);
                return (damage = values.Damage) is not null;
            },
            reader => reader.GetInt64(0),
            _ => UnlistedBytes,
            cancellationToken);
        await foreach (var damage in tarballs.Concat(positions))
        {
            yield return damage;
        }
    }

    /// <summary>Rows whose name is no package's, or whose flag is not valid.</summary>
    private static IAsyncEnumerable<StoreDamage> NamelessAsync(SqliteDatabase database, string table, string name, string flag, CancellationToken cancellationToken) => database.PagesAsync<StoreDamage, object>(
        // Less than every text, the empty one too.
        0,
        SqlitePages.MarksMax,
        (session, last) => session.Query($"SELECT {name}, {flag} FROM {table} WHERE {name} > @after ORDER BY {name} LIMIT {SqlitePages.MarksMax}", ("@after", last)),
        (SqliteDataReader reader, [MaybeNullWhen(false)] out StoreDamage damage) =>
        {
            var values = new CheckedRow(reader, table);
            values.Flag(1);
            return IsNameless(values, out damage);
        },
        SqlitePages.NameOf,
        _ => UnlistedBytes,
        cancellationToken);

    private static bool IsNameless(CheckedRow values, [MaybeNullWhen(false)] out StoreDamage damage)
    {
        values.Package(0);
        damage = values.Damage;
        return damage is not null;
    }
}
