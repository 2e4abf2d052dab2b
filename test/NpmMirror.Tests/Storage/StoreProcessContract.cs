using NpmMirror.Diagnostics;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;

namespace NpmMirror.Tests.Storage;

/// <summary>One store and several processes, some of which die: for each engine whose stores outlive a process.</summary>
public abstract class StoreProcessContract
{
    /// <summary>Ends with the test.</summary>
    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>A place that no other test has, as <see cref="SecondProcess"/> takes it.</summary>
    protected abstract string NewPlace();

    /// <summary>A store there, not opened.</summary>
    protected abstract IMetadataStore Create(string place);

    /// <summary>A store there, whose events are numbered.</summary>
    protected async Task<IMetadataStore> OpenAsync(string place)
    {
        var store = Create(place);
        await store.OpenAsync(Cancellation);
        await NumberAsync(store);
        return store;
    }

    /// <summary>Numbers the events that dead writers left, as each mirror does.</summary>
    protected static async Task NumberAsync(IMetadataStore store)
    {
        while (await store.Log.NumberEventsAsync(Cancellation) > 0)
        {
            // More may wait.
        }
    }

    [Fact]
    public async Task Shares_a_place_with_another_process()
    {
        var place = NewPlace();
        await using var store = await OpenAsync(place);
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), place);
        var seen = LogPosition.Zero;
        for (var i = 0; i < 50; i++)
        {
            var waiting = store.Log.WaitForLogAsync(seen, TimeSpan.FromSeconds(60), Cancellation);
            Assert.NotNull(await SecondProcess.ReadToldAsync(child));
            var head = await waiting;
            Assert.True(head > seen);
            seen = head;
            Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit($"mine-{i}"), Cancellation)).IsCommitted);
        }

        child.Kill();
        await child.WaitForExitAsync(Cancellation);
        await NumberAsync(store);
        await WholeStore.AssertAsync(store);
        Assert.Equal(50, await store.Packages.ListAsync(null, false, Cancellation).CountAsync(row => row.Name.Value.StartsWith("mine", StringComparison.Ordinal), Cancellation));
    }

    [Trait("Duration", "long")]
    [Fact]
    public async Task Loses_nothing_that_a_writer_told_of_before_it_was_killed()
    {
        for (var kill = 0; kill < 3; kill++)
        {
            var place = NewPlace();
            using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), place);
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
            await using var store = await OpenAsync(place);
            Assert.Empty(told.Except(await WholeStore.AssertAsync(store)));
        }
    }

    [Trait("Duration", "long")]
    [Fact]
    public async Task Leaves_no_cursor_ahead_of_its_items()
    {
        var place = NewPlace();
        using var child = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), place, CrashPoint.AfterEnqueueBeforeCursor);
        await child.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync(place);
        Assert.Null(await store.Notes.FindNoteAsync("read", Cancellation));
        Assert.Equal((await store.CountAsync(Cancellation)).Queued, await store.Queue.ListQueuedAsync(Cancellation).CountAsync(Cancellation));

        using var again = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), place);
        await again.WaitForExitAsync(Cancellation);
        Assert.Equal(0, again.ExitCode);
        Assert.Equal("2500", await store.Notes.FindNoteAsync("read", Cancellation));
        Assert.Equal(2500, (await store.CountAsync(Cancellation)).Queued);
    }
}
