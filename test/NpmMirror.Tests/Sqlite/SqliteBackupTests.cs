using NpmMirror.Log;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

public sealed class SqliteBackupTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Claim("A hot backup is restored",
        With = [$"{nameof(Cli.BesideServeTests)}.{nameof(Cli.BesideServeTests.A_backup_taken_meanwhile_serves_the_same_bytes_with_the_upstream_gone)}"],
        Red = "`BackupAsync` copies the file as it lies")]
    [Fact]
    public async Task Copies_a_mirror_that_is_being_written_and_restores_it()
    {
        await using var store = await OpenAsync("mirror.sqlite");
        using var stop = new CancellationTokenSource();
        var written = 0;
        var writing = Task.Run(
            async () =>
            {
                for (; !stop.IsCancellationRequested; written++)
                {
                    await store.Packages.CommitAsync(SecondProcess.Commit($"p{written}"), Cancellation);
                }
            },
            Cancellation);
        await Eventually.Async(() => Volatile.Read(ref written) > 200);
        await store.Backup.BackupAsync(_folder.File("backup.sqlite"), Cancellation);
        var writtenAtEnd = Volatile.Read(ref written);
        await Eventually.Async(() => Volatile.Read(ref written) > writtenAtEnd + 10);
        await stop.CancelAsync();
        await writing;

        await using var restored = await OpenAsync("backup.sqlite");
        var counts = await restored.CountAsync(Cancellation);
        Assert.InRange(counts.Packages, 200, writtenAtEnd + 1);
        Assert.Equal(counts.Packages, await restored.Packages.ListAsync(null, false, Cancellation).LongCountAsync(Cancellation));
        var hash = ChainHash.Genesis;
        await foreach (var row in restored.Log.ReadLogAsync(LogPosition.Zero, Cancellation))
        {
            hash = ChainHash.Next(hash, row);
        }

        Assert.Equal(new LogHead(new LogPosition(counts.Packages * 3), hash), await restored.Log.ReadHeadAsync(Cancellation));
        Assert.True((await restored.Packages.CommitAsync(SecondProcess.Commit("new"), Cancellation)).IsCommitted);
        Assert.DoesNotContain(Directory.GetFiles(_folder.Path), file => file.EndsWith(".part", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Overwrites_nothing()
    {
        await using var store = await OpenAsync("mirror.sqlite");
        await File.WriteAllTextAsync(_folder.File("backup.sqlite"), "precious", Cancellation);
        var e = await Assert.ThrowsAsync<MirrorException>(() => store.Backup.BackupAsync(_folder.File("backup.sqlite"), Cancellation));
        Assert.Equal(MirrorFault.BadInput, e.Fault);
        Assert.Equal("precious", await File.ReadAllTextAsync(_folder.File("backup.sqlite"), Cancellation));
    }

    [Fact]
    public async Task Half_a_copy_of_a_backup_that_died_is_written_anew()
    {
        await using var store = await OpenAsync("mirror.sqlite");
        await store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        await File.WriteAllTextAsync(_folder.File("backup.sqlite.part"), "half", Cancellation);
        await store.Backup.BackupAsync(_folder.File("backup.sqlite"), Cancellation);
        Assert.False(File.Exists(_folder.File("backup.sqlite.part")));
        Assert.Equal(await store.Log.ReadHeadAsync(Cancellation), store.Backup.ReadHeadOf(_folder.File("backup.sqlite")));
    }

    [Fact]
    public async Task Says_that_something_lies_where_the_copy_is_written_first()
    {
        using var folder = new TempFolder();
        await using var store = new SqliteStore(folder.File("mirror.sqlite"), TimeProvider.System);
        await store.OpenAsync(TestContext.Current.CancellationToken);
        Directory.CreateDirectory(folder.File("copy.sqlite.part"));
        var refused = await Assert.ThrowsAsync<MirrorException>(() => store.Backup.BackupAsync(folder.File("copy.sqlite"), TestContext.Current.CancellationToken));
        Assert.Equal(MirrorFault.StoreReadOnly, refused.Fault);
        Assert.Contains("copy.sqlite cannot be written", refused.Message, StringComparison.Ordinal);
        Assert.True(Directory.Exists(folder.File("copy.sqlite.part")));
    }

    [Fact]
    public async Task A_disk_without_room_for_the_copy_is_told_and_keeps_no_half()
    {
        using var folder = new TempFolder();
        using var disk = SmallDisk.Mount(megabytes: 1);
        await using var store = new SqliteStore(folder.File("mirror.sqlite"), TimeProvider.System);
        await store.OpenAsync(TestContext.Current.CancellationToken);
        disk.Fill();
        var refused = await Assert.ThrowsAsync<MirrorException>(() => store.Backup.BackupAsync(disk.File("copy.sqlite"), TestContext.Current.CancellationToken));
        Assert.Equal(MirrorFault.StoreReadOnly, refused.Fault);
        Assert.Contains("has room for the whole", refused.Message, StringComparison.Ordinal);
        Assert.Equal([disk.File("filler")], Directory.EnumerateFileSystemEntries(disk.Path));
    }

    [Fact]
    public async Task Says_that_a_backup_cannot_be_written()
    {
        await using var store = await OpenAsync("mirror.sqlite");
        var e = await Assert.ThrowsAsync<MirrorException>(() => store.Backup.BackupAsync(_folder.File("nowhere/backup.sqlite"), Cancellation));
        Assert.Equal(MirrorFault.BadInput, e.Fault);
    }

    private async Task<SqliteStore> OpenAsync(string name)
    {
        var store = new SqliteStore(_folder.File(name), TimeProvider.System);
        await store.OpenAsync(Cancellation);
        return store;
    }
}
