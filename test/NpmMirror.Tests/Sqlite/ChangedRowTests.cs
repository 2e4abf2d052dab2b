using Microsoft.Data.Sqlite;
using NpmMirror.Log;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

/// <summary>What is told of a row that another program changed, and what a write does with it.</summary>
public sealed class ChangedRowTests : IDisposable
{
    private static readonly PackageName Odd = PackageName.Parse("odd");
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly TempFolder _folder = new();
    private readonly FakeClock _clock = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Claim("Rows that no listing gives are told, each once, however many pages of rows lie before them",
        Red = "the next page of `SqliteUnlisted` begins after another column; the flag of a removal is not looked at: red each")]
    [Fact]
    public async Task Rows_that_no_listing_gives_are_told_after_any_number_of_others()
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(Commit(Odd, 0), Cancelled);
        Execute($"""
            WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {(2 * SqlitePages.MarksMax) + 10})
                INSERT INTO tarballs (package, file, version, state, size) SELECT CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END, printf('%05d.tgz', i), '1.0.0', 2, 0 FROM n;
            INSERT INTO tarballs (package, file, version, state, size) VALUES ('no name', 'x.tgz', '1.0.0', 2, 0);
            WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i - 1 FROM n WHERE i > -{SqlitePages.MarksMax})
                INSERT INTO log SELECT i, 1, 1, 0, 'Test', 0, 0, NULL, x'', x'', NULL FROM n;
            INSERT INTO queue (name, priority, due_at, queued_at, is_deleted_row, attempts, ticket, has_blind) VALUES ('No Name', 1, 0, 0, 0, 0, 1, 0);
            UPDATE packages SET is_removed = 7;
            """);
        var told = await store.ListUnlistedAsync(Cancelled).ToListAsync(Cancelled);
        Assert.Equal([("packages", "is_removed"), ("queue", "name"), ("tarballs", "package")], told.Where(damage => damage.Table != "log").Select(damage => (damage.Table, damage.Column)));
        Assert.Equal("“no name” x.tgz", told.Single(damage => damage.Table == "tarballs").Key);
        Assert.Equal(Enumerable.Range(-SqlitePages.MarksMax, SqlitePages.MarksMax + 1).Select(i => $"{i}"), told.Where(damage => damage.Table == "log").Select(damage => damage.Key));
    }

    [Fact]
    public async Task A_list_goes_on_after_a_name_of_bytes()
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(Commit(Odd, 0), Cancelled);

        // The first name of bytes ends the first page.
        Execute($"""
            WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {SqlitePages.MarksMax + 2})
                INSERT INTO packages (name, generation, last_position, is_removed, first_seen_at, stored_at, raw_size, document_sha256, package_index)
                SELECT CASE WHEN i < {SqlitePages.MarksMax - 1} THEN printf('p%05d', i) ELSE CAST(printf('p%05d', i) AS BLOB) END, 1, 0, 0, 0, 0, 0, zeroblob(32), x'' FROM n;
            """);
        string[] expected = ["odd", .. Enumerable.Range(1, SqlitePages.MarksMax - 2).Select(i => $"p{i:d5}")];
        Assert.Equal(expected, await store.Packages.ListMarksAsync("", isRemoved: false, Cancelled).Take(5000).Select(mark => mark.Name.Value).ToListAsync(Cancelled));
    }

    [Claim("A page of a listing ends where 4 MB are reached, however few rows that are",
        Red = "`SqlitePages` does not add up the bytes, or looks at the number of rows alone: red each")]
    [Fact]
    public async Task A_page_of_the_log_holds_no_more_than_some_megabytes()
    {
        await using var store = await OpenAsync();
        var commit = Commit(Odd, 0);
        await store.Packages.CommitAsync(commit with { Events = [.. Enumerable.Range(0, 3).Select(i => commit.Events[0] with { Ordinal = i, Payload = new byte[3 * 1024 * 1024] })] }, Cancelled);
        var payloads = new List<bool>();
        await foreach (var row in store.Log.ReadLogAsync(LogPosition.Zero, Cancelled))
        {
            payloads.Add(row.Payload is not null);
            if (payloads.Count == 1)
            {
                // What was read already is told as it was; what comes with a later page is gone.
                await store.Packages.PurgeAsync(new PackagePurge(Odd, 1, [new(1), new(2), new(3)], []), Cancelled);
            }
        }

        Assert.Equal([true, true, false], payloads);
    }

    [Claim("An item of the queue whose name is none is taken away by the next take, and counted no more",
        Red = "`SqliteQueue.TakeAsync` does not delete it, or counts one more: red each")]
    [Fact]
    public async Task An_item_without_a_valid_name_is_taken_away_and_counted_no_more()
    {
        await using var store = await OpenAsync();
        var now = _clock.GetUtcNow();
        await store.Queue.EnqueueAsync([Item("a", now), Item("b", now), Item("odd", now)], null, Cancelled);
        Execute("UPDATE queue SET name = 'No Name' WHERE name = 'odd'");
        Assert.Equal(["a", "b"], (await store.Queue.TakeAsync(10, Minute, Cancelled)).Select(lease => lease.Item.Name.Value));
        Assert.Equal(2, (await store.CountAsync(Cancelled)).Queued);
        Assert.Equal(2, Count("queue"));
    }

    [Fact]
    public async Task An_item_whose_priority_and_time_are_impossible_is_due_at_once()
    {
        await using var store = await OpenAsync();
        await store.Queue.EnqueueAsync([Item("odd", _clock.GetUtcNow())], null, Cancelled);
        Execute("UPDATE queue SET priority = 7, due_at = 9000000000000000000");
        Assert.Equal("odd", Assert.Single(await store.Queue.TakeAsync(10, Minute, Cancelled)).Item.Name.Value);
    }

    [Claim("A removal that cannot be read is damage, and the flag that lists go by is believed meanwhile",
        Red = "`Enum.TryParse` alone decides, or the flag is not looked at: red each")]
    [Theory]
    [InlineData("'1'", 1, RemovalKind.Gone)]
    [InlineData("' Blocked '", 1, RemovalKind.Gone)]
    [InlineData("'nonsense'", 0, null)]
    [InlineData("'nonsense'", 2, null)]
    public async Task A_removal_that_cannot_be_read_is_told(string removal, int flag, RemovalKind? believed)
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(Commit(Odd, 0), Cancelled);
        Execute($"UPDATE packages SET removal = {removal}, is_removed = {flag}");
        var row = (await store.Packages.FindAsync(Odd, Cancelled))!;
        Assert.Equal((believed, "packages", "removal", Odd), (row.Facts.Removal, row.Damage!.Table, row.Damage.Column, row.Damage.Package));
        Assert.True(row.Index.IsEmpty);
    }

    [Theory]
    [InlineData("DELETE FROM documents", "documents", "bytes")]
    [InlineData("UPDATE packages SET raw_size = -1; DELETE FROM documents", "packages", "raw_size")]
    public async Task A_document_that_is_not_there_is_damage_of_its_package(string change, string table, string column)
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(Commit(Odd, 0), Cancelled);
        Execute(change);
        var row = (await store.Packages.FindAsync(Odd, Cancelled))!;
        Assert.Equal((table, column, Odd), (row.Damage!.Table, row.Damage.Column, row.Damage.Package));
        Assert.True(row.Index.IsEmpty);
        Assert.Contains("odd", (await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.ReadAsync(Odd, Cancelled))).Message, StringComparison.Ordinal);
    }

    [Claim("An archived document whose row is damaged is told as damage, and not given out",
        Red = "`SqlitePackages.ReadArchivedAsync` does not look at the damage")]
    [Theory]
    [InlineData("codec = 'nonsense'")]
    [InlineData("bytes = 7")]
    [InlineData("raw_size = -1")]
    public async Task An_archived_document_whose_row_is_damaged_is_not_given_out(string change)
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(Commit(Odd, 0), Cancelled);
        await store.Packages.CommitAsync(Commit(Odd, 1, "{ }") with { ArchivesPrevious = true }, Cancelled);
        Execute($"UPDATE archive SET {change}");
        var damage = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.ReadArchivedAsync(Odd, Digest.OfSha256("{}"u8), Cancelled));
        Assert.Equal(MirrorFault.StoreDamaged, damage.Fault);
        Assert.Contains("odd", damage.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_commit_archives_the_document_of_its_own_package_only()
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(Commit(Odd, 0), Cancelled);
        await store.Packages.CommitAsync(Commit(PackageName.Parse("other"), 0), Cancelled);
        await store.Packages.CommitAsync(Commit(Odd, 1, "{ }") with { ArchivesPrevious = true }, Cancelled);
        Assert.Equal(1, Count("archive"));
    }

    [Fact]
    public async Task A_row_whose_numbers_are_impossible_is_written_anew_and_counted_once()
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(Commit(Odd, 0), Cancelled);
        var before = await store.CountAsync(Cancelled);
        Execute("UPDATE packages SET generation = 0, last_position = -9, is_removed = 2");
        var written = await store.Packages.CommitAsync(Commit(Odd, 1) with { Events = [] }, Cancelled);
        Assert.Equal(new CommitResult(true, 2, new LogPosition(1)), written);
        Assert.Equal(before, await store.CountAsync(Cancelled));
    }

    [Claim("The log goes on from the head that was kept, whatever another program makes of its last row",
        Red = "`SqliteLog.ReadHead` believes the last row of the log where both are at one position")]
    [Fact]
    public async Task The_log_goes_on_from_the_kept_head_when_its_last_row_was_changed()
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(Commit(Odd, 0), Cancelled);
        var head = await store.Log.ReadHeadAsync(Cancelled);
        Execute("UPDATE log SET hash = zeroblob(32)");
        Assert.Equal(head, await store.Log.ReadHeadAsync(Cancelled));
        await store.Packages.CommitAsync(Commit(PackageName.Parse("next"), 0), Cancelled);
        var next = await store.Log.ReadLogAsync(head.Position, Cancelled).SingleAsync(Cancelled);
        Assert.Equal(ChainHash.Next(head.Hash, next), next.Hash);
    }

    private static QueueItem Item(string name, DateTimeOffset now) => new() { Name = PackageName.Parse(name), Priority = QueuePriority.Change, DueAt = now, QueuedAt = now };

    private static PackageCommit Commit(PackageName name, long generation, string document = "{}") => new()
    {
        Name = name,
        ExpectedGeneration = generation,
        Document = DocumentCodecs.Encode(System.Text.Encoding.UTF8.GetBytes(document), DocumentCodec.Identity),
        Index = new byte[] { 1, 2, 3 },
        Facts = new PackageFacts { FirstSeenAt = DateTimeOffset.UnixEpoch, StoredAt = DateTimeOffset.UnixEpoch },
        Events = [new PendingEvent { Ordinal = 0, Type = "Test", SeenAt = DateTimeOffset.UnixEpoch, Payload = "{}"u8.ToArray() }],
    };

    private async Task<SqliteStore> OpenAsync()
    {
        var store = new SqliteStore(_folder.File("mirror.sqlite"), _clock);
        await store.OpenAsync(Cancelled);
        return store;
    }

    private void Execute(string sql) => Run(sql, command => command.ExecuteNonQuery());

    private long Count(string table) => Run($"SELECT count(*) FROM {table}", command => (long)command.ExecuteScalar()!);

    private T Run<T>(string sql, Func<SqliteCommand, T> run)
    {
        using var connection = new SqliteConnection($"Data Source={_folder.File("mirror.sqlite")};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return run(command);
    }
}
