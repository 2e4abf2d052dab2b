using System.Globalization;
using MongoDB.Driver;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.MongoDB;

/// <summary>A network between the engine and its server that is cut, or breaks off halfway; and writers that never come back.</summary>
[Trait("Duration", "long")]
public sealed class MongoLinkTests(SharedMongo shared) : IAsyncLifetime
{
    private string _direct = "";
    private string _linked = "";
    private FlakyLink _link = null!;
    private IMetadataStore _store = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _direct = await shared.NewLocationAsync();
        var port = new MongoUrl(_direct).Server.Port;
        _link = new FlakyLink(port);
        _linked = _direct.Replace(string.Create(CultureInfo.InvariantCulture, $":{port}/"), string.Create(CultureInfo.InvariantCulture, $":{_link.Port}/"), StringComparison.Ordinal);
        _linked += (_linked.Contains('?', StringComparison.Ordinal) ? "&" : "?") + "directConnection=true";
        _store = await MongoServer.OpenAsync(_linked);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _link.DisposeAsync();
    }

    [Fact]
    public async Task Notices_no_connection_that_broke_between_calls()
    {
        await _store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancelled);
        for (var i = 0; i < 3; i++)
        {
            _link.CloseAll();
            Assert.NotNull(await _store.Packages.FindAsync(PackageName.Parse("express"), Cancelled));
            _link.CloseAll();
            Assert.True((await _store.Packages.CommitAsync(SecondProcess.Commit($"p{i}"), Cancelled)).IsCommitted);
        }

        await NumberAsync(_store);
        Assert.Equal(4, (await WholeStore.AssertAsync(_store)).Count);
    }

    [Fact]
    public async Task Says_that_the_server_is_away_while_the_link_is_cut()
    {
        _link.Cut();
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await _store.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancelled));
        Assert.Equal((MirrorFault.StoreUnavailable, true), (failure.Fault, failure.IsTransient));
        _link.Mend();
        await Eventually.Async(async () => await _store.CheckWritableAsync(Cancelled) is null);
        await _store.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancelled);
        Assert.NotNull(await _store.Packages.ReadAsync(PackageName.Parse("ms"), Cancelled));
    }

    [Claim("A commit to MongoDB is whole or not there, wherever the network breaks, and counts once although its answer was lost",
        Red = "`MongoCommits` does not know its own write again: red with the answer cut")]
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Writes_a_commit_whole_or_not_wherever_the_link_breaks(bool isAnswer)
    {
        await _store.Packages.CommitAsync(SecondProcess.Commit("first"), Cancelled);
        var before = Sent();
        await _store.Packages.CommitAsync(SecondProcess.Commit("measured"), Cancelled);
        var ofCommit = Sent() - before;
        var acknowledged = new List<string>();
        for (var at = 1L; at <= ofCommit; at += Math.Max(1, ofCommit / 20))
        {
            if (isAnswer)
            {
                _link.CutAfterAnswer(at);
            }
            else
            {
                _link.CutAfterRequest(at);
            }

            try
            {
                // No other writer has this name: the commit wins, or its outcome is unknown.
                Assert.True((await _store.Packages.CommitAsync(SecondProcess.Commit($"p{at}"), Cancelled)).IsCommitted);
                acknowledged.Add($"p{at}");
            }
            catch (MirrorException e)
            {
                Assert.Equal((MirrorFault.StoreUnavailable, true), (e.Fault, e.IsTransient));
            }

            _link.Mend();
        }

        Assert.NotEmpty(acknowledged);
        await NumberAsync(_store);
        Assert.Empty(acknowledged.Except(await WholeStore.AssertAsync(_store)));

        long Sent() => isAnswer ? _link.AnswerBytes : _link.RequestBytes;
    }

    [Claim("A writer of MongoDB that dies between any two of its requests leaves nothing lost, nothing twice and nothing half shown",
        Red = "`MongoNumbering.FinishAsync` takes a dead one's step for finished: red")]
    [Fact]
    public async Task Goes_on_where_a_writer_was_silenced()
    {
        await _store.Packages.CommitAsync(SecondProcess.Commit("first"), Cancelled);
        var before = _link.RequestBytes;
        await _store.Packages.CommitAsync(SecondProcess.Commit("measured"), Cancelled);
        var ofCommit = _link.RequestBytes - before;
        await using var next = await MongoServer.OpenAsync(_direct);
        for (var at = ofCommit / 40; at <= ofCommit; at += ofCommit / 20)
        {
            _link.FallSilentAfterRequest(at);
            using var leaving = new CancellationTokenSource();
            var writing = _store.Packages.CommitAsync(SecondProcess.Commit($"p{at}"), leaving.Token).AsTask();
            await Eventually.Async(() => _link.RequestBytes >= before + at || writing.IsCompleted);

            // The next process sees all of it or nothing, and may write at once.
            await NumberAsync(next);
            await WholeStore.AssertAsync(next);
            Assert.True((await next.Packages.CommitAsync(SecondProcess.Commit($"q{at}"), Cancelled)).IsCommitted);
            await NumberAsync(next);
            await WholeStore.AssertAsync(next);

            // A dead one's requests never come. This one finds its connections broken, and asks again, too late: that does no harm.
            _link.CloseAll();
            _link.Mend();
            await leaving.CancelAsync();
            await Record.ExceptionAsync(() => writing);
            before = _link.RequestBytes;
        }

        await NumberAsync(next);
        await WholeStore.AssertAsync(next);
    }

    [Fact]
    public async Task Lets_a_caller_leave_while_the_server_is_silent()
    {
        await _store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancelled);
        _link.FallSilent();
        using var leaving = new CancellationTokenSource();
        var reading = _store.Packages.FindAsync(PackageName.Parse("express"), leaving.Token).AsTask();
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await _store.Packages.FindAsync(PackageName.Parse("express"), Cancelled));
        Assert.Equal(MirrorFault.StoreUnavailable, failure.Fault);
        _link.Mend();
        await Eventually.Async(async () => await _store.CheckWritableAsync(Cancelled) is null);
    }

    private static async Task NumberAsync(IMetadataStore store)
    {
        while (await store.Log.NumberEventsAsync(Cancelled) > 0)
        {
            // More may wait.
        }
    }
}
