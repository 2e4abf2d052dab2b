using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

public sealed partial class SqliteStore
{
    private const int UnlistedBytes = 100;

    /// <inheritdoc/>
    public async IAsyncEnumerable<StoreDamage> ListUnlistedAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var damage in NamelessAsync("packages", "name", "is_removed", cancellationToken))
        {
            yield return damage;
        }

        await foreach (var damage in NamelessAsync("queue", "name", "0", cancellationToken))
        {
            yield return damage;
        }

        var tarballs = PagesAsync<StoreDamage, TarballKey>(
            new TarballKey(0, 0),
            PageMarksMax,
            (session, last) => session.Query($"SELECT package, file FROM tarballs WHERE (package, file) > (@package, @file) ORDER BY package, file LIMIT {PageMarksMax}", ("@package", last.Package), ("@file", last.File)),
            (SqliteDataReader reader, [MaybeNullWhen(false)] out StoreDamage damage) => IsNameless(new CheckedRow(reader, "tarballs", keyColumns: 2), out damage),
            reader => new TarballKey(reader.GetValue(0), reader.GetValue(1)),
            _ => UnlistedBytes,
            cancellationToken);
        var positions = PagesAsync<StoreDamage, long>(
            long.MinValue,
            PageMarksMax,
            (session, last) => session.Query($"SELECT position FROM log WHERE position > @last AND (position < 1 OR position > {CheckedRow.CountMax}) ORDER BY position LIMIT {PageMarksMax}", ("@last", last)),
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

    /// <summary>Rows whose name is no package's, or whose flag is none.</summary>
    private IAsyncEnumerable<StoreDamage> NamelessAsync(string table, string name, string flag, CancellationToken cancellationToken) => PagesAsync<StoreDamage, object>(
        // Less than every text, the empty one too.
        0,
        PageMarksMax,
        (session, last) => session.Query($"SELECT {name}, {flag} FROM {table} WHERE {name} > @after ORDER BY {name} LIMIT {PageMarksMax}", ("@after", last)),
        (SqliteDataReader reader, [MaybeNullWhen(false)] out StoreDamage damage) =>
        {
            var values = new CheckedRow(reader, table);
            values.Flag(1);
            return IsNameless(values, out damage);
        },
        NameOf,
        _ => UnlistedBytes,
        cancellationToken);

    private static bool IsNameless(CheckedRow values, [MaybeNullWhen(false)] out StoreDamage damage)
    {
        values.Package(0);
        damage = values.Damage;
        return damage is not null;
    }
}
