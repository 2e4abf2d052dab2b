using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Npgsql;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>Rows that no listing gives, because the name that they are found by is no package's.</summary>
internal static class PostgresUnlisted
{
    private const int ShownMax = 40;

    private static readonly (string Table, string Column)[] Named = [("packages", "name"), ("queue", "name"), ("tarballs", "package")];

    /// <summary>See <see cref="IMetadataStore.ListUnlistedAsync"/>.</summary>
    internal static async IAsyncEnumerable<StoreDamage> ListAsync(PostgresDatabase database, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var (table, column) in Named)
        {
            var names = database.PagesAsync<StoreDamage, string>(
                "",
                PostgresPages.MarksMax,
                last => new NpgsqlCommand($"select distinct {column} from {table} where {column} > $1 order by {column} limit {PostgresPages.MarksMax}").With(Param(last)),
                (NpgsqlDataReader reader, [MaybeNullWhen(false)] out StoreDamage damage) =>
                {
                    var name = reader.GetText(0);
                    var shown = MirrorException.Quote(name.Length > ShownMax ? name[..ShownMax] + "…" : name);
                    damage = PackageName.TryParse(name, out _) ? null : new StoreDamage(table, shown, column, shown);
                    return damage is not null;
                },
                reader => reader.GetText(0),
                _ => ShownMax,
                cancellationToken);
            await foreach (var damage in names)
            {
                yield return damage;
            }
        }
    }
}
