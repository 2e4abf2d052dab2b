using NpmMirror.Diagnostics;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>One place in Redis and several processes, some of which die.</summary>
[Trait("Duration", "long")]
public sealed class RedisProcessTests(RedisServer server) : IClassFixture<RedisServer>
{
    private readonly string _location = server.NewLocation();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Shares_a_place_with_another_process()
    {
        await using var store = await OpenAsync();
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), _location);
        var seen = LogPosition.Zero;
        for (var i = 0; i < 50; i++)
        {
            var waiting = store.Log.WaitForLogAsync(seen, TimeSpan.FromSeconds(60), Cancelled);
            Assert.NotNull(await SecondProcess.ReadToldAsync(child));
            var head = await waiting;
            Assert.True(head > seen);
            seen = head;
            Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit($"mine-{i}"), Cancelled)).IsCommitted);
        }

        child.Kill();
        await child.WaitForExitAsync(Cancelled);
        await NumberAsync(store);
        await WholeStore.AssertAsync(store);
        Assert.Equal(50, await store.Packages.ListAsync(null, false, Cancelled).CountAsync(row => row.Name.Value.StartsWith("mine", StringComparison.Ordinal), Cancelled));
    }

    [Claim("Several processes share one place in Redis; what one of them told of survives its kill, and the next finishes what it left",
        With = [nameof(Shares_a_place_with_another_process), nameof(Finishes_the_numbering_of_one_that_died_in_it), nameof(Leaves_no_cursor_ahead_of_its_items)])]
    [Fact]
    public async Task Loses_nothing_that_a_writer_told_of_before_it_was_killed()
    {
        for (var kill = 0; kill < 3; kill++)
        {
            var location = server.NewLocation();
            using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), location);
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

            await child.WaitForExitAsync(Cancelled);
            await using var store = await OpenAsync(location);
            await NumberAsync(store);
            Assert.Empty(told.Except(await WholeStore.AssertAsync(store)));
        }
    }

    [Fact]
    public async Task Finishes_the_numbering_of_one_that_died_in_it()
    {
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), _location, CrashPoint.WhileNumberingEvents);
        await child.WaitForExitAsync(Cancelled);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync();
        Assert.Equal(LogPosition.Zero, (await store.Log.ReadHeadAsync(Cancelled)).Position);
        await NumberAsync(store);
        Assert.NotEmpty(await WholeStore.AssertAsync(store));
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("mine"), Cancelled)).IsCommitted);
        await WholeStore.AssertAsync(store);
    }

    [Fact]
    public async Task Leaves_no_cursor_ahead_of_its_items()
    {
        using var child = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), _location, CrashPoint.AfterEnqueueBeforeCursor);
        await child.WaitForExitAsync(Cancelled);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync();
        Assert.Null(await store.Notes.FindNoteAsync("read", Cancelled));
        Assert.Equal((await store.CountAsync(Cancelled)).Queued, await store.Queue.ListQueuedAsync(Cancelled).CountAsync(Cancelled));

        using var again = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), _location);
        await again.WaitForExitAsync(Cancelled);
        Assert.Equal(0, again.ExitCode);
        Assert.Equal("2500", await store.Notes.FindNoteAsync("read", Cancelled));
        Assert.Equal(2500, (await store.CountAsync(Cancelled)).Queued);
    }

    private static async Task NumberAsync(IMetadataStore store)
    {
        while (await store.Log.NumberEventsAsync(Cancelled) > 0)
        {
            // More may wait.
        }
    }

    private async Task<IMetadataStore> OpenAsync(string? location = null)
    {
        var store = RedisStores.Create(location ?? _location);
        await store.OpenAsync(Cancelled);
        return store;
    }
}
