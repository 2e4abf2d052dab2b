using NpmMirror.Diagnostics;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Postgres;

/// <summary>One schema and several processes, some of which die.</summary>
[Trait("Duration", "long")]
[Claim("Several processes share one schema of PostgreSQL; what one of them told of survives its kill, and a commit that died halfway leaves nothing",
    With =
    [
        nameof(Loses_nothing_that_a_writer_told_of_before_it_was_killed),
        nameof(Shares_a_place_with_another_process),
        nameof(Leaves_nothing_of_a_commit_that_died_before_its_end),
        nameof(Leaves_no_cursor_ahead_of_its_items),
    ])]
public sealed class PostgresProcessTests(SharedPostgres shared) : StoreProcessContract, IAsyncLifetime
{
    private PostgresServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await shared.GetAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Leaves_nothing_of_a_commit_that_died_before_its_end()
    {
        var place = NewPlace();
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), place, CrashPoint.WhileNumberingEvents);
        await child.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = await OpenAsync(place);
        Assert.Empty(await WholeStore.AssertAsync(store));

        // What the dead one had locked is free.
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("p0-0"), Cancellation)).IsCommitted);
    }

    protected override string NewPlace() => _server.Location(PostgresServer.NewSchema());

    protected override IMetadataStore Create(string place) => PostgresServer.Create(place, TimeProvider.System);
}
