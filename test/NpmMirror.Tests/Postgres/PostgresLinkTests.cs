using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Postgres;

/// <summary>A server that is stopped and started, and a network that is cut, silent, slow or breaks off halfway.</summary>
[Trait("Duration", "long")]
public sealed class PostgresLinkTests(SharedPostgres shared) : IAsyncLifetime
{
    private static readonly PackageName Express = PackageName.Parse("express");
    private readonly string _schema = PostgresServer.NewSchema();
    private PostgresServer _server = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _server = await shared.GetAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Claim("A PostgreSQL server that is stopped and started is used again by itself, and no caller meets a connection that broke in the pool",
        With = [nameof(Uses_no_broken_connection_of_the_pool_twice), nameof(Reads_a_document_whole_or_not_wherever_the_link_breaks), nameof(Says_that_the_server_is_away_while_the_link_is_cut), nameof(Waits_for_a_silent_server_no_longer_than_told)],
        Red = "nothing is tried again on another connection: the first three were red")]
    [Fact]
    public async Task Goes_on_by_itself_when_the_server_was_stopped_and_started()
    {
        await using var server = await PostgresServer.StartNewAsync();
        await using var store = await OpenAsync(server.Create(_schema, TimeProvider.System));
        await using var other = await OpenAsync(server.Create(_schema, TimeProvider.System));
        await store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);

        // Several connections lie in the pool; all of them break.
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => store.Packages.FindAsync(Express, Cancellation).AsTask()));
        var waiting = store.Log.WaitForLogAsync(new LogPosition(3), TimeSpan.FromMinutes(4), Cancellation);
        await server.StopAsync();
        foreach (var attempt in (Func<Task>[])
        [
            async () => await store.Packages.FindAsync(Express, Cancellation),
            async () => await store.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancellation),
            async () => await store.Queue.TakeAsync(1, TimeSpan.FromMinutes(1), Cancellation),
            async () => await store.Log.WaitForLogAsync(new LogPosition(3), TimeSpan.FromMinutes(1), Cancellation),
        ])
        {
            var e = await Assert.ThrowsAsync<MirrorException>(attempt);
            Assert.Equal((MirrorFault.StoreUnavailable, true), (e.Fault, e.IsTransient));
        }

        Assert.NotNull(await store.CheckWritableAsync(Cancellation));
        await server.StartAsync();
        Assert.NotNull(await store.Packages.FindAsync(Express, Cancellation));
        Assert.True((await other.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancellation)).IsCommitted);
        Assert.Equal(new LogPosition(6), await waiting);
        Assert.Equal(2, (await WholeStore.AssertAsync(store)).Count);
    }

    [Fact]
    public async Task Uses_no_broken_connection_of_the_pool_twice()
    {
        await using var link = new FlakyLink(_server.Port);
        await using var store = await OpenAsync(_server.Create(_schema, TimeProvider.System, port: link.Port));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => store.Packages.FindAsync(Express, Cancellation).AsTask()));
        await store.Queue.TakeAsync(1, TimeSpan.FromMinutes(1), Cancellation);
        for (var i = 0; i < 3; i++)
        {
            // As a server that was started anew, or a firewall that forgets, does it: the next request finds out.
            link.CloseAll();
            Assert.Null(await store.Packages.FindAsync(Express, Cancellation));
            link.CloseAll();
            Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit($"p{i}"), Cancellation)).IsCommitted);
            link.CloseAll();
            Assert.Empty(await store.Queue.TakeAsync(1, TimeSpan.FromMinutes(1), Cancellation));
        }
    }

    [Fact]
    public async Task Says_that_the_server_is_away_while_the_link_is_cut()
    {
        await using var link = new FlakyLink(_server.Port);
        await using var store = await OpenAsync(_server.Create(_schema, TimeProvider.System, port: link.Port));
        link.Cut();
        var e = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancellation));
        Assert.Equal((MirrorFault.StoreUnavailable, true), (e.Fault, e.IsTransient));
        link.Mend();
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancellation)).IsCommitted);
    }

    [Claim("A commit to PostgreSQL is whole or not there, wherever the network breaks; what was acknowledged is there",
        Red = "a commit whose end was not heard is made again, and says that it lost")]
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Writes_a_commit_whole_or_not_wherever_the_link_breaks(bool isAnswer)
    {
        await using var link = new FlakyLink(_server.Port);
        await using var store = await OpenAsync(_server.Create(_schema, TimeProvider.System, port: link.Port));
        long Sent() => isAnswer ? link.AnswerBytes : link.RequestBytes;
        var (acknowledged, unknown) = (new List<string>(), 0);
        for (var i = 0; i < 60; i++)
        {
            // On a connection that is open, one that passes tells how long the next will be: 50 breaks all over it, 10 at its last bytes.
            await store.Packages.CommitAsync(SecondProcess.Commit($"a{i:d6}"), Cancellation);
            var before = Sent();
            await store.Packages.CommitAsync(SecondProcess.Commit($"b{i:d6}"), Cancellation);
            var ofCommit = Sent() - before;
            var at = i < 50 ? 1 + (ofCommit * i / 50) : ofCommit - (i - 49);
            var name = $"c{i:d6}";
            _ = isAnswer ? Cut(link.CutAfterAnswer, at) : Cut(link.CutAfterRequest, at);
            try
            {
                if ((await store.Packages.CommitAsync(SecondProcess.Commit(name), Cancellation)).IsCommitted)
                {
                    acknowledged.Add(name);
                }
            }
            catch (MirrorException e)
            {
                // Broken off while it ended: whether it is there is for the caller to look.
                Assert.Equal((MirrorFault.StoreUnavailable, true), (e.Fault, e.IsTransient));
                unknown++;
            }

            link.Mend();
        }

        Assert.NotEmpty(acknowledged);
        Assert.True(unknown > 0);
        var whole = await WholeStore.AssertAsync(store);
        Assert.Empty(acknowledged.Except(whole));
    }

    [Fact]
    public async Task Reads_a_document_whole_or_not_wherever_the_link_breaks()
    {
        await using var link = new FlakyLink(_server.Port);
        await using var store = await OpenAsync(_server.Create(_schema, TimeProvider.System, port: link.Port));
        var bytes = new byte[300_000];
        new Random(1).NextBytes(bytes);
        await store.Packages.CommitAsync(SecondProcess.Commit("large") with { Document = new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes)) }, Cancellation);
        for (var at = 1; at < bytes.Length; at += 20_011)
        {
            // A read is made again, so that nobody notices.
            link.CutAfterAnswer(at);
            var package = await store.Packages.ReadAsync(PackageName.Parse("large"), Cancellation);
            Assert.True(package!.Document.Bytes.Span.SequenceEqual(bytes));
        }
    }

    [Fact]
    public async Task Waits_for_a_silent_server_no_longer_than_told()
    {
        await using var link = new FlakyLink(_server.Port);
        await using var patient = await OpenAsync(_server.Create(_schema, TimeProvider.System));
        await patient.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        await using var store = _server.Create(_schema, TimeProvider.System, port: link.Port, more: "&statement_timeout=1&connect_timeout=1");

        // On a busy machine a second may be too short for a server that is well.
        await Eventually.Async(() => IsThereAsync(store));
        link.FallSilent();
        Assert.Equal(MirrorFault.StoreUnavailable, (await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.FindAsync(Express, Cancellation))).Fault);
        Assert.Equal(MirrorFault.StoreUnavailable, (await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancellation))).Fault);

        // One who leaves need not wait for that.
        using var leaving = new CancellationTokenSource();
        var reading = store.Packages.FindAsync(Express, leaving.Token).AsTask();
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        link.Mend();
        await Eventually.Async(() => IsThereAsync(store));
        Assert.Single(await WholeStore.AssertAsync(patient), "express");
    }

    [Claim("A node that falls silent in the middle of a commit to PostgreSQL holds up the others for seconds",
        Red = "no `idle_in_transaction_session_timeout`")]
    [Fact]
    public async Task Does_not_wait_for_a_writer_that_fell_silent_halfway()
    {
        await using var link = new FlakyLink(_server.Port);
        // Bytes are counted here: no work in the background.
        await using var silent = await OpenAsync(_server.Create(_schema, TimeProvider.System, port: link.Port, more: "&queries=off"));
        await using var store = await OpenAsync(_server.Create(_schema, TimeProvider.System));
        var ofCommit = 0L;
        for (var i = 10; i < 20; i++)
        {
            // The driver prepares what comes often: the later ones are alike.
            var before = link.RequestBytes;
            await silent.Packages.CommitAsync(SecondProcess.Commit($"p{i}"), Cancellation);
            ofCommit = link.RequestBytes - before;
        }

        // All is sent but the last of COMMIT: the log's end is locked. The server ends that session after 10 s.
        link.FallSilentAfterRequest(ofCommit - 3);
        var lost = silent.Packages.CommitAsync(SecondProcess.Commit("p20"), Cancellation).AsTask();
        await Eventually.Async(async () => (await _server.RunAsync($"select count(*) from pg_locks where relation = '{_schema}.log_head'::regclass and mode = 'RowExclusiveLock'"))[0] != "0");
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("mine"), Cancellation)).IsCommitted);
        link.Mend();
        await Assert.ThrowsAsync<MirrorException>(() => lost);
        Assert.Equal(11, (await WholeStore.AssertAsync(store)).Count);
    }

    [Claim("A lost notification of PostgreSQL costs a follower a second",
        Red = "the connection that listens does not look at the log's end")]
    [Fact]
    public async Task Learns_of_the_log_s_end_also_when_a_notification_is_lost()
    {
        await using var store = await OpenAsync(_server.Create(_schema, TimeProvider.System));
        await store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        var waiting = store.Log.WaitForLogAsync(new LogPosition(3), TimeSpan.FromMinutes(4), Cancellation);

        // Moved, and nobody is told.
        await _server.RunAsync("update log_head set position = 4", _schema);
        Assert.Equal(new LogPosition(4), await waiting);
    }

    [Claim("A store on PostgreSQL that is closed tells of each commit that it made",
        Red = "the semaphore of `CommitGroups` disposed of when it is closed")]
    [Fact]
    public async Task Tells_of_each_commit_that_was_made_before_it_was_closed()
    {
        for (var round = 0; round < 5; round++)
        {
            var store = await OpenAsync(_server.Create(_schema, TimeProvider.System));
            var commits = Enumerable.Range(0, 100).Select(i => store.Packages.CommitAsync(SecondProcess.Commit($"p{round}-{i}"), Cancellation).AsTask()).ToList();
            await commits[0];
            await store.DisposeAsync();
            await using var again = await OpenAsync(_server.Create(_schema, TimeProvider.System));
            foreach (var (i, commit) in commits.Index())
            {
                var isThere = await again.Packages.FindAsync(PackageName.Parse($"p{round}-{i}"), Cancellation) is not null;
                if (isThere)
                {
                    Assert.True((await commit).IsCommitted);
                }
                else
                {
                    await Assert.ThrowsAsync<ObjectDisposedException>(() => commit);
                }
            }
        }
    }

    [Fact]
    public async Task Works_over_a_slow_link()
    {
        await using var link = new FlakyLink(_server.Port) { Delay = TimeSpan.FromMilliseconds(20) };
        await using var store = await OpenAsync(_server.Create(_schema, TimeProvider.System, port: link.Port));
        await Task.WhenAll(Enumerable.Range(0, 200).Select(i => store.Packages.CommitAsync(SecondProcess.Commit($"p{i}"), Cancellation).AsTask()));
        link.Mend();
        Assert.Equal(200, (await WholeStore.AssertAsync(store)).Count);
    }

    [Fact]
    public async Task Keeps_a_document_of_60_MB()
    {
        await using var store = await OpenAsync(_server.Create(_schema, TimeProvider.System));
        var bytes = new byte[60_000_000];
        new Random(1).NextBytes(bytes);
        await store.Packages.CommitAsync(SecondProcess.Commit("large") with { Document = new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes)) }, Cancellation);
        await store.Packages.CommitAsync(SecondProcess.Commit("large") with { ExpectedGeneration = 1, Document = null, ArchivesPrevious = true }, Cancellation);
        Assert.True((await store.Packages.ReadAsync(PackageName.Parse("large"), Cancellation))!.Document.Bytes.Span.SequenceEqual(bytes));
        Assert.True((await store.Packages.ReadArchivedAsync(PackageName.Parse("large"), Digest.OfSha256(bytes), Cancellation))!.Bytes.Span.SequenceEqual(bytes));
    }

    private static async Task<bool> IsThereAsync(IMetadataStore store)
    {
        try
        {
            return await store.Packages.FindAsync(Express, Cancellation) is not null;
        }
        catch (MirrorException)
        {
            return false;
        }
    }

    private static bool Cut(Action<long> cut, long at)
    {
        cut(at);
        return true;
    }

    private static async Task<IMetadataStore> OpenAsync(IMetadataStore store)
    {
        await store.OpenAsync(Cancellation);
        return store;
    }
}
