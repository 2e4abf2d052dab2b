using NpmMirror.Diagnostics;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.MongoDB;

/// <summary>One database and several processes, some of which die.</summary>
[Trait("Duration", "long")]
[Claim("Several processes share one database of MongoDB; what one of them told of survives its kill, and the next finishes what it left",
    With =
    [
        nameof(Loses_nothing_that_a_writer_told_of_before_it_was_killed),
        nameof(Shares_a_place_with_another_process),
        nameof(Finishes_the_numbering_of_one_that_died_in_it),
        nameof(Leaves_no_cursor_ahead_of_its_items),
    ],
    Red = "`MongoNumbering.FinishAsync` takes a dead one's step for finished: the first and the third were red")]
public sealed class MongoProcessTests(SharedMongo shared) : StoreProcessContract
{
    [Fact]
    public async Task Finishes_the_numbering_of_one_that_died_in_it()
    {
        var place = NewPlace();
        using var child = SecondProcess.Start(nameof(SecondProcess.Commits_for_ever), place, CrashPoint.WhileNumberingEvents);
        await child.WaitForExitAsync(Cancellation);
        Assert.NotEqual(0, child.ExitCode);
        await using var store = Create(place);
        await store.OpenAsync(Cancellation);

        // The end has moved, and no row is written: nothing of it is shown.
        Assert.Equal(LogPosition.Zero, (await store.Log.ReadHeadAsync(Cancellation)).Position);
        Assert.NotEqual(0, await store.Log.NumberEventsAsync(Cancellation));
        await NumberAsync(store);
        Assert.NotEmpty(await WholeStore.AssertAsync(store));
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("mine"), Cancellation)).IsCommitted);
        await NumberAsync(store);
        await WholeStore.AssertAsync(store);
    }

    protected override string NewPlace() => shared.NewLocationAsync().GetAwaiter().GetResult();

    protected override IMetadataStore Create(string place) => MongoServer.Create(place);
}
