using NpmMirror.Diagnostics;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Postgres;

/// <summary>One schema and several processes, some of which die.</summary>
public sealed class PostgresProcessTests(SharedPostgres shared) : IAsyncLifetime
{
    private readonly string _schema = PostgresServer.NewSchema();
    private PostgresServer _server = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Location => _server.Location(_schema);

    public async ValueTask InitializeAsync() => _server = await shared.GetAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Shares_a_schema_with_another_process()
    {
        await using var store = await OpenAsync();
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), Location);
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

    [Claim("Several processes share one schema of PostgreSQL; what one of them told of survives its kill, and a commit that died halfway leaves nothing",
        With = [nameof(Shares_a_schema_with_another_process), nameof(Leaves_nothing_of_a_commit_that_died_before_its_end), nameof(Leaves_no_cursor_ahead_of_its_items)])]
    [Fact]
    public async Task Loses_nothing_that_a_writer_told_of_before_it_was_killed()
    {
        for (var kill = 0; kill < 3; kill++)
        {
            var schema = PostgresServer.NewSchema();
            using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), _server.Location(schema));
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
            await using var store = await OpenAsync(schema);
            Assert.Empty(told.Except(await WholeStore.AssertAsync(store)));
        }
    }

    [Fact]
    public async Task Leaves_nothing_of_a_commit_that_died_before_its_end()
    {
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), Location, CrashPoint.WhileNumberingEvents);
        await child.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync();
        Assert.Empty(await WholeStore.AssertAsync(store));

        // What the dead one had locked is free.
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("p0-0"), Cancellation)).IsCommitted);
    }

    [Fact]
    public async Task Leaves_no_cursor_ahead_of_its_items()
    {
        using var child = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), Location, CrashPoint.AfterEnqueueBeforeCursor);
        await child.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync();
        Assert.Null(await store.Notes.FindNoteAsync("read", Cancellation));
        Assert.Equal((await store.CountAsync(Cancellation)).Queued, await store.Queue.ListQueuedAsync(Cancellation).CountAsync(Cancellation));

        using var again = SecondProcess.Start(nameof(SecondProcess.Enqueues_a_page), Location);
        await again.WaitForExitAsync(Cancellation);
        Assert.Equal(0, again.ExitCode);
        Assert.Equal("2500", await store.Notes.FindNoteAsync("read", Cancellation));
        Assert.Equal(2500, (await store.CountAsync(Cancellation)).Queued);
    }

    private async Task<IMetadataStore> OpenAsync(string? schema = null)
    {
        var store = _server.Create(schema ?? _schema, TimeProvider.System);
        await store.OpenAsync(Cancellation);
        return store;
    }
}
