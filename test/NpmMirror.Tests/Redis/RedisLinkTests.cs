using System.Globalization;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;
using NpmMirror.Tests.Storage;
using StackExchange.Redis;

namespace NpmMirror.Tests.Redis;

/// <summary>A network between the engine and its server that is cut, or breaks off halfway.</summary>
[Trait("Duration", "long")]
public sealed class RedisLinkTests(RedisServer server) : IClassFixture<RedisServer>, IAsyncLifetime
{
    private FlakyLink _link = null!;
    private IMetadataStore _store = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _link = new FlakyLink(server.Port);
        _store = RedisStores.Create(string.Create(CultureInfo.InvariantCulture, $"{server.NewLocation().Replace($":{server.Port}/", $":{_link.Port}/", StringComparison.Ordinal)}"));
        await _store.OpenAsync(Cancelled);
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

        await NumberAsync();
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

    [Claim("A commit to Redis is whole or not there, wherever the network breaks, and counts once although its answer was lost",
        Red = "the script of a commit does not know its own commit again: red with the answer cut")]
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
        for (var at = 1L; at <= ofCommit; at += Math.Max(1, ofCommit / 40))
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
        await NumberAsync();
        Assert.Empty(acknowledged.Except(await WholeStore.AssertAsync(_store)));

        long Sent() => isAnswer ? _link.AnswerBytes : _link.RequestBytes;
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

    [Claim("No change in Redis is tried without end where another writer is faster each time: it ends in one sentence")]
    [Theory]
    [InlineData("{{{0}mirror}}/leases", "n", "0 other{0}")]
    [InlineData("{{{0}mirror}}/leases", "held", "99999999{0:00000} me")]
    [InlineData("{{{0}mirror}}/queue", "express", "other {0}")]
    [InlineData("{{{0}module:express}}/tarballs", "express-1.0.0.tgz", "other {0}")]
    public async Task Gives_up_where_another_writer_is_always_faster(string key, string field, string text)
    {
        await using var other = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port}");
        var (writes, place) = (0, string.Format(CultureInfo.InvariantCulture, key, _store.Location[(_store.Location.IndexOf('=', StringComparison.Ordinal) + 1)..]));
        _link.BeforeRequest = () => other.GetDatabase().HashSetAsync(place, field, string.Format(CultureInfo.InvariantCulture, text, Interlocked.Increment(ref writes)));
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await (field switch
        {
            "n" => _store.Leases.TryHoldLeaseAsync("n", "me", TimeSpan.FromMinutes(1), Cancelled).AsTask(),
            "held" => _store.Leases.ReleaseLeaseAsync("held", "me", Cancelled).AsTask(),
            "express" => _store.Queue.EnqueueAsync([new QueueItem { Name = PackageName.Parse("express"), Priority = QueuePriority.Change, DueAt = DateTimeOffset.UnixEpoch, QueuedAt = DateTimeOffset.UnixEpoch }], null, Cancelled).AsTask(),
            _ => _store.Tarballs.PutTarballAsync(new TarballRow { Package = PackageName.Parse("express"), File = field, Version = "1.0.0", State = TarballState.Missing }, Cancelled).AsTask(),
        }));
        Assert.Equal((MirrorFault.StoreUnavailable, true), (failure.Fault, failure.IsTransient));
        Assert.Contains("is changed by others all the time", failure.Message, StringComparison.Ordinal);
        _link.BeforeRequest = null;
    }

    [Fact]
    public async Task Takes_a_lease_over_from_bytes_that_are_no_text()
    {
        await using var other = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port}");
        var prefix = _store.Location[(_store.Location.IndexOf('=', StringComparison.Ordinal) + 1)..];
        await other.GetDatabase().HashSetAsync($"{{{prefix}mirror}}/leases", "n", (byte[])[0xff, 0xfe]);
        Assert.True(await _store.Leases.TryHoldLeaseAsync("n", "me", TimeSpan.FromMinutes(1), Cancelled));
    }

    private async Task NumberAsync()
    {
        while (await _store.Log.NumberEventsAsync(Cancelled) > 0)
        {
            // More may wait.
        }
    }
}
