using NpmMirror.Sqlite;

namespace NpmMirror.Tests.Sqlite;

/// <summary>The groups in which writes are committed.</summary>
public sealed class SqliteWriterTests : IDisposable
{
    private const int Normal = 1;
    private const int Full = 2;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Claim("A write that must be on the disk joins no group that is not synced",
        Red = "`SqliteWriter.Commit` lets what arrives meanwhile join any group")]
    [Fact]
    public async Task A_synced_write_joins_no_group_that_is_not_synced()
    {
        await using (var store = new SqliteStore(_folder.File("mirror.sqlite"), TimeProvider.System))
        {
            await store.OpenAsync(Token);
        }

        using var writer = new SqliteWriter(_folder.File("mirror.sqlite"), _ => { });
        using var begun = new ManualResetEventSlim();
        using var gate = new ManualResetEventSlim();
        var first = writer.WriteAsync(
            _ =>
            {
                begun.Set();
                return gate.Wait(Deadline);
            },
            WriteUrgency.Unsynced,
            0,
            Token).AsTask();
        Assert.True(begun.Wait(Deadline, Token));

        // Two that wait form a group. While it runs, a write comes that must be synced.
        var late = Task.FromResult(0L);
        var group = new[]
        {
            writer.WriteAsync(
                transaction =>
                {
                    late = writer.WriteAsync(ModeOf, WriteUrgency.Now, 0, Token).AsTask();
                    return ModeOf(transaction);
                },
                WriteUrgency.Unsynced,
                0,
                Token).AsTask(),
            writer.WriteAsync(ModeOf, WriteUrgency.Unsynced, 0, Token).AsTask(),
        };
        gate.Set();
        Assert.True(await first);
        Assert.All(await Task.WhenAll(group), mode => Assert.Equal(Normal, mode));
        Assert.Equal(Full, await late);
    }

    [Claim("Only so many writes wait for the writer; the callers of others wait for a place, and may leave at once",
        Red = "`SqliteWriter.WriteAsync` takes no place, or gives none back: red each")]
    [Fact]
    public async Task Only_so_many_writes_wait_and_others_may_leave_at_once()
    {
        const int places = 1024;
        using var writer = new SqliteWriter(_folder.File("mirror.sqlite"), _ => { });
        using var gate = new ManualResetEventSlim();
        using var leaving = new CancellationTokenSource();
        var writes = Enumerable.Range(0, places).Select(_ => writer.WriteAsync(_ => gate.Wait(Deadline), WriteUrgency.Unsynced, 0, Token).AsTask()).ToList();
        var last = writer.WriteAsync(_ => true, WriteUrgency.Unsynced, 0, leaving.Token).AsTask();
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => last.WaitAsync(Deadline / 2, TimeProvider.System, Token));
        gate.Set();
        Assert.All(await Task.WhenAll(writes), Assert.True);
        Assert.True(await writer.WriteAsync(_ => true, WriteUrgency.Unsynced, 0, Token).AsTask().WaitAsync(Deadline, TimeProvider.System, Token));
    }

    [Fact]
    public async Task Of_two_writes_in_one_group_the_good_one_is_done()
    {
        using var writer = new SqliteWriter(_folder.File("mirror.sqlite"), _ => { });
        using var begun = new ManualResetEventSlim();
        using var gate = new ManualResetEventSlim();
        var first = writer.WriteAsync(
            _ =>
            {
                begun.Set();
                return gate.Wait(Deadline);
            },
            WriteUrgency.Unsynced,
            0,
            Token).AsTask();
        Assert.True(begun.Wait(Deadline, Token));
        var bad = writer.WriteAsync<bool>(_ => throw new ArgumentException("Bad."), WriteUrgency.Unsynced, 0, Token).AsTask();
        var good = writer.WriteAsync(_ => true, WriteUrgency.Unsynced, 0, Token).AsTask();
        gate.Set();
        Assert.True(await first);
        Assert.True(await good);
        await Assert.ThrowsAsync<ArgumentException>(() => bad);
    }

    private static long ModeOf(WriteTransaction transaction) => transaction.Session.Scalar<long>("PRAGMA synchronous");
}
