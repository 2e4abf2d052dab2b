using System.Globalization;
using Npgsql;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;

namespace NpmMirror.Tests.Postgres;

/// <summary>A process that has a schema open while a newer program migrates it.</summary>
public sealed class PostgresUpgradeTests(SharedPostgres shared) : IAsyncLifetime
{
    private readonly string _schema = PostgresServer.NewSchema();
    private PostgresServer _server = null!;
    private IMetadataStore _store = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await shared.GetAsync();
        // Without work in the background, which would wait for the lock too.
        _store = _server.Create(_schema, TimeProvider.System, more: "&queries=off");
        await _store.OpenAsync(Cancellation);
        await _store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task No_one_writes_into_tables_that_were_migrated_meanwhile()
    {
        var version = (await _server.RunAsync("select version from npm_mirror_schema", _schema))[0];
        var head = await _store.Log.ReadHeadAsync(Cancellation);
        await _server.RunAsync("update npm_mirror_schema set version = 99", _schema);
        await UpgradeChecks.WritesNothingAsync(_store, $"has brought {_store.Location} to schema version 99, and this one knows versions up to {version}", Cancellation);
        Assert.Equal(head, await _store.Log.ReadHeadAsync(Cancellation));

        await _server.RunAsync($"update npm_mirror_schema set version = {version}", _schema);
        await _store.Notes.SetNoteAsync("key", "value", Cancellation);
    }

    [Fact]
    public async Task A_write_that_waits_for_a_migration_is_refused_after_it()
    {
        await using var migrating = new NpgsqlConnection($"Host=127.0.0.1;Port={_server.Port.ToString(CultureInfo.InvariantCulture)};Username={PostgresServer.User};Password={PostgresServer.Password};Database={PostgresServer.Database};Search Path={_schema};Pooling=false");
        await migrating.OpenAsync(Cancellation);
        await RunAsync(migrating, $"begin; select pg_advisory_xact_lock({0x6e706d6d}, hashtext('{_schema}'))");
        var writing = _store.Notes.SetNoteAsync("key", "value", Cancellation).AsTask();
        await Eventually.Async(async () => (await _server.RunAsync("select count(*) from pg_locks where locktype = 'advisory' and not granted and objid = hashtext('" + _schema + "')::oid"))[0] == "1");
        await RunAsync(migrating, "update npm_mirror_schema set version = 99; commit");
        Assert.Equal(MirrorFault.StoreReadOnly, (await Assert.ThrowsAsync<MirrorException>(() => writing)).Fault);
        Assert.Null(await _store.Notes.FindNoteAsync("key", Cancellation));
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }
}
