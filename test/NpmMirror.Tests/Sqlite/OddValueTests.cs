using Microsoft.Data.Sqlite;
using NpmMirror.Log;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

/// <summary>Values that no program of ours writes, in every column of every table: a reader says so of that row, and all others are read as before.</summary>
[Trait("Duration", "long")]
public sealed class OddValueTests : IDisposable
{
    private static readonly string[] Tables = ["packages", "documents", "archive", "log", "queue", "tarballs", "access", "notes", "kept", "leases", "counts"];

    private static readonly string[] OddValues = ["-9223372036854775808", "9223372036854775807", "-1", "7", "1.5", "'nonsense'", "''", "x''", "x'00ff'", "NULL"];

    private static readonly PackageName Odd = PackageName.Parse("odd");

    private readonly TempFolder _folder = new();

    private readonly FakeClock _clock = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private string Database => _folder.File("mirror.sqlite");

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> AllTables() => [.. Tables];

    [Claim("An odd value in any column of any table stops no reader, no list, no take and no commit of others; a commit writes the row anew",
        With = [nameof(A_fetch_writes_any_package_row_anew), nameof(A_queued_item_is_taken_with_any_row)],
        Red = "the readers of before, which took each column for what it should be: 9 of 12 were red; `FreePositions` not called: the first")]
    [Theory]
    [MemberData(nameof(AllTables))]
    public async Task Every_reader_goes_on_past_an_odd_value_in_any_column(string table)
    {
        var template = await FillAsync();
        foreach (var (column, value) in Cases(table))
        {
            if (!TryTamper(template, table, column, value))
            {
                continue;
            }

            var what = $"{table}.{column} = {value}";
            await using var store = await OpenAsync();
            foreach (var (reader, read) in Readers(store))
            {
                await GoesOnAsync(read, $"{reader} with {what}");
            }

            await OthersAreThereAsync(store, what);
            await WritesGoOnAsync(store, what);
        }
    }

    [Fact]
    public async Task A_fetch_writes_any_package_row_anew()
    {
        var template = await FillAsync();
        foreach (var (column, value) in Cases("packages").Concat(Cases("documents")))
        {
            if (column == "name" || !TryTamper(template, column is "codec" or "bytes" or "package" or "is_pinned" ? "documents" : "packages", column, value))
            {
                continue;
            }

            var what = $"{column} = {value}";
            await using var store = await OpenAsync();
            var row = await store.Packages.FindAsync(Odd, Cancelled);
            Assert.True(row is not null, what);
            var result = await store.Packages.CommitAsync(Commit(Odd, row.Generation), Cancelled);
            Assert.True(result.IsCommitted, what);
            var stored = await store.Packages.ReadAsync(Odd, Cancelled);
            Assert.True(stored is { Row.Facts.Removal: null, Document.RawSizeBytes: 2 }, what);
            Assert.True(result.Generation == stored.Row.Generation && result.LastPosition == stored.Row.LastPosition, what);
            Assert.Contains(Odd, await store.Packages.ListMarksAsync("", isRemoved: false, Cancelled).Select(mark => mark.Name).ToListAsync(Cancelled));
            Assert.Contains(Odd, await store.Packages.ListChangesAsync(LogPosition.Zero, isDescending: false, Cancelled).Select(one => one.Name).ToListAsync(Cancelled));
        }
    }

    [Fact]
    public async Task A_queued_item_is_taken_with_any_row()
    {
        var template = await FillAsync();
        foreach (var (column, value) in Cases("queue"))
        {
            if (!TryTamper(template, "queue", column, value))
            {
                continue;
            }

            await using var store = await OpenAsync();
            _clock.Advance(StoredMoments.LongestPause + TimeSpan.FromSeconds(1));
            var taken = await store.Queue.TakeAsync(10, TimeSpan.FromSeconds(10), Cancelled);
            // A row whose name is none belongs to no package.
            Assert.True(taken.Count == 3 || (column == "name" && taken.Count == 2), $"{column} = {value}: {string.Join(' ', taken.Select(lease => lease.Item.Name))}");
            foreach (var lease in taken)
            {
                Assert.True(await store.Queue.CompleteAsync(lease, null, Cancelled), $"{column} = {value}");
            }

            Assert.True(await store.Queue.NextDueAsync(Cancelled) is null, $"{column} = {value} is left, and would be taken again and again");
        }
    }

    private static async Task GoesOnAsync(Func<Task> read, string what)
    {
        try
        {
            await read();
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            // Of this row only, and it says which.
            Assert.True(damage.Message.Contains("odd", StringComparison.Ordinal), $"{what}: {damage.Message}");
        }
        catch (Exception e) when (e is not MirrorException)
        {
            Assert.Fail($"{what}: {e}");
        }
    }

    private static IEnumerable<(string Name, Func<Task> Read)> Readers(SqliteStore store)
    {
        yield return ("count", () => store.CountAsync(Cancelled).AsTask());
        yield return ("find", () => store.Packages.FindAsync(Odd, Cancelled).AsTask());
        yield return ("read", () => store.Packages.ReadAsync(Odd, Cancelled).AsTask());
        yield return ("archive", () => store.Packages.ReadArchivedAsync(Odd, Digest.OfSha256("{}"u8), Cancelled).AsTask());
        yield return ("queued", () => store.Queue.FindQueuedAsync(Odd, Cancelled).AsTask());
        yield return ("due", () => store.Queue.NextDueAsync(Cancelled).AsTask());
        yield return ("tarball", () => store.Tarballs.FindTarballAsync(Odd, "odd-1.0.0.tgz", Cancelled).AsTask());
        yield return ("cursor", () => store.Notes.FindNoteAsync("odd", Cancelled).AsTask());
        yield return ("head", () => store.Log.ReadHeadAsync(Cancelled).AsTask());
    }

    // Lists tell all others, for each damaged row.
    private static async Task OthersAreThereAsync(SqliteStore store, string what)
    {
        string[] others = ["after", "before"];
        await HasAsync(store.Packages.ListAsync(null, isRemoved: false, Cancelled).Select(row => row.Name.Value), "list");
        await HasAsync(store.Packages.ListMarksAsync("", isRemoved: false, Cancelled).Select(mark => mark.Name.Value), "marks");
        await store.Packages.ListMarksAsync("", isRemoved: true, Cancelled).CountAsync(Cancelled);
        await HasAsync(store.Packages.ListChangesAsync(LogPosition.Zero, isDescending: false, Cancelled).Select(row => row.Name.Value), "changes");
        await HasAsync(store.Queue.ListQueuedAsync(Cancelled).Select(item => item.Name.Value), "queue");
        await HasAsync(store.Tarballs.ListTarballsAsync(null, Cancelled).Select(row => row.Package.Value), "tarballs");
        await store.Tarballs.ListTarballsAsync(Odd, Cancelled).CountAsync(Cancelled);
        await store.Tarballs.ListAccessAsync(Odd, null, Cancelled).CountAsync(Cancelled);
        Assert.True(await store.Tarballs.ListAccessAsync(PackageName.Parse("before"), null, Cancelled).CountAsync(Cancelled) == 1, what);
        await HasAsync(store.Notes.ListNotesAsync("", Cancelled).Select(mark => mark.Key), "notes");
        await HasAsync(store.Log.ReadLogAsync(LogPosition.Zero, Cancelled).Select(row => row.Package.Value), "log");
        await store.Log.ReadHistoryAsync(Odd, Cancelled).CountAsync(Cancelled);

        async Task HasAsync(IAsyncEnumerable<string> names, string list)
        {
            var told = await names.ToListAsync(Cancelled);
            Assert.True(others.All(told.Contains), $"{list} with {what}: {string.Join(' ', told)}");
            Assert.True(told.Count < 20, $"{list} with {what} does not end");
        }
    }

    private async Task WritesGoOnAsync(SqliteStore store, string what)
    {
        var now = DateTimeOffset.UnixEpoch;
        await store.Queue.EnqueueAsync([Item(Odd)], null, Cancelled);
        await store.Queue.TakeAsync(10, TimeSpan.FromSeconds(10), Cancelled);
        await store.Tarballs.StampServedAsync([new TarballServed(Odd, "odd-1.0.0.tgz", now)], Cancelled);
        await store.Tarballs.StampVerifiedAsync([new TarballVerified(Odd, "odd-1.0.0.tgz", Sha512(2), now)], Cancelled);
        await store.Tarballs.RecordAccessAsync([new TarballAccess(Odd, "odd-1.0.0.tgz", "10.0.0.1", new DateOnly(2030, 1, 1), 1)], Cancelled);
        await store.Tarballs.ForgetAccessAsync(new DateOnly(2029, 1, 1), Cancelled);
        await store.Leases.TryHoldLeaseAsync("odd", "me", TimeSpan.FromSeconds(10), Cancelled);
        var added = await store.Packages.CommitAsync(Commit(PackageName.Parse("added"), 0), Cancelled);
        Assert.True(added.IsCommitted, what);
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("added"), Cancelled));
    }

    private async Task<byte[]> FillAsync()
    {
        await using (var store = await OpenAsync())
        {
            foreach (var (name, number) in new[] { ("after", 1), ("odd", 2), ("before", 3) })
            {
                var package = PackageName.Parse(name);
                await store.Packages.CommitAsync(Commit(package, 0), Cancelled);
                // Archived, and another in its place.
                await store.Packages.CommitAsync(Commit(package, 1) with { ArchivesPrevious = true }, Cancelled);
                await store.Queue.EnqueueAsync([Item(package)], null, Cancelled);
                await store.Tarballs.PutTarballAsync(new TarballRow { Package = package, File = $"{name}-1.0.0.tgz", Version = "1.0.0", State = TarballState.Held, Sha512 = Sha512(number), SizeBytes = 10, VerifiedAt = DateTimeOffset.UnixEpoch, LastServedAt = DateTimeOffset.UnixEpoch }, Cancelled);
                await store.Tarballs.RecordAccessAsync([new TarballAccess(package, $"{name}-1.0.0.tgz", "10.0.0.1", new DateOnly(2029, 12, 1), 1)], Cancelled);
                await store.Notes.SetNoteAsync(name, "value", Cancelled);
                await store.Leases.TryHoldLeaseAsync(name, "other", TimeSpan.FromSeconds(60), Cancelled);
            }
        }

        return await File.ReadAllBytesAsync(Database, Cancelled);
    }

    private static Digest Sha512(int number) => new([.. Enumerable.Repeat((byte)number, 64)]);

    private QueueItem Item(PackageName name) => new() { Name = name, Priority = QueuePriority.Change, DueAt = _clock.GetUtcNow(), QueuedAt = _clock.GetUtcNow() };

    private static PackageCommit Commit(PackageName name, long generation) => new()
    {
        Name = name,
        ExpectedGeneration = generation,
        Document = DocumentCodecs.Encode("{}"u8, DocumentCodec.Identity),
        Index = new byte[] { 1, 2, 3 },
        Facts = new PackageFacts { FirstSeenAt = DateTimeOffset.UnixEpoch, StoredAt = DateTimeOffset.UnixEpoch },
        Events = [new PendingEvent { Ordinal = 0, Type = "MetadataChanged", SeenAt = DateTimeOffset.UnixEpoch, Payload = "{\"members\":[]}"u8.ToArray() }],
    };

    private IEnumerable<(string Column, string Value)> Cases(string table)
    {
        using var connection = Connect();
        using var command = connection.CreateCommand();
        command.CommandText = $"SELECT name FROM pragma_table_info('{table}')";
        using var reader = command.ExecuteReader();
        var columns = new List<string>();
        while (reader.Read())
        {
            columns.Add(reader.GetString(0));
        }

        Assert.NotEmpty(columns);
        return columns.SelectMany(_ => OddValues, (column, value) => (column, value));
    }

    /// <summary>Puts the value into the row of the package <c>odd</c>; false where the table itself refuses it.</summary>
    private bool TryTamper(byte[] template, string table, string column, string value)
    {
        foreach (var file in Directory.GetFiles(Path.GetDirectoryName(Database)!, "mirror.sqlite*"))
        {
            File.Delete(file);
        }

        File.WriteAllBytes(Database, template);
        using var connection = Connect();
        using var command = connection.CreateCommand();
        var row = table switch
        {
            "packages" or "queue" or "leases" => "name = 'odd'",
            "tarballs" or "access" => "package = 'odd'",
            "notes" => "key = 'odd'",
            "counts" => "1",
            "log" => "position = (SELECT max(position) FROM log JOIN packages p ON p.id = package WHERE name = 'odd')",
            _ => "package = (SELECT id FROM packages WHERE name = 'odd')",
        };
        try
        {
            command.CommandText = $"UPDATE {table} SET {column} = {value} WHERE {row}";
            Assert.True(command.ExecuteNonQuery() > 0);
            return true;
        }
        catch (SqliteException)
        {
            return false;
        }
    }

    private SqliteConnection Connect()
    {
        var connection = new SqliteConnection($"Data Source={Database};Pooling=False");
        connection.Open();
        return connection;
    }

    private async Task<SqliteStore> OpenAsync()
    {
        var store = new SqliteStore(Database, _clock);
        await store.OpenAsync(Cancelled);
        return store;
    }
}
