using System.Globalization;
using System.Text;
using NpmMirror.Log;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Tests.Redis;

/// <summary>Servers that are away, refuse, end in the middle, or lose things; and writers that died between two steps.</summary>
[Trait("Duration", "long")]
public sealed class RedisTroubleTests(RedisServer server) : IClassFixture<RedisServer>
{
    private const string Secret = "s3cr3t-w0rd";
    private readonly string _location = server.NewLocation();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private string Prefix => _location[(_location.IndexOf('=', StringComparison.Ordinal) + 1)..];

    [Claim("Redis that is away, asks for a password, refuses it or the user's rights is told in one sentence without the password",
        With = [nameof(Says_which_password_is_wanted), nameof(Says_that_the_user_lacks_rights)])]
    [Fact]
    public async Task Says_that_the_server_is_away()
    {
        var failure = await FailsToOpenAsync(string.Create(CultureInfo.InvariantCulture, $"redis://u:{Secret}@127.0.0.1:{FreePort.Find()}/"));
        Assert.Equal((MirrorFault.StoreUnavailable, true), (failure.Fault, failure.IsTransient));
        Assert.Contains("cannot be reached", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_which_password_is_wanted()
    {
        await using var guarded = new RedisServer(["--requirepass", Secret]);
        await guarded.InitializeAsync();
        Assert.Contains("asks for a password", (await FailsToOpenAsync(At(guarded, ""))).Message, StringComparison.Ordinal);
        Assert.Contains("refuses this user and password", (await FailsToOpenAsync(At(guarded, ":wrong@"))).Message, StringComparison.Ordinal);
        Assert.Contains("refuses this user and password", (await FailsToOpenAsync(At(guarded, $"nobody:{Secret}@"))).Message, StringComparison.Ordinal);
        await using var store = RedisStores.Create(At(guarded, $":{Secret}@"));
        await store.OpenAsync(Cancelled);
        Assert.DoesNotContain(Secret, store.Location, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_that_there_is_no_database_of_this_number()
    {
        var failure = await FailsToOpenAsync(string.Create(CultureInfo.InvariantCulture, $"redis://127.0.0.1:{server.Port}/99"));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains("has no database of this number", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_that_the_user_lacks_rights()
    {
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port},allowAdmin=true");
        foreach (var (user, rights) in new[] { ("reader", "~* +@read +@connection +client +info"), ("elsewhere", "~other:* +@all"), ("mirror", $"~{Prefix}* ~{{{Prefix}* +@all -@dangerous +info") })
        {
            await admin.GetDatabase().ExecuteAsync("ACL", ["SETUSER", user, "on", $">{Secret}", .. rights.Split(' ')]);
        }

        Assert.Contains("lacks rights that a mirror needs", (await FailsToOpenAsync(_location.Replace("//", $"//reader:{Secret}@", StringComparison.Ordinal))).Message, StringComparison.Ordinal);
        var failure = await FailsToOpenAsync(_location.Replace("//", $"//elsewhere:{Secret}@", StringComparison.Ordinal));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);

        var log = new CollectedLog();
        await using var store = RedisStores.Create(_location.Replace("//", $"//mirror:{Secret}@", StringComparison.Ordinal), loggers: log.Factory);
        await store.OpenAsync(Cancelled);
        Assert.True((await store.Packages.CommitAsync(NewCommit("a", 0), Cancelled)).IsCommitted);
        Assert.Contains("its settings cannot be asked for", Assert.Single(log.Lines), StringComparison.Ordinal);
    }

    [Claim("Redis that may lose what was acknowledged is told in one warning at the start")]
    [Fact]
    public async Task Warns_once_of_a_server_that_may_lose_acknowledged_writes()
    {
        await using var careless = new RedisServer(["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]);
        await careless.InitializeAsync();
        Assert.Matches("appendonly is no.*maxmemory-policy is allkeys-lru", Assert.Single(await WarningsAsync(careless)));
        await using var slow = new RedisServer(["--appendfsync", "no"]);
        await slow.InitializeAsync();
        Assert.Contains("appendfsync is no", Assert.Single(await WarningsAsync(slow)), StringComparison.Ordinal);
        Assert.Empty(await WarningsAsync(server));
    }

    [Fact]
    public async Task Refuses_a_store_that_a_newer_program_wrote()
    {
        await using var other = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port}");
        await other.GetDatabase().StringSetAsync($"{{{Prefix}mirror}}/schema", 3);
        Assert.Equal(MirrorFault.StoreSchema, (await FailsToOpenAsync(_location)).Fault);
    }

    [Fact]
    public async Task Takes_over_a_store_that_an_older_program_wrote()
    {
        await using var other = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port}");
        await other.GetDatabase().StringSetAsync($"{{{Prefix}mirror}}/schema", 1);
        await using var store = RedisStores.Create(_location);
        await store.OpenAsync(Cancelled);
        Assert.Equal(2, await other.GetDatabase().StringGetAsync($"{{{Prefix}mirror}}/schema"));
    }

    [Fact]
    public async Task Says_that_another_kind_of_value_is_in_its_place()
    {
        await using var other = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port}");
        await other.GetDatabase().ListRightPushAsync($"{{{Prefix}mirror}}/schema", "x");
        var failure = await FailsToOpenAsync(_location);
        Assert.Equal(MirrorFault.StoreDamaged, failure.Fault);
        Assert.Contains("a prefix or a database of its own", failure.Message, StringComparison.Ordinal);
    }

    [Claim("A full Redis goes on serving what it holds, says so, and takes writes again by itself")]
    [Fact]
    public async Task Reads_on_where_the_server_is_full()
    {
        await using var small = new RedisServer();
        await small.InitializeAsync();
        await using var store = RedisStores.Create(small.NewLocation());
        await store.OpenAsync(Cancelled);
        await store.Packages.CommitAsync(NewCommit("a", 0), Cancelled);
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{small.Port},allowAdmin=true");
        await admin.GetServers()[0].ConfigSetAsync("maxmemory", "1mb");
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.CommitAsync(NewCommit("b", 0), Cancelled));
        Assert.Equal((MirrorFault.StoreReadOnly, true), (failure.Fault, failure.IsTransient));
        Assert.Contains("is full", await store.CheckWritableAsync(Cancelled), StringComparison.Ordinal);
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("a"), Cancelled));
        Assert.NotNull(await store.Packages.FindAsync(PackageName.Parse("a"), Cancelled));
        await admin.GetServers()[0].ConfigSetAsync("maxmemory", "0");
        Assert.True((await store.Packages.CommitAsync(NewCommit("b", 0), Cancelled)).IsCommitted);
    }

    [Fact]
    public async Task Reads_on_where_the_server_cannot_write_its_disk()
    {
        await using var broken = new RedisServer(["--save", "3600 1"]);
        await broken.InitializeAsync();
        await using var store = RedisStores.Create(broken.NewLocation());
        await store.OpenAsync(Cancelled);
        await store.Packages.CommitAsync(NewCommit("a", 0), Cancelled);
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{broken.Port},allowAdmin=true");
        Directory.Delete(broken.Folder, recursive: true);
        await admin.GetDatabase().ExecuteAsync("BGSAVE");
        await Eventually.Async(async () => await store.CheckWritableAsync(Cancelled) is { } problem && problem.Contains("cannot write its disk", StringComparison.Ordinal));
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.CommitAsync(NewCommit("b", 0), Cancelled));
        Assert.Equal((MirrorFault.StoreReadOnly, true), (failure.Fault, failure.IsTransient));
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("a"), Cancelled));
        await admin.GetServers()[0].ConfigSetAsync("stop-writes-on-bgsave-error", "no");
        Assert.True((await store.Packages.CommitAsync(NewCommit("b", 0), Cancelled)).IsCommitted);
        Directory.CreateDirectory(broken.Folder);
    }

    [Claim("Redis that was stopped and started again is found again, with all that was acknowledged under appendfsync always",
        With = [nameof(Finds_the_server_again)])]
    [Fact]
    public async Task Keeps_acknowledged_writes_when_the_server_is_killed()
    {
        await using var safe = new RedisServer(["--appendfsync", "always"]);
        await safe.InitializeAsync();
        var location = safe.NewLocation();
        await using var store = RedisStores.Create(location);
        await store.OpenAsync(Cancelled);
        var acknowledged = new List<string>();
        var writing = WriteAsync();
        await Eventually.Async(() => Count() >= 50);
        await safe.KillAsync();
        await Assert.ThrowsAsync<MirrorException>(() => writing);
        await safe.StartAsync();

        await using var again = RedisStores.Create(location);
        await again.OpenAsync(Cancelled);
        while (await again.Log.NumberEventsAsync(Cancelled) > 0)
        {
            // More may wait.
        }

        var held = await again.Packages.ListAsync(null, false, Cancelled).Select(row => row.Name.Value).ToListAsync(Cancelled);
        Assert.Subset(held.ToHashSet(), acknowledged.ToHashSet());
        AssertChain(await again.Log.ReadLogAsync(LogPosition.Zero, Cancelled).ToListAsync(Cancelled), held.Count);

        async Task WriteAsync()
        {
            for (var i = 0; ; i++)
            {
                await store.Packages.CommitAsync(NewCommit($"p{i}", 0), Cancelled);
                lock (acknowledged)
                {
                    acknowledged.Add($"p{i}");
                }
            }
        }

        int Count()
        {
            lock (acknowledged)
            {
                return acknowledged.Count;
            }
        }
    }

    [Fact]
    public async Task Finds_the_server_again()
    {
        await using var own = new RedisServer();
        await own.InitializeAsync();
        await using var store = RedisStores.Create(own.NewLocation());
        await store.OpenAsync(Cancelled);
        await store.Packages.CommitAsync(NewCommit("a", 0), Cancelled);
        await own.KillAsync();
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.FindAsync(PackageName.Parse("a"), Cancelled));
        Assert.Equal((MirrorFault.StoreUnavailable, true), (failure.Fault, failure.IsTransient));
        await own.StartAsync();
        await Eventually.Async(async () =>
        {
            try
            {
                return await store.Packages.FindAsync(PackageName.Parse("b"), Cancelled) is null;
            }
            catch (MirrorException)
            {
                return false;
            }
        });
        Assert.True((await store.Packages.CommitAsync(NewCommit("b", 0), Cancelled)).IsCommitted);
    }

    [Claim("A writer of Redis that dies between a package, its rows of the log and their showing leaves nothing lost, nothing twice, and nothing half shown",
        With = [nameof(Shows_the_log_only_when_packages_know_their_positions)],
        Red = "`RedisCommits` notes no package before it writes it: the first was red; the log's end is shown before the packages are told: the second")]
    [Fact]
    public async Task Numbers_events_of_a_dead_writer()
    {
        await using var store = RedisStores.Create(_location);
        await store.OpenAsync(Cancelled);
        await using var other = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port}");

        // No process can append to the log: the state that a writer leaves which dies after the package.
        await other.GetDatabase().StringSetAsync($"{{{Prefix}log}}/head", "in the way");
        var result = await store.Packages.CommitAsync(NewCommit("a", 0), Cancelled);
        Assert.Equal(new CommitResult(true, 1, LogPosition.Zero), result);
        Assert.Equal(LogPosition.Zero, (await store.Packages.FindAsync(PackageName.Parse("a"), Cancelled))!.LastPosition);

        await other.GetDatabase().KeyDeleteAsync($"{{{Prefix}log}}/head");
        await using var next = RedisStores.Create(_location);
        await next.OpenAsync(Cancelled);
        Assert.Equal(2, await next.Log.NumberEventsAsync(Cancelled));
        Assert.Equal(0, await next.Log.NumberEventsAsync(Cancelled));
        Assert.Equal(new LogPosition(2), (await store.Packages.FindAsync(PackageName.Parse("a"), Cancelled))!.LastPosition);
        AssertChain(await store.Log.ReadLogAsync(LogPosition.Zero, Cancelled).ToListAsync(Cancelled), 1);
    }

    [Fact]
    public async Task Shows_the_log_only_when_packages_know_their_positions()
    {
        await using var store = RedisStores.Create(_location);
        await store.OpenAsync(Cancelled);
        await using var other = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port}");

        // The package cannot learn its positions: the state that a writer leaves which dies after the log.
        await other.GetDatabase().StringSetAsync($"{{{Prefix}module:a}}/history", "in the way");
        Assert.True((await store.Packages.CommitAsync(NewCommit("a", 0), Cancelled)).IsCommitted);
        Assert.Equal(LogPosition.Zero, (await store.Log.ReadHeadAsync(Cancelled)).Position);
        Assert.Empty(await store.Log.ReadLogAsync(LogPosition.Zero, Cancelled).ToListAsync(Cancelled));

        await other.GetDatabase().KeyDeleteAsync($"{{{Prefix}module:a}}/history");
        await using var next = RedisStores.Create(_location);
        await next.OpenAsync(Cancelled);
        Assert.True((await next.Packages.CommitAsync(NewCommit("b", 0), Cancelled)).IsCommitted);
        await next.Log.NumberEventsAsync(Cancelled);
        var rows = await next.Log.ReadLogAsync(LogPosition.Zero, Cancelled).ToListAsync(Cancelled);
        AssertChain(rows, 2);
        Assert.Equal(["a", "a", "b", "b"], rows.Select(row => row.Package.Value));
        Assert.Equal(["a", "b"], await next.Packages.ListChangesAsync(LogPosition.Zero, false, Cancelled).Select(row => row.Name.Value).ToListAsync(Cancelled));
        Assert.Equal(2, await next.Log.ReadHistoryAsync(PackageName.Parse("a"), Cancelled).CountAsync(Cancelled));
    }

    private static string At(RedisServer server, string who) => string.Create(CultureInfo.InvariantCulture, $"redis://{who}127.0.0.1:{server.Port}/");

    private static async Task<MirrorException> FailsToOpenAsync(string location)
    {
        await using var store = RedisStores.Create(location);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancelled));
        Assert.DoesNotContain(Secret, failure.ToString(), StringComparison.Ordinal);
        return failure;
    }

    private static async Task<IReadOnlyCollection<string>> WarningsAsync(RedisServer server)
    {
        var log = new CollectedLog();
        await using var store = RedisStores.Create(server.NewLocation(), loggers: log.Factory);
        await store.OpenAsync(Cancelled);
        return log.Lines;
    }

    // Two events a package, each once, in one chain.
    private static void AssertChain(List<LogRow> rows, int packages)
    {
        Assert.Equal(packages * 2, rows.Count);
        Assert.Equal(rows.Count, rows.Select(row => (row.Package, row.Ordinal)).Distinct().Count());
        var hash = ChainHash.Genesis;
        foreach (var row in rows)
        {
            hash = ChainHash.Next(hash, row);
            Assert.Equal(hash, row.Hash);
        }
    }

    internal static PackageCommit NewCommit(string name, long expectedGeneration, int events = 2)
    {
        var bytes = Encoding.UTF8.GetBytes("{}");
        return new PackageCommit
        {
            Name = PackageName.Parse(name),
            ExpectedGeneration = expectedGeneration,
            Facts = new PackageFacts { FirstSeenAt = DateTimeOffset.UnixEpoch, StoredAt = DateTimeOffset.UnixEpoch },
            Document = new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes)),
            Events = [.. Enumerable.Range(0, events).Select(ordinal => new PendingEvent { Ordinal = ordinal, Type = EventTypes.MetadataChanged, SeenAt = DateTimeOffset.UnixEpoch, Payload = "{}"u8.ToArray() })],
        };
    }
}
