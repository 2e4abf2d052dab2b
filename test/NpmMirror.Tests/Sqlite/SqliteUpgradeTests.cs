using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

/// <summary>A process that has a file open while a newer program migrates it.</summary>
public sealed class SqliteUpgradeTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Claim("A process that has a store open writes nothing more once a newer program has migrated it, says so in one sentence with both versions, and reads on",
        With =
        [
            nameof(No_one_writes_into_a_file_that_was_migrated_meanwhile),
            $"{nameof(Cli.BesideServeTests)}.{nameof(Cli.BesideServeTests.A_mirror_whose_store_a_newer_program_migrated_serves_and_is_not_ready)}",
            $"{nameof(Postgres.PostgresUpgradeTests)}.{nameof(Postgres.PostgresUpgradeTests.No_one_writes_into_tables_that_were_migrated_meanwhile)}",
            $"{nameof(Postgres.PostgresUpgradeTests)}.{nameof(Postgres.PostgresUpgradeTests.A_write_that_waits_for_a_migration_is_refused_after_it)}",
        ],
        Red = "`RequireStillKnown` of SQLite left out, and that of PostgreSQL: the tests of each wrote; PostgreSQL's without its lock: the last wrote")]
    [Fact]
    public async Task No_one_writes_into_a_file_that_was_migrated_meanwhile()
    {
        var file = _folder.File("mirror.sqlite");
        await using var store = new SqliteStore(file, TimeProvider.System);
        await store.OpenAsync(Cancellation);
        await store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        var (head, version) = (await store.Log.ReadHeadAsync(Cancellation), SetVersion(file, 999));
        await UpgradeChecks.WritesNothingAsync(store, $"has brought {file} to schema version 999, and this one knows versions up to {version}", Cancellation);
        Assert.Equal(head, await store.Log.ReadHeadAsync(Cancellation));

        // Put back, as by a restored backup of before.
        SetVersion(file, version);
        await store.Notes.SetNoteAsync("key", "value", Cancellation);
    }

    private static long SetVersion(string file, long version)
    {
        using var session = SqliteSession.Open(file, SessionMode.Write);
        var before = session.Scalar<long>("PRAGMA user_version");
        session.Execute($"PRAGMA user_version = {version}");
        return before;
    }
}

/// <summary>What every engine does whose tables are a newer program's.</summary>
internal static class UpgradeChecks
{
    /// <summary>Tries a write of each table of a store that holds the package express.</summary>
    internal static async Task WritesNothingAsync(IMetadataStore store, string part, CancellationToken cancellationToken)
    {
        var express = PackageName.Parse("express");
        var now = TimeProvider.System.GetUtcNow();
        Func<ValueTask>[] writes =
        [
            async () => await store.Packages.CommitAsync(SecondProcess.Commit("express") with { ExpectedGeneration = 1 }, cancellationToken),
            async () => await store.Packages.CommitAsync(SecondProcess.Commit("other"), cancellationToken),
            async () => await store.Packages.PurgeAsync(new PackagePurge(express, 1, [new LogPosition(1)], []), cancellationToken),
            () => store.Queue.EnqueueAsync([new QueueItem { Name = express, Priority = QueuePriority.Change, DueAt = now, QueuedAt = now }], new QueueCursor("read", "7"), cancellationToken),
            async () => await store.Queue.TakeAsync(1, TimeSpan.FromMinutes(1), cancellationToken),
            async () => await store.Tarballs.PutTarballAsync(new TarballRow { Package = express, File = "express-1.0.0.tgz", Version = "1.0.0", State = TarballState.Missing }, cancellationToken),
            () => store.Notes.SetNoteAsync("key", "value", cancellationToken),
            () => store.Kept.KeepAsync("/-/keys", new byte[] { 1 }, cancellationToken),
            async () => await store.Leases.TryHoldLeaseAsync("leader", "one", TimeSpan.FromMinutes(1), cancellationToken),
        ];
        foreach (var write in writes)
        {
            var refused = await Assert.ThrowsAsync<MirrorException>(async () => await write());
            Assert.Equal((MirrorFault.StoreReadOnly, true), (refused.Fault, refused.IsTransient));
            Assert.Contains(part, refused.Message, StringComparison.Ordinal);
        }

        Assert.Contains(part, await store.CheckWritableAsync(cancellationToken), StringComparison.Ordinal);
        Assert.Equal(1, (await store.Packages.ReadAsync(express, cancellationToken))!.Row.Generation);
        Assert.Null(await store.Packages.FindAsync(PackageName.Parse("other"), cancellationToken));
        Assert.Null(await store.Notes.FindNoteAsync("key", cancellationToken));
        Assert.Null(await store.Notes.FindNoteAsync("read", cancellationToken));
        Assert.Null(await store.Queue.NextDueAsync(cancellationToken));
        Assert.Null(await store.Kept.FindKeptAsync("/-/keys", cancellationToken));
    }
}
