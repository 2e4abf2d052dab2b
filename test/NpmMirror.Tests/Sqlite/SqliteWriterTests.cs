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

    private static long ModeOf(WriteTransaction transaction) => transaction.Session.Scalar<long>("PRAGMA synchronous");
}
