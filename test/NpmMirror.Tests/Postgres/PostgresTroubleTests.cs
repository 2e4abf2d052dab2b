using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Log;
using NpmMirror.Postgres;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;

namespace NpmMirror.Tests.Postgres;

/// <summary>Servers that are away, or let nobody in, or not far enough; databases that are newer or another's.</summary>
public sealed class PostgresTroubleTests(SharedPostgres shared) : IAsyncLifetime
{
    private static int _users;
    private readonly string _schema = PostgresServer.NewSchema();
    private PostgresServer _server = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _server = await shared.GetAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Says_that_the_server_is_away()
    {
        // Taken, and nobody listens.
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        await AssertRefusesAsync(_server.Create(_schema, TimeProvider.System, port: ((IPEndPoint)socket.LocalEndPoint!).Port), MirrorFault.StoreUnavailable, "cannot be reached", isTransient: true);
    }

    [Claim("A PostgreSQL server that is away, a wrong password, a missing database or right, a standby and a newer schema are each told in one sentence, without the password",
        With =
        [
            nameof(Says_that_the_server_is_away),
            nameof(Says_that_a_password_is_wanted),
            nameof(Says_that_the_server_does_not_speak_the_tls_that_is_asked_for),
            nameof(Says_that_there_is_no_such_database),
            nameof(Says_which_right_is_missing_to_make_the_tables),
            nameof(Serves_readable_packages_and_says_why_it_does_not_write),
            nameof(Serves_the_packages_of_a_standby),
            nameof(Refuses_a_schema_that_it_does_not_know),
            $"{nameof(PostgresCliTests)}.{nameof(PostgresCliTests.A_wrong_password_ends_the_start_in_one_sentence_without_it)}",
            $"{nameof(PostgresCliTests)}.{nameof(PostgresCliTests.The_settings_are_shown_without_the_password)}",
        ])]
    [Fact]
    public async Task Says_that_the_password_is_wrong_and_tells_none() =>
        await AssertRefusesAsync(_server.Create(_schema, TimeProvider.System, password: "wr0ng/one"), MirrorFault.Configuration, "does not let the user “npm” in");

    [Fact]
    public async Task Says_that_a_password_is_wanted() =>
        await AssertRefusesAsync(PostgresServer.Create(_server.Location(_schema).Replace($":{Uri.EscapeDataString(PostgresServer.Password)}@", "@", StringComparison.Ordinal), TimeProvider.System), MirrorFault.Configuration, "asks for a password");

    [Fact]
    public async Task Says_that_the_server_does_not_speak_the_tls_that_is_asked_for() =>
        await AssertRefusesAsync(_server.Create(_schema, TimeProvider.System, more: "&sslmode=require"), MirrorFault.Configuration, "does not speak TLS");

    [Fact]
    public async Task Says_that_there_is_no_such_database() =>
        await AssertRefusesAsync(PostgresServer.Create(_server.Location(_schema).Replace("/postgres?", "/elsewhere?", StringComparison.Ordinal), TimeProvider.System), MirrorFault.Configuration, "no such database");

    [Fact]
    public async Task Says_that_a_database_has_another_encoding()
    {
        var database = $"latin_{_schema}";
        await _server.RunAsync($"create database {database} encoding 'LATIN1' locale 'C' locale_provider libc template template0");
        await AssertRefusesAsync(PostgresServer.Create(_server.Location(_schema).Replace("/postgres?", $"/{database}?", StringComparison.Ordinal), TimeProvider.System), MirrorFault.Configuration, "UTF8");
    }

    [Fact]
    public async Task Says_which_right_is_missing_to_make_the_tables()
    {
        var user = await NewUserAsync();
        await AssertRefusesAsync(_server.Create(_schema, TimeProvider.System, user), MirrorFault.Configuration, $"CREATE SCHEMA {_schema}");

        // What an administrator then does is enough.
        await _server.RunAsync($"create schema {_schema} authorization {user}");
        await using var store = _server.Create(_schema, TimeProvider.System, user);
        await store.OpenAsync(Cancellation);
        Assert.Null(await store.CheckWritableAsync(Cancellation));
    }

    [Fact]
    public async Task Serves_readable_packages_and_says_why_it_does_not_write()
    {
        await using (var owner = await OpenAsync())
        {
            await owner.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        }

        var user = await NewUserAsync();
        await _server.RunAsync($"grant usage on schema {_schema} to {user}; grant select on all tables in schema {_schema} to {user}");
        await using var store = _server.Create(_schema, TimeProvider.System, user);
        await store.OpenAsync(Cancellation);
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("express"), Cancellation));
        await AssertWritesNothingAsync(store, user);

        await _server.RunAsync($"grant all on all tables in schema {_schema} to {user}; grant all on all sequences in schema {_schema} to {user}");
        Assert.Null(await store.CheckWritableAsync(Cancellation));
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancellation)).IsCommitted);
    }

    [Fact]
    public async Task Serves_the_packages_of_a_standby()
    {
        await using (var owner = await OpenAsync())
        {
            await owner.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        }

        // A server that takes no writes answers as a standby does.
        var user = await NewUserAsync();
        await _server.RunAsync($"grant {PostgresServer.User} to {user}; alter role {user} set default_transaction_read_only = on");
        await using var store = _server.Create(_schema, TimeProvider.System, user);
        await store.OpenAsync(Cancellation);
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("express"), Cancellation));
        await AssertWritesNothingAsync(store, "standby");
    }

    [Trait("Duration", "long")]
    [Fact]
    public async Task Reads_on_when_the_disk_is_full_and_writes_again_when_there_is_room()
    {
        using var disk = SmallDisk.Mount(megabytes: 16);
        await using var server = await PostgresServer.StartNewAsync();
        Directory.CreateDirectory(disk.File("tables"));
        await PostgresServer.OwnAsync(disk.Path);
        await server.RunAsync($"create tablespace small location '{disk.File("tables")}'");
        await server.RunAsync($"alter role {PostgresServer.User} set default_tablespace = small");
        await using var store = server.Create(_schema, TimeProvider.System);
        await store.OpenAsync(Cancellation);
        await store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        disk.Fill();
        var bytes = new byte[2_000_000];
        new Random(1).NextBytes(bytes);
        var large = SecondProcess.Commit("large") with { Document = new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes)) };
        var e = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.CommitAsync(large, Cancellation));
        Assert.Equal((MirrorFault.StoreReadOnly, true), (e.Fault, e.IsTransient));
        Assert.Contains("is full", e.Message, StringComparison.Ordinal);
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("express"), Cancellation));
        disk.MakeRoom();
        Assert.True((await store.Packages.CommitAsync(large, Cancellation)).IsCommitted);
    }

    [Trait("Duration", "long")]
    [Fact]
    public async Task Believes_a_server_s_certificate_only_of_the_authority_that_is_named()
    {
        using var folder = new TempFolder();
        using var authority = NewCertificate("CN=authority", null);
        using var another = NewCertificate("CN=authority", null);
        using var certificate = NewCertificate("CN=127.0.0.1", authority);
        File.WriteAllText(folder.File("authority.pem"), authority.ExportCertificatePem());
        File.WriteAllText(folder.File("another.pem"), another.ExportCertificatePem());
        await using var server = await PostgresServer.StartNewAsync(certificate);
        await using (var store = server.Create(_schema, TimeProvider.System, more: $"&sslmode=verify-full&sslrootcert={Uri.EscapeDataString(folder.File("authority.pem"))}"))
        {
            await store.OpenAsync(Cancellation);
            Assert.Null(await store.CheckWritableAsync(Cancellation));
            Assert.Equal(["t"], await server.RunAsync("select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'npm-mirror'"));
        }

        await AssertRefusesAsync(server.Create(_schema, TimeProvider.System, more: $"&sslmode=verify-full&sslrootcert={Uri.EscapeDataString(folder.File("another.pem"))}"), MirrorFault.StoreUnavailable, "certificate", isTransient: true);
        await AssertRefusesAsync(server.Create(_schema, TimeProvider.System, more: "&sslmode=verify-full"), MirrorFault.StoreUnavailable, "certificate", isTransient: true);
    }

    [Trait("Duration", "long")]
    [Theory]
    [InlineData("update npm_mirror_schema set version = 99", MirrorFault.StoreSchema, "run the newer npm-mirror")]
    [InlineData("update npm_mirror_schema set version = -1", MirrorFault.StoreSchema, "restore a backup")]
    [InlineData("delete from npm_mirror_schema", MirrorFault.StoreSchema, "restore a backup")]
    [InlineData("drop table npm_mirror_schema", MirrorFault.StoreUnavailable, "another program")]
    public async Task Refuses_a_schema_that_it_does_not_know(string sql, MirrorFault fault, string part)
    {
        await (await OpenAsync()).DisposeAsync();
        await _server.RunAsync(sql, _schema);
        await AssertRefusesAsync(_server.Create(_schema, TimeProvider.System), fault, part);
    }

    [Fact]
    public async Task Says_that_a_table_is_gone()
    {
        await using var store = await OpenAsync();
        await _server.RunAsync("drop table notes", _schema);
        var e = await Assert.ThrowsAsync<MirrorException>(async () => await store.Notes.FindNoteAsync("key", Cancellation));
        Assert.Equal(MirrorFault.StoreUnavailable, e.Fault);
        Assert.Contains("not what npm-mirror made", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tells_of_a_document_that_is_gone()
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        await _server.RunAsync("delete from documents", _schema);
        Assert.Equal("documents", (await store.Packages.FindAsync(PackageName.Parse("express"), Cancellation))!.Damage?.Table);
        Assert.Equal(MirrorFault.StoreDamaged, (await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.ReadAsync(PackageName.Parse("express"), Cancellation))).Fault);

        // A commit mends it.
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("express") with { ExpectedGeneration = 1 }, Cancellation)).IsCommitted);
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("express"), Cancellation));
    }

    [Fact]
    public async Task Tells_of_names_that_are_no_packages()
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        await _server.RunAsync("update packages set name = 'ex press'", _schema);
        Assert.Empty(await store.Packages.ListAsync(null, false, Cancellation).ToListAsync(Cancellation));
        Assert.Equal("packages", Assert.Single(await store.ListUnlistedAsync(Cancellation).ToListAsync(Cancellation)).Table);
        Assert.All(await store.Log.ReadLogAsync(LogPosition.Zero, Cancellation).ToListAsync(Cancellation), row => Assert.NotNull(row.Damage));
    }

    [Claim("PostgreSQL's tables refuse what cannot be, from any program",
        With = [nameof(Tells_of_a_document_that_is_gone), nameof(Tells_of_names_that_are_no_packages)])]
    [Trait("Duration", "long")]
    [Theory]
    [InlineData("packages", "removal = 'Lost'")]
    [InlineData("packages", "is_removed = true")]
    [InlineData("packages", "document_sha256 = 'short'")]
    [InlineData("packages", "generation = 0")]
    [InlineData("packages", "stored_at = 'infinity'")]
    [InlineData("packages", "name = ''")]
    [InlineData("log", "seen_at = '20000-01-01'")]
    [InlineData("log", "hash = null")]
    public async Task Lets_no_program_write_impossible_values(string table, string value)
    {
        await using var store = await OpenAsync();
        await store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancellation);
        await Assert.ThrowsAnyAsync<Exception>(() => _server.RunAsync($"update {table} set {value}", _schema));
    }

    [Fact]
    public async Task Keeps_text_that_the_server_would_not_take()
    {
        await using var store = await OpenAsync();
        const string Odd = "a\0b\u0001c\u0001\u0001\u0002\0\0";
        var commit = SecondProcess.Commit("express");
        await store.Packages.CommitAsync(commit with { Facts = commit.Facts with { Rev = Odd, Upstream = "half \ud83d", ETag = "" } }, Cancellation);
        var facts = (await store.Packages.FindAsync(commit.Name, Cancellation))!.Facts;
        Assert.Equal((Odd, "half \ufffd", ""), (facts.Rev, facts.Upstream, facts.ETag));

        string[] keys = ["k", "k\0", "k\0\0", "k\0a", "k\u0001", "k\u0001\0", "k\u0001\u0001", "k\u0001\u0002", "k\u0002", "ka", "k\uff5e", "k\U0001f600"];
        foreach (var key in keys.Reverse())
        {
            await store.Notes.SetNoteAsync(key, Odd, Cancellation);
        }

        Assert.Equal(keys, await store.Notes.ListNotesAsync("k", Cancellation).Select(mark => mark.Key).ToListAsync(Cancellation));
        Assert.Equal(keys[1..4], await store.Notes.ListNotesAsync("k\0", Cancellation).Select(mark => mark.Key).ToListAsync(Cancellation));
        Assert.Equal(keys[4..8], await store.Notes.ListNotesAsync("k\u0001", Cancellation).Select(mark => mark.Key).ToListAsync(Cancellation));
        Assert.Equal(Odd, await store.Notes.FindNoteAsync("k\0a", Cancellation));
        Assert.All(await store.Notes.ListNotesAsync("k", Cancellation).ToListAsync(Cancellation), mark => Assert.Equal(Odd.Length, mark.SizeBytes));
    }

    [Fact]
    public async Task Keeps_moments_of_long_ago_and_long_ahead()
    {
        await using var store = await OpenAsync();
        foreach (var (i, moment) in ((DateTimeOffset[])[DateTimeOffset.MinValue, DateTimeOffset.MinValue.AddMilliseconds(1), new(1883, 11, 18, 0, 0, 0, TimeSpan.Zero), DateTimeOffset.MaxValue]).Index())
        {
            var commit = SecondProcess.Commit($"p{i}");
            commit = commit with { Facts = commit.Facts with { ModifiedAt = moment }, Events = [commit.Events[0] with { At = moment, UpstreamRev = "1-\ud800" }] };
            await store.Packages.CommitAsync(commit, Cancellation);
            var kept = DateTimeOffset.FromUnixTimeMilliseconds(moment.ToUnixTimeMilliseconds());
            Assert.Equal(kept, (await store.Packages.FindAsync(commit.Name, Cancellation))!.Facts.ModifiedAt);
        }

        var hash = ChainHash.Genesis;
        foreach (var row in await store.Log.ReadLogAsync(LogPosition.Zero, Cancellation).ToListAsync(Cancellation))
        {
            hash = ChainHash.Next(hash, row);
            Assert.Equal(hash, row.Hash);
        }
    }

    [Fact]
    public async Task Refuses_a_value_that_is_too_long_and_harms_no_other()
    {
        await using var store = await OpenAsync();
        var random = new byte[6000];
        new Random(1).NextBytes(random);
        var e = await Assert.ThrowsAsync<MirrorException>(async () => await store.Notes.SetNoteAsync(Convert.ToHexString(random), "x", Cancellation));
        Assert.Equal(MirrorFault.TooLarge, e.Fault);
        await store.Notes.SetNoteAsync("key", "x", Cancellation);
    }

    [Fact]
    public async Task Leases_end_by_the_server_s_clock()
    {
        await using var store = await OpenAsync();
        var minute = TimeSpan.FromMinutes(1);
        Assert.True(await store.Leases.TryHoldLeaseAsync("lead", "one", minute, Cancellation));
        Assert.False(await store.Leases.TryHoldLeaseAsync("lead", "two", minute, Cancellation));
        var now = TimeProvider.System.GetUtcNow();
        await store.Queue.EnqueueAsync([new QueueItem { Name = PackageName.Parse("a"), Priority = QueuePriority.Change, DueAt = now, QueuedAt = now }], null, Cancellation);
        var lease = Assert.Single(await store.Queue.TakeAsync(1, minute, Cancellation));
        Assert.Empty(await store.Queue.TakeAsync(1, minute, Cancellation));
        Assert.InRange((await store.Queue.NextDueAsync(Cancellation))!.Value, now + TimeSpan.FromSeconds(50), now + TimeSpan.FromMinutes(10));

        // As when the server's clock goes on by an hour.
        await _server.RunAsync("update leases set until = until - interval '1 hour'; update queue set leased_until = leased_until - interval '1 hour'", _schema);
        Assert.True(await store.Leases.TryHoldLeaseAsync("lead", "two", minute, Cancellation));
        Assert.NotEqual(lease.Token, Assert.Single(await store.Queue.TakeAsync(1, minute, Cancellation)).Token);
    }

    [Theory]
    [InlineData("postgres://h", "no host or no database")]
    [InlineData("postgres://u:secret@h/a/b", "no URL of a database")]
    [InlineData("postgres://u:secret@h/d?scheme=x", "scheme")]
    [InlineData("postgres://u:secret@h/d?schema=x;y", "no plain name")]
    [InlineData("postgres://u:secret@h/d?connections=many", "connections")]
    [InlineData("postgres://u:secret@h:99999/d", "no URL")]
    public void Says_the_fault_of_a_location(string location, string part)
    {
        var e = Assert.Throws<MirrorException>(() => PostgresServer.Create(location, TimeProvider.System));
        Assert.Equal(MirrorFault.Configuration, e.Fault);
        Assert.Contains(part, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Takes_single_options_for_the_parts_of_a_location()
    {
        var options = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase)
        {
            ["Host"] = "127.0.0.1",
            ["port"] = _server.Port.ToString(CultureInfo.InvariantCulture),
            ["db"] = PostgresServer.Database,
            ["user"] = PostgresServer.User,
            ["password"] = PostgresServer.Password,
            ["schema"] = _schema,
        };
        await using var store = new PostgresEngine().Create(new StoreSettings { Options = options, DataFolder = "/nowhere", TimeProvider = TimeProvider.System, LoggerFactory = NullLoggerFactory.Instance });
        await store.OpenAsync(Cancellation);
        Assert.Null(await store.CheckWritableAsync(Cancellation));
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"postgres://127.0.0.1:{_server.Port}/{PostgresServer.Database}?schema={_schema}"), store.Location);
    }

    /// <summary>A certificate by an authority; without one, an authority.</summary>
    private static X509Certificate2 NewCertificate(string name, X509Certificate2? authority)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(authority is null, false, 0, true));
        var (from, to) = (TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
        if (authority is null)
        {
            return request.CreateSelfSigned(from, to);
        }

        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var made = request.Create(authority, authority.NotBefore, authority.NotAfter, [1, 2, 3, 4]);
        return made.CopyWithPrivateKey(key);
    }

    private async Task<string> NewUserAsync()
    {
        var user = string.Create(CultureInfo.InvariantCulture, $"user_{Interlocked.Increment(ref _users)}");
        await _server.RunAsync($"create role {user} login password '{PostgresServer.Password}'");
        return user;
    }

    private async Task<IMetadataStore> OpenAsync()
    {
        var store = _server.Create(_schema, TimeProvider.System);
        await store.OpenAsync(Cancellation);
        return store;
    }

    private static async Task AssertWritesNothingAsync(IMetadataStore store, string part)
    {
        Assert.Contains(part, await store.CheckWritableAsync(Cancellation), StringComparison.Ordinal);
        var e = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.CommitAsync(SecondProcess.Commit("other"), Cancellation));
        Assert.Equal((MirrorFault.StoreReadOnly, true), (e.Fault, e.IsTransient));
    }

    private static async Task AssertRefusesAsync(IMetadataStore store, MirrorFault fault, string part, bool isTransient = false)
    {
        await using (store)
        {
            var e = await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancellation));
            Assert.Equal((fault, isTransient), (e.Fault, e.IsTransient));
            Assert.Contains(part, e.Message, StringComparison.Ordinal);
            foreach (var secret in (string[])[PostgresServer.Password, Uri.EscapeDataString(PostgresServer.Password), "wr0ng"])
            {
                Assert.DoesNotContain(secret, $"{e} {store.Location}", StringComparison.Ordinal);
            }
        }
    }
}
