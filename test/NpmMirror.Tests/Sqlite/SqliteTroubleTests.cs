using Microsoft.Data.Sqlite;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

/// <summary>Disks that are full or read-only, files that are damaged, newer or another's.</summary>
public sealed class SqliteTroubleTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Claim("Full and read-only disks: reads go on, writes say why, it recovers by itself",
        With =
        [
            nameof(Reads_a_read_only_folder_and_writes_when_it_is_writable_again),
            $"{nameof(Cli.DiskTests)}.{nameof(Cli.DiskTests.A_full_disk_is_logged_once_stops_no_read_and_recovers_by_itself)}",
            $"{nameof(Cli.DiskTests)}.{nameof(Cli.DiskTests.A_read_only_folder_is_served_and_readiness_tells_the_reason)}",
            $"{nameof(Storage.FileBlobStoreTests)}.{nameof(Storage.FileBlobStoreTests.Says_that_the_disk_is_full_and_goes_on_by_itself)}",
            nameof(A_write_whose_caller_left_before_it_began_is_not_done),
            nameof(A_writer_that_was_closed_refuses_at_once),
        ],
        Red = "`SqliteFaults.OfWrite` does not know a full disk: the first was red; a read-only one: the second was red; ")]
    [Fact]
    public async Task Reads_on_when_the_disk_is_full_and_writes_again_when_there_is_room()
    {
        using var disk = SmallDisk.Mount(megabytes: 4);
        await using var store = await OpenAsync(disk.File("mirror.sqlite"));
        await store.Packages.CommitAsync(Package("express"), Cancellation);
        disk.Fill();
        for (var i = 0; i < 3; i++)
        {
            var e = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.CommitAsync(Package("large", 500_000), Cancellation));
            Assert.Equal((MirrorFault.StoreReadOnly, true), (e.Fault, e.IsTransient));
            Assert.Contains("full", e.Message, StringComparison.Ordinal);
            Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("express"), Cancellation));
            Assert.Null(await store.Packages.FindAsync(PackageName.Parse("large"), Cancellation));
        }

        disk.MakeRoom();
        Assert.Null(await store.CheckWritableAsync(Cancellation));
        Assert.True((await store.Packages.CommitAsync(Package("large", 500_000), Cancellation)).IsCommitted);
    }

    [Fact]
    public async Task A_write_whose_caller_left_before_it_began_is_not_done()
    {
        var path = _folder.File("mirror.sqlite");
        await using (await OpenAsync(path))
        {
        }

        using var writer = new SqliteWriter(path, _ => { });
        using var begun = new ManualResetEventSlim();
        using var gate = new ManualResetEventSlim();
        using var leaving = new CancellationTokenSource();
        var first = writer.WriteAsync(
            _ =>
            {
                begun.Set();
                return gate.Wait(TimeSpan.FromSeconds(30));
            },
            WriteUrgency.Now,
            0,
            Cancellation).AsTask();
        Assert.True(begun.Wait(TimeSpan.FromSeconds(30), Cancellation));
        var hasRun = false;
        var second = writer.WriteAsync(_ => hasRun = true, WriteUrgency.Now, 0, leaving.Token).AsTask();
        await leaving.CancelAsync();
        gate.Set();
        Assert.True(await first);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.False(hasRun);
    }

    [Fact]
    public async Task A_writer_that_was_closed_refuses_at_once()
    {
        var writer = new SqliteWriter(_folder.File("mirror.sqlite"), _ => { });
        writer.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => writer.WriteAsync(_ => true, WriteUrgency.Now, 0, Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation));
    }

    [Fact]
    public async Task Says_that_it_cannot_be_written_while_the_disk_is_full()
    {
        using var disk = SmallDisk.Mount(megabytes: 4);
        await using var store = await OpenAsync(disk.File("mirror.sqlite"));
        disk.Fill();
        string? trouble = null;
        // The write-ahead log's own room is written; then nothing is.
        for (var i = 0; i < 1000 && trouble is null; i++)
        {
            trouble = await store.CheckWritableAsync(Cancellation);
        }

        Assert.Contains("full", trouble, StringComparison.Ordinal);
        disk.MakeRoom();
        Assert.Null(await store.CheckWritableAsync(Cancellation));
    }

    [Fact]
    public async Task Reads_a_read_only_folder_and_writes_when_it_is_writable_again()
    {
        using var disk = SmallDisk.Mount(megabytes: 4);
        await using (var before = await OpenAsync(disk.File("mirror.sqlite")))
        {
            await before.Packages.CommitAsync(Package("express"), Cancellation);
        }

        disk.MakeReadOnly();
        await using var store = await OpenAsync(disk.File("mirror.sqlite"));
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("express"), Cancellation));
        Assert.Equal(1, (await store.CountAsync(Cancellation)).Packages);
        Assert.Contains("cannot be written", await store.CheckWritableAsync(Cancellation), StringComparison.Ordinal);
        var e = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.CommitAsync(Package("other"), Cancellation));
        Assert.Equal((MirrorFault.StoreReadOnly, true), (e.Fault, e.IsTransient));

        disk.MakeWritable();
        Assert.True((await store.Packages.CommitAsync(Package("other"), Cancellation)).IsCommitted);
        Assert.NotNull(await store.Packages.FindAsync(PackageName.Parse("other"), Cancellation));
        Assert.Null(await store.CheckWritableAsync(Cancellation));
    }

    [Fact]
    public async Task Says_how_to_read_a_read_only_copy_of_a_running_mirror()
    {
        using var disk = SmallDisk.Mount(megabytes: 8);
        await using (var store = await OpenAsync(_folder.File("mirror.sqlite")))
        {
            await store.Packages.CommitAsync(Package("express"), Cancellation);
            File.Copy(_folder.File("mirror.sqlite"), disk.File("mirror.sqlite"));
            File.Copy(_folder.File("mirror.sqlite-wal"), disk.File("mirror.sqlite-wal"));
        }

        disk.MakeReadOnly();
        var e = await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(disk.File("mirror.sqlite")));
        Assert.Equal(MirrorFault.StoreUnavailable, e.Fault);
        Assert.Contains("copy the folder", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_that_it_cannot_create_its_file()
    {
        await File.WriteAllTextAsync(_folder.File("file"), "", Cancellation);
        var e = await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(Path.Combine(_folder.File("file"), "mirror.sqlite")));
        Assert.Equal(MirrorFault.StoreUnavailable, e.Fault);
        Assert.Contains("cannot be created", e.Message, StringComparison.Ordinal);
    }

    [Claim("A newer schema is refused and left alone",
        With = [$"{nameof(Cli.BesideServeTests)}.{nameof(Cli.BesideServeTests.A_store_of_a_newer_program_is_refused_and_left_alone)}"],
        Red = "newer versions let through in `SqliteSchema.Check`: the first was red")]
    [Claim("A schema version below zero is refused and the file left alone",
        Red = "the check for a version below zero left out: the steps of the schema ran on it")]
    [Theory]
    [InlineData("PRAGMA user_version = 999", MirrorFault.StoreSchema, "schema version 999")]
    [InlineData("PRAGMA user_version = -1", MirrorFault.StoreSchema, "schema version -1, which no npm-mirror writes")]
    [InlineData("PRAGMA application_id = 1", MirrorFault.StoreUnavailable, "another program's")]
    public async Task Refuses_a_newer_file_and_another_programs(string change, MirrorFault fault, string part)
    {
        await (await OpenAsync(_folder.File("mirror.sqlite"))).DisposeAsync();
        Execute(change);
        var before = await File.ReadAllBytesAsync(_folder.File("mirror.sqlite"), Cancellation);
        var e = await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(_folder.File("mirror.sqlite")));
        Assert.Equal((fault, false), (e.Fault, e.IsTransient));
        Assert.Contains(part, e.Message, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllBytesAsync(_folder.File("mirror.sqlite"), Cancellation));
    }

    [Claim("A file of the first version is migrated when it is opened",
        Red = "the version is written without its steps; all steps are run from the first; or the version is not written")]
    [Claim("Keys and attestations are kept byte for byte in a table of their own, apart from the mirror's notes; those of an older file are moved there",
        With =
        [
            $"{nameof(SqliteStoreTests)}.{nameof(SqliteStoreTests.Keeps_documents_by_their_path)}",
            $"{nameof(SqliteStoreTests)}.{nameof(SqliteStoreTests.Lists_kept_documents_page_by_page)}",
        ])]
    [Fact]
    public async Task Brings_a_file_of_the_first_version_to_this_one()
    {
        await using (var before = await OpenAsync(_folder.File("mirror.sqlite")))
        {
            await before.Packages.CommitAsync(Package("kept", 100), Cancellation);
            await before.Notes.SetNoteAsync("key", "value", Cancellation);
        }

        Execute("DROP INDEX packages_listed; ALTER TABLE packages DROP COLUMN ancestors; DROP INDEX tarballs_by_sha512; DROP INDEX log_by_package; DROP TABLE kept; ALTER TABLE notes RENAME TO cursors; INSERT INTO cursors VALUES ('kept:/-/keys', '{\"keys\":\"é\"}'); PRAGMA user_version = 1");
        await using (var migrated = await OpenAsync(_folder.File("mirror.sqlite")))
        {
            Assert.Equal("kept", (await migrated.Packages.ListMarksAsync("", false, Cancellation).SingleAsync(Cancellation)).Name.Value);
            Assert.NotNull(await migrated.Packages.ReadAsync(PackageName.Parse("kept"), Cancellation));
            Assert.Equal("value", await migrated.Notes.FindNoteAsync("key", Cancellation));
            Assert.Equal("{\"keys\":\"é\"}"u8.ToArray(), (await migrated.Kept.FindKeptAsync("/-/keys", Cancellation))!.Value.ToArray());
            Assert.Empty(await migrated.Notes.ListNotesAsync("kept:", Cancellation).ToListAsync(Cancellation));
        }

        await using var again = await OpenAsync(_folder.File("mirror.sqlite"));
        Assert.Equal(1, (await again.CountAsync(Cancellation)).Packages);
    }

    [Fact]
    public async Task Says_how_to_go_on_with_a_file_that_is_no_database()
    {
        await File.WriteAllTextAsync(_folder.File("mirror.sqlite"), new string('x', 10_000), Cancellation);
        var e = await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(_folder.File("mirror.sqlite")));
        Assert.Equal(MirrorFault.StoreUnavailable, e.Fault);
        Assert.Contains("backup", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_how_to_mend_a_damaged_file()
    {
        await using (var whole = await OpenAsync(_folder.File("mirror.sqlite")))
        {
            for (var i = 0; i < 200; i++)
            {
                await whole.Packages.CommitAsync(Package($"p{i}", 2000), Cancellation);
            }
        }

        using (var file = File.OpenWrite(_folder.File("mirror.sqlite")))
        {
            // All but the first pages.
            file.Position = 100_000;
            file.Write(Enumerable.Repeat((byte)0x5a, (int)(file.Length - file.Position)).ToArray());
        }

        var e = await Assert.ThrowsAsync<MirrorException>(async () =>
        {
            await using var store = await OpenAsync(_folder.File("mirror.sqlite"));
            for (var i = 0; i < 200; i++)
            {
                await store.Packages.ReadAsync(PackageName.Parse($"p{i}"), Cancellation);
            }
        });
        Assert.Equal(MirrorFault.StoreUnavailable, e.Fault);
        Assert.Contains("backup", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_bad_write_does_not_harm_those_it_was_grouped_with()
    {
        await using var store = await OpenAsync(_folder.File("mirror.sqlite"));
        var results = await Task.WhenAll(Enumerable.Range(0, 50).Select(async i =>
        {
            var commit = i % 10 == 3 ? Package($"p{i}") with { Document = null } : Package($"p{i}");
            var isBad = false;
            try
            {
                Assert.True((await store.Packages.CommitAsync(commit, Cancellation)).IsCommitted);
            }
            catch (ArgumentException)
            {
                isBad = true;
            }

            return isBad == (i % 10 == 3);
        }));
        Assert.All(results, Assert.True);
        Assert.Equal(45, (await store.CountAsync(Cancellation)).Packages);
    }

    [Theory]
    [InlineData("SELECT zeroblob(2147483647), zeroblob(2147483648)")]
    [InlineData("INSERT INTO notes (key, value) VALUES ('half', 'twice')")]
    [InlineData("SELECT nothing FROM nowhere")]
    public async Task Writes_before_an_error_of_the_database_are_undone(string failing)
    {
        await using (await OpenAsync(_folder.File("mirror.sqlite")))
        {
        }

        using var writer = new SqliteWriter(_folder.File("mirror.sqlite"), _ => { });
        await Assert.ThrowsAsync<MirrorException>(async () => await WriteAsync(transaction =>
        {
            transaction.Session.Execute("INSERT INTO notes (key, value) VALUES ('half', 'once')");
            transaction.Session.Execute(failing);
            return 0L;
        }));
        Assert.Equal(0, await WriteAsync(transaction => transaction.Session.Scalar<long>("SELECT count(*) FROM notes WHERE key = 'half'")));

        ValueTask<long> WriteAsync(Func<WriteTransaction, long> write) => writer.WriteAsync(write, WriteUrgency.Now, 0, Cancellation);
    }

    [Fact]
    public async Task Work_that_ended_its_transaction_fails_with_its_own_error()
    {
        await using (await OpenAsync(_folder.File("mirror.sqlite")))
        {
        }

        using var writer = new SqliteWriter(_folder.File("mirror.sqlite"), _ => { });
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.WriteAsync<int>(
            transaction =>
            {
                transaction.Session.Execute("ROLLBACK");
                throw new InvalidOperationException("Mine.");
            },
            WriteUrgency.Now,
            0,
            Cancellation));
        Assert.Equal(7, await writer.WriteAsync(_ => 7, WriteUrgency.Now, 0, Cancellation));
    }

    [Fact]
    public async Task Only_commits_that_must_survive_a_power_cut_are_synced()
    {
        await using (await OpenAsync(_folder.File("mirror.sqlite")))
        {
        }

        // SQLite's levels: with a write-ahead log 2 syncs each commit, 1 does not.
        using var writer = new SqliteWriter(_folder.File("mirror.sqlite"), _ => { });
        foreach (var (urgency, level) in new[] { (WriteUrgency.Unsynced, 1), (WriteUrgency.Now, 2), (WriteUrgency.Unsynced, 1), (WriteUrgency.Together, 2) })
        {
            Assert.Equal(level, await writer.WriteAsync(transaction => transaction.Session.Scalar<long>("PRAGMA synchronous"), urgency, 0, Cancellation));
        }
    }

    [Fact]
    public async Task A_store_that_was_closed_is_one_file()
    {
        var store = await OpenAsync(_folder.File("mirror.sqlite"));
        await store.Packages.CommitAsync(Package("express"), Cancellation);
        Assert.NotNull(await store.Packages.FindAsync(PackageName.Parse("express"), Cancellation));
        await store.DisposeAsync();
        await store.DisposeAsync();
        Assert.Equal([_folder.File("mirror.sqlite")], Directory.EnumerateFiles(_folder.Path));
    }

    [Fact]
    public async Task Without_its_row_of_counts_nothing_is_counted()
    {
        await using var store = await OpenAsync(_folder.File("mirror.sqlite"));
        await store.Packages.CommitAsync(Package("express"), Cancellation);
        Execute("DELETE FROM counts");
        Assert.Equal(new StoreCounts(0, 0, 0, 0, 0, 0), await store.CountAsync(Cancellation));
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("99:00")]
    [InlineData("99:zz000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("-1:0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("0:0000000000000000000000000000000000000000000000000000000000000000")]
    public async Task A_kept_head_that_is_none_or_is_before_the_log_is_not_believed(string head)
    {
        await using var store = await OpenAsync(_folder.File("mirror.sqlite"));
        await store.Packages.CommitAsync(Package("express"), Cancellation);
        var right = await store.Log.ReadHeadAsync(Cancellation);
        Assert.NotEqual(LogPosition.Zero, right.Position);
        Execute($"UPDATE notes SET value = '{head}' WHERE value LIKE '%:{right.Hash.Hex}'");
        Assert.Equal(right, await store.Log.ReadHeadAsync(Cancellation));
    }

    [Fact]
    public async Task An_older_file_that_cannot_be_written_is_refused_with_a_remedy()
    {
        using var disk = SmallDisk.Mount(megabytes: 4);
        await using (await OpenAsync(_folder.File("mirror.sqlite")))
        {
        }

        Execute("PRAGMA user_version = 1");
        File.Copy(_folder.File("mirror.sqlite"), disk.File("mirror.sqlite"));
        await File.WriteAllTextAsync(disk.File("none.sqlite"), new string('x', 10_000), Cancellation);
        disk.MakeReadOnly();
        var older = await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(disk.File("mirror.sqlite")));
        Assert.Equal(MirrorFault.StoreSchema, older.Fault);
        Assert.Contains("open it once where it can be written", older.Message, StringComparison.Ordinal);
        var none = await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(disk.File("none.sqlite")));
        Assert.Contains("is not a database of this program", none.Message, StringComparison.Ordinal);
    }

    private static PackageCommit Package(string name, int size = 100)
    {
        // Nothing a compressing file system could make small.
        var bytes = new byte[size];
        new Random(size).NextBytes(bytes);
        return SecondProcess.Commit(name) with { Document = DocumentCodecs.Encode(bytes, DocumentCodec.Identity) };
    }

    private static async Task<SqliteStore> OpenAsync(string file)
    {
        var store = new SqliteStore(file, TimeProvider.System);
        try
        {
            await store.OpenAsync(Cancellation);
            return store;
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }

    private void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={_folder.File("mirror.sqlite")};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
