using System.Diagnostics;
using System.Globalization;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Postgres;

/// <summary>Behaviour through PgBouncer, a real one.</summary>
[Trait("Duration", "long")]
public sealed class PostgresPoolerTests(SharedPostgres shared) : IAsyncLifetime
{
    private const string Program = "/usr/sbin/pgbouncer";
    private const string Ignored = "ignore_startup_parameters = search_path,options,extra_float_digits";
    private readonly TempFolder _folder = new();
    private readonly string _schema = PostgresServer.NewSchema();
    private readonly int _port = FreePort.Find();
    private PostgresServer _server = null!;
    private Process? _pooler;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(File.Exists(Program), TestTools.Missing("pgbouncer"));
        _server = await shared.GetAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_pooler is { HasExited: false })
        {
            _pooler.Kill(entireProcessTree: true);
            await _pooler.WaitForExitAsync(CancellationToken.None);
        }

        _pooler?.Dispose();
        _folder.Dispose();
    }

    [Claim("A pooler that hands out connections by transaction, or drops the settings of sessions, is refused in one sentence before anything is written",
        With = [nameof(Works_through_a_pool_by_session)],
        Red = "`search_path` not compared: the two pools that drop it were red; sessions not compared: the pool by transaction was taken")]
    [Theory]
    [InlineData("transaction", "", false, "startup parameter")]
    [InlineData("session", Ignored, false, "search_path is ")]
    [InlineData("transaction", Ignored, false, "search_path is ")]
    [InlineData("transaction", Ignored, true, "by transaction")]
    public async Task Refuses_a_pooler_that_it_cannot_work_through(string mode, string settings, bool isInRole, string part)
    {
        var user = await StartAsync(mode, settings, isInRole);
        await using var store = _server.Create(_schema, TimeProvider.System, user, port: _port);
        var e = await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancelled));
        Assert.Equal(MirrorFault.Configuration, e.Fault);
        Assert.Contains(part, e.Message, StringComparison.Ordinal);
        Assert.Contains("name the server itself", e.Message, StringComparison.Ordinal);
        Assert.Equal("0", (await _server.RunAsync($"select count(*) from pg_tables where schemaname in ('public', '{_schema}')"))[0]);
    }

    [Fact]
    public async Task Works_through_a_pool_by_session()
    {
        var user = await StartAsync("session", Ignored, isInRole: true);
        await using var store = _server.Create(_schema, TimeProvider.System, user, port: _port);
        await store.OpenAsync(Cancelled);
        var waiting = store.Log.WaitForLogAsync(default, TimeSpan.FromMinutes(2), Cancelled).AsTask();
        await using var direct = _server.Create(_schema, TimeProvider.System);
        Assert.True((await direct.Packages.CommitAsync(QueriedPackages.NewCommit("ms", 0, QueriedPackages.Ms), Cancelled)).IsCommitted);
        Assert.True((await waiting).Value > 0);
        Assert.True((await store.Packages.CommitAsync(QueriedPackages.NewCommit("ms", 1, QueriedPackages.Ms), Cancelled)).IsCommitted);
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("ms"), Cancelled));
    }

    /// <summary>Starts the pooler; returns a user who owns the schema.</summary>
    private async Task<string> StartAsync(string mode, string settings, bool isInRole)
    {
        var user = $"pooled_by_{_schema}";
        await _server.RunAsync($"create role {user} login password '{PostgresServer.Password}'; create schema {_schema} authorization {user}");
        if (isInRole)
        {
            // The settings that the pooler does not pass on, given by an administrator.
            await _server.RunAsync($"alter role {user} set search_path = {_schema}; alter role {user} set lock_timeout = '30s'; alter role {user} set idle_in_transaction_session_timeout = '60s'");
        }

        await File.WriteAllTextAsync(_folder.File("users"), $"\"{user}\" \"{PostgresServer.Password}\"\n", Cancelled);
        await File.WriteAllTextAsync(
            _folder.File("pooler.ini"),
            string.Create(CultureInfo.InvariantCulture, $"""
                [databases]
                {PostgresServer.Database} = host=127.0.0.1 port={_server.Port}
                [pgbouncer]
                listen_addr = 127.0.0.1
                listen_port = {_port}
                unix_socket_dir =
                auth_type = scram-sha-256
                auth_file = {_folder.File("users")}
                pool_mode = {mode}
                {settings}

                """),
            Cancelled);
        await PostgresServer.OwnAsync(_folder.Path);
        string[] nobody = Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
        _pooler = TestProcess.Start([.. nobody, Program, _folder.File("pooler.ini")], "/", new Dictionary<string, string> { ["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin" });
        var output = new System.Text.StringBuilder();
        _ = TestProcess.GatherAsync(_pooler.StandardOutput, output, CancellationToken.None);
        _ = TestProcess.GatherAsync(_pooler.StandardError, output, CancellationToken.None);
        await Eventually.Async(async () =>
        {
            Assert.False(_pooler.HasExited, $"The pooler ended at once.\n{output}");
            using var client = new System.Net.Sockets.TcpClient();
            try
            {
                await client.ConnectAsync("127.0.0.1", _port, Cancelled);
                return true;
            }
            catch (System.Net.Sockets.SocketException)
            {
                return false;
            }
        });
        return user;
    }
}
