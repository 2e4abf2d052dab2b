using NpmMirror.Log;
using NpmMirror.Sqlite;

namespace NpmMirror.Tests.Sqlite;

/// <summary>Statements that run for each commit and each page of a feed walk over no more rows than they need, however many there are. Counted in steps of SQLite's machine.</summary>
public sealed class IndexedRangeTests : IDisposable
{
    private const int Packages = 20_000;

    private readonly TestFolder _folder = new();
    private readonly SqliteSession _session;

    public IndexedRangeTests()
    {
        _session = SqliteSchema.OpenForWriting(Path.Combine(_folder.Path, "store.sqlite"));
        _session.Execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < @count)
            INSERT INTO packages (name, generation, last_position, is_removed, first_seen_at, stored_at, raw_size, document_sha256, package_index)
                SELECT 'p' || i, 1, i, 0, 0, 0, 0, x'', x'' FROM n
            """,
            ("@count", Packages));
    }

    public void Dispose()
    {
        _session.Dispose();
        _folder.Dispose();
    }

    [Claim("A commit and a page of the changes cost the same in a store of two packages and of millions",
        With = [nameof(A_page_of_changes_reads_its_rows_alone)],
        Red = "`SqliteLog.FreePositions` and `SqlitePackages.ChangesSql` ask for `last_position > 0` first (as before): each was red")]
    [Fact]
    public void A_commit_walks_over_no_other_package()
    {
        var row = new LogRow
        {
            Position = new LogPosition(Packages + 1),
            Package = PackageName.Parse("p7"),
            Generation = 2,
            Ordinal = 0,
            Type = "MetadataChanged",
            SeenAt = DateTimeOffset.UnixEpoch,
            Payload = null,
            PayloadSha256 = default,
            Hash = default,
        };
        Assert.InRange(StepsOf(() => SqliteLog.FreePositions(_session, 7, [row])), 0, 1_000);
        Assert.Equal((long)Packages, _session.Scalar<long>("SELECT count(*) FROM packages WHERE last_position > 0"));
        // Positions that are to be given anew are free.
        SqliteLog.FreePositions(_session, 7, [row with { Position = new LogPosition(Packages - 1) }]);
        Assert.Equal(Packages - 2L, _session.Scalar<long>("SELECT count(*) FROM packages WHERE last_position > 0"));
    }

    [Theory]
    [InlineData(false, Packages - 10, 10)]
    [InlineData(true, 10, 9)]
    public void A_page_of_changes_reads_its_rows_alone(bool isDescending, int from, int expected)
    {
        var rows = 0;
        var steps = StepsOf(() =>
        {
            using var reader = _session.Query(SqlitePackages.ChangesSql(isDescending), ("@head", (long)Packages), ("@from", (long)from));
            while (reader.Read())
            {
                rows++;
            }
        });
        Assert.Equal(expected, rows);
        Assert.InRange(steps, 0, 5_000);
    }

    /// <summary>Steps of SQLite's machine, in hundreds.</summary>
    private int StepsOf(Action action)
    {
        const int Each = 100;
        var hundreds = 0;
        SQLitePCL.raw.sqlite3_progress_handler(_session.Handle, Each, _ => ++hundreds < 0 ? 1 : 0, null);
        action();
        SQLitePCL.raw.sqlite3_progress_handler(_session.Handle, 0, null, null);
        return hundreds * Each;
    }
}
