using System.Buffers.Binary;
using NpmMirror.Diagnostics;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Sqlite;

/// <summary>One file and several processes, some of which die.</summary>
[Claim("Several processes share one file",
    With =
    [
        nameof(Shares_a_place_with_another_process),
        $"{nameof(SqliteStoreTests)}.{nameof(SqliteStoreTests.Keeps_one_chain_for_all_writers)}",
        $"{nameof(SqliteStoreTests)}.{nameof(SqliteStoreTests.Wakes_waiters_for_commits_of_another_store_within_a_second)}",
    ],
    Red = "`BEGIN` for `BEGIN IMMEDIATE`: the first and the second were red")]
[Claim("Every answered write of SQLite survives a kill, its own and of a commit that died half-way",
    With =
    [
        nameof(Loses_nothing_that_a_writer_told_of_before_it_was_killed),
        nameof(Leaves_nothing_of_a_commit_that_died_between_two_events),
        nameof(Leaves_no_cursor_ahead_of_its_items),
        nameof(Tells_of_a_commit_after_its_sync),
    ],
    Red = "`synchronous = NORMAL`: the last was red; commits that wait for company committed like the queue's notes, without a sync: the last was red")]
public sealed class SqliteProcessTests : StoreProcessContract, IDisposable
{
    private readonly TempFolder _folder = new();

    private string File => _folder.File("mirror.sqlite");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Leaves_nothing_of_a_commit_that_died_between_two_events()
    {
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), File, CrashPoint.WhileNumberingEvents);
        await child.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync(File);
        Assert.Empty(await WholeStore.AssertAsync(store));
    }

    [Fact]
    public async Task Tells_of_a_commit_after_its_sync()
    {
        Assert.SkipUnless(TestTools.Has("strace"), TestTools.Missing("strace"));
        string[] strace = ["strace", "-f", "-s", "100", "-e", "trace=fsync,fdatasync,write", "-e", "signal=none", "-o", _folder.File("strace.log")];
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_one_by_one), File, below: strace);
        await child.StandardOutput.ReadToEndAsync(Cancellation);
        await child.WaitForExitAsync(Cancellation);

        // kill -9 cannot see a missing sync: between any two commits that were told of there is one that ended.
        int told = 0, syncs = 0;
        foreach (var line in await System.IO.File.ReadAllLinesAsync(_folder.File("strace.log"), Cancellation))
        {
            if (line.Contains("sync", StringComparison.Ordinal) && line.EndsWith("= 0", StringComparison.Ordinal))
            {
                syncs++;
            }
            else if (line.Contains("write(", StringComparison.Ordinal) && line.Contains($"told p{told}\\n", StringComparison.Ordinal))
            {
                Assert.True(syncs > 0, $"Package p{told} was told of before a sync.");
                (told, syncs) = (told + 1, 0);
            }
        }

        Assert.Equal(SecondProcess.OneByOne, told);
    }

    [Claim("Many commits at once share a sync, and one bad one harms no other",
        With = [$"{nameof(SqliteTroubleTests)}.{nameof(SqliteTroubleTests.One_bad_write_does_not_harm_those_it_was_grouped_with)}"],
        Red = "`SqliteWriter` takes one job at a time; a group that fails is not tried one by one")]
    [Fact]
    public async Task Syncs_once_for_many_that_commit_at_once()
    {
        // Not a measure of time: the groups are seen in the write-ahead log, which has one commit mark each.
        await using var store = await OpenAsync(File);
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(i => store.Packages.CommitAsync(SecondProcess.Commit($"p{i}"), Cancellation).AsTask()));
        Assert.InRange(CommitsInLog(File + "-wal"), 1, 100);
        Assert.Equal(1000, (await WholeStore.AssertAsync(store)).Count);
    }

    protected override string NewPlace() => _folder.File($"{Guid.NewGuid():N}.sqlite");

    protected override IMetadataStore Create(string place) => new SqliteStore(place, TimeProvider.System);

    // A frame of the log: a header of 24 bytes (the second word is not zero where a transaction ends), then a page.
    private static int CommitsInLog(string file)
    {
        using var log = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new byte[log.Length];
        log.ReadExactly(bytes);
        var pageBytes = BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(8));
        var commits = 0;
        for (var frame = 32; frame + 24 + pageBytes <= bytes.Length; frame += 24 + pageBytes)
        {
            commits += BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(frame + 4)) != 0 ? 1 : 0;
        }

        return commits;
    }
}
