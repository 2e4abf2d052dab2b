using System.Buffers.Binary;
using NpmMirror.Diagnostics;
using NpmMirror.Sqlite;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Sqlite;

/// <summary>One file and several processes, some of which die.</summary>
public sealed class SqliteProcessTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string File => _folder.File("mirror.sqlite");

    public void Dispose() => _folder.Dispose();

    [Claim("Several processes share one file",
        With =
        [
            $"{nameof(SqliteStoreTests)}.{nameof(SqliteStoreTests.Keeps_one_chain_for_all_who_write)}",
            $"{nameof(SqliteStoreTests)}.{nameof(SqliteStoreTests.Wakes_those_who_wait_for_another_s_commits_within_a_second)}",
        ],
        Red = "`BEGIN` for `BEGIN IMMEDIATE`: the first and the second were red")]
    [Fact]
    public async Task Shares_a_file_with_another_process()
    {
        await using var store = await OpenAsync();
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), File);
        var seen = LogPosition.Zero;
        for (var i = 0; i < 50; i++)
        {
            var waiting = store.Log.WaitForLogAsync(seen, TimeSpan.FromSeconds(30), Cancellation);
            Assert.NotNull(await SecondProcess.ReadToldAsync(child));
            var head = await waiting;
            Assert.True(head > seen);
            seen = head;
            Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit($"mine-{i}"), Cancellation)).IsCommitted);
        }

        child.Kill();
        await child.WaitForExitAsync(Cancellation);
        await WholeStore.AssertAsync(store);
        Assert.Equal(50, await store.Packages.ListAsync(null, false, Cancellation).CountAsync(row => row.Name.Value.StartsWith("mine", StringComparison.Ordinal), Cancellation));
    }

    [Claim("Every answered write of SQLite survives a kill, its own and of a commit that died half-way",
        With =
        [
            nameof(Leaves_nothing_of_a_commit_that_died_between_two_events),
            nameof(Leaves_no_cursor_ahead_of_its_items),
            nameof(Tells_of_a_commit_after_its_sync),
        ],
        Red = "`synchronous = NORMAL`: the last was red; commits that wait for company committed like the queue's notes, without a sync: the last was red")]
    [Fact]
    public async Task Loses_nothing_it_has_told_of_when_killed()
    {
        for (var kill = 0; kill < 5; kill++)
        {
            System.IO.File.Delete(File);
            using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), File);
            var told = new List<string>();
            for (var i = 0; i < 100 * (kill + 1); i++)
            {
                told.Add((await SecondProcess.ReadToldAsync(child))!);
            }

            child.Kill();
            while (await SecondProcess.ReadToldAsync(child) is { } last)
            {
                told.Add(last);
            }

            await child.WaitForExitAsync(Cancellation);

            await using var store = await OpenAsync();
            var held = await WholeStore.AssertAsync(store);
            Assert.Empty(told.Except(held));
        }
    }

    [Fact]
    public async Task Leaves_nothing_of_a_commit_that_died_between_two_events()
    {
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), File, CrashPoint.WhileNumberingEvents);
        await child.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync();
        Assert.Empty(await WholeStore.AssertAsync(store));
    }

    [Fact]
    public async Task Leaves_no_cursor_ahead_of_its_items()
    {
        using var child = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), File, CrashPoint.AfterEnqueueBeforeCursor);
        await child.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync();
        Assert.Null(await store.Notes.FindNoteAsync("read", Cancellation));
        Assert.Equal((await store.CountAsync(Cancellation)).Queued, await store.Queue.ListQueuedAsync(Cancellation).CountAsync(Cancellation));

        using var again = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), File);
        await again.WaitForExitAsync(Cancellation);
        Assert.Equal(0, again.ExitCode);
        Assert.Equal("2500", await store.Notes.FindNoteAsync("read", Cancellation));
        Assert.Equal(2500, (await store.CountAsync(Cancellation)).Queued);
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
        await using var store = await OpenAsync();
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(i => store.Packages.CommitAsync(SecondProcess.Commit($"p{i}"), Cancellation).AsTask()));
        Assert.InRange(CommitsInLog(File + "-wal"), 1, 100);
        Assert.Equal(1000, (await WholeStore.AssertAsync(store)).Count);
    }

    private async Task<SqliteStore> OpenAsync()
    {
        var store = new SqliteStore(File, TimeProvider.System);
        await store.OpenAsync(Cancellation);
        return store;
    }

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
