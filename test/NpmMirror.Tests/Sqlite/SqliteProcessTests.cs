using System.Text;
using NpmMirror.Diagnostics;
using NpmMirror.History;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

/// <summary>One file and several processes, some of which die.</summary>
public sealed class SqliteProcessTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string File => _folder.File("mirror.sqlite");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Shares_a_file_with_another_process()
    {
        await using var store = await OpenAsync();
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), File);
        var seen = LogPosition.Zero;
        for (var i = 0; i < 50; i++)
        {
            var waiting = store.WaitForLogAsync(seen, TimeSpan.FromSeconds(30), Cancellation);
            Assert.NotNull(await SecondProcess.ReadToldAsync(child));
            var head = await waiting;
            Assert.True(head > seen);
            seen = head;
            Assert.True((await store.CommitAsync(SecondProcess.Commit($"mine-{i}"), Cancellation)).IsCommitted);
        }

        child.Kill();
        await child.WaitForExitAsync(Cancellation);
        await AssertWholeAsync(store);
        Assert.Equal(50, await store.ListAsync(null, false, Cancellation).CountAsync(row => row.Name.Value.StartsWith("mine", StringComparison.Ordinal), Cancellation));
    }

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
            var held = await AssertWholeAsync(store);
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
        Assert.Empty(await AssertWholeAsync(store));
    }

    [Fact]
    public async Task Leaves_no_cursor_ahead_of_its_items()
    {
        using var child = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), File, CrashPoint.AfterEnqueueBeforeCursor);
        await child.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync();
        Assert.Null(await store.GetCursorAsync("read", Cancellation));
        Assert.Equal((await store.CountAsync(Cancellation)).Queued, await store.ListQueuedAsync(Cancellation).CountAsync(Cancellation));

        using var again = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), File);
        await again.WaitForExitAsync(Cancellation);
        Assert.Equal(0, again.ExitCode);
        Assert.Equal("2500", await store.GetCursorAsync("read", Cancellation));
        Assert.Equal(2500, (await store.CountAsync(Cancellation)).Queued);
    }

    private async Task<SqliteStore> OpenAsync()
    {
        var store = new SqliteStore(File, TimeProvider.System);
        await store.OpenAsync(Cancellation);
        return store;
    }

    // Every package has its document, its index and its three events; the chain is whole; the counters are right.
    private static async Task<HashSet<string>> AssertWholeAsync(SqliteStore store)
    {
        var hash = ChainHash.Genesis;
        var events = new Dictionary<string, int>();
        await foreach (var row in store.ReadLogAsync(LogPosition.Zero, Cancellation))
        {
            hash = ChainHash.Next(hash, row);
            Assert.Equal(row.Hash, hash);
            Assert.Equal(events.GetValueOrDefault(row.Package.Value), row.Ordinal);
            events[row.Package.Value] = row.Ordinal + 1;
        }

        Assert.All(events.Values, count => Assert.Equal(3, count));
        await foreach (var row in store.ListAsync(null, false, Cancellation))
        {
            var package = await store.ReadAsync(row.Name, Cancellation);
            using var reader = new StreamReader(DocumentCodecs.OpenDecoded(row.Name, package!.Document));
            Assert.Equal($"document of {row.Name}", await reader.ReadToEndAsync(Cancellation));
            Assert.Equal($"index of {row.Name}", Encoding.UTF8.GetString(row.Index.Span));
            Assert.True(events.ContainsKey(row.Name.Value));
        }

        var counts = await store.CountAsync(Cancellation);
        Assert.Equal(events.Count, counts.Packages);
        Assert.Equal(events.Keys.Sum(name => $"document of {name}".Length), counts.RawBytes);
        return [.. events.Keys];
    }
}
