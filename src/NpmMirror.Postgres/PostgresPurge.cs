using Npgsql;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>Drops what a package's past says. The server frees the bytes when it next vacuums the tables.</summary>
internal static class PostgresPurge
{
    // What the lengths were is read before: an update tells only what is there after it.
    private static readonly string[] Steps =
    [
        """
        with gone as (select position, octet_length(payload) as size from log where package = $1 and position = any($2) and payload is not null)
        update log set payload = null from gone where log.position = gone.position returning gone.size
        """,
        $"""
        with gone as (
            select d.package, octet_length(d.bytes) as size from documents d join packages p on p.id = d.package
            where p.id = $1 and p.document_sha256 = any($2) and octet_length(d.bytes) > 0)
        update documents set codec = {(int)DocumentCodec.Purged}, bytes = '' from gone where documents.package = gone.package returning gone.size
        """,
        $"""
        with gone as (select sha256, octet_length(bytes) as size from archive where package = $1 and sha256 = any($2) and octet_length(bytes) > 0)
        update archive set codec = {(int)DocumentCodec.Purged}, bytes = '' from gone where archive.package = $1 and archive.sha256 = gone.sha256 returning gone.size
        """,
    ];

    // What people query of a purged document goes too. Where it stays, the columns are of the new generation as they were of the one before.
    private static readonly string[] Described =
    [
        $"delete from package_versions where package = $1 and {IsPurged}",
        $"delete from package_words where package = $1 and {IsPurged}",
        $"""
        update packages set has_manifests = has_manifests and not {IsPurged}, description = case when {IsPurged} then null else description end, license = case when {IsPurged} then null else license end,
            described = case when {IsPurged} then -generation when described = generation - 1 then generation when described = 1 - generation then -generation else described end
        where id = $1
        """,
    ];

    private static string IsPurged => $"exists (select from documents where documents.package = $1 and codec = {(int)DocumentCodec.Purged})";

    /// <summary>See <see cref="IPackageTable.PurgeAsync"/>.</summary>
    internal static async ValueTask<long?> RunAsync(NpgsqlConnection connection, PackagePurge purge, CancellationToken cancellationToken)
    {
        const string Raise = "update packages set generation = generation + 1 where name = $1 and generation = $2 returning id";
        await using var raise = new NpgsqlCommand(Raise, connection).With(Param(purge.Package.Value), Param(purge.ExpectedGeneration));
        if (await raise.ExecuteScalarAsync(cancellationToken) is not long id)
        {
            return null;
        }

        await using var batch = new NpgsqlBatch(connection);
        batch.Add(Steps[0], Param(id), Params(purge.Payloads.Select(position => position.Value)));
        batch.Add(Steps[1], Param(id), Params(purge.Documents.Select(sha256 => sha256.Bytes.ToArray())));
        batch.Add(Steps[2], Param(id), Params(purge.Documents.Select(sha256 => sha256.Bytes.ToArray())));
        foreach (var step in Described)
        {
            batch.Add(step, Param(id));
        }

        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var bytes = 0L;
        do
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                bytes += reader.GetInt32(0);
            }
        }
        while (await reader.NextResultAsync(cancellationToken));

        return bytes;
    }
}
