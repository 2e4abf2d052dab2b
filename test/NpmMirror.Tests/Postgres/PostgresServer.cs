using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Postgres;
using NpmMirror.Storage;
using NpmMirror.Tests.Postgres;

[assembly: AssemblyFixture(typeof(SharedPostgres))]

namespace NpmMirror.Tests.Postgres;

/// <summary>The server that most tests share, each with a schema of its own; started by the first that asks for it.</summary>
public class SharedPostgres : IAsyncDisposable
{
    private readonly Lazy<Task<PostgresServer>> _server;

    public SharedPostgres()
        : this(PostgresPrograms.OfTheSystem)
    {
    }

    private protected SharedPostgres(PostgresPrograms? programs) => _server = new(() =>
    {
        Assert.SkipWhen(programs is null, TestTools.Missing("postgres"));
        return Task.Run(() => PostgresServer.StartNewAsync(programs: programs));
    });

    internal Task<PostgresServer> GetAsync() => _server.Value;

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_server.IsValueCreated)
        {
            await (await _server.Value).DisposeAsync();
        }
    }
}

/// <summary>A real PostgreSQL server on loopback, in a folder of its own. It lets in one user with a password, as servers do.</summary>
internal sealed class PostgresServer : IAsyncDisposable
{
    internal const string User = "npm";
    internal const string Password = "p/w @1";
    internal const string Database = "postgres";
    private const int Nobody = 65534;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static int _schemas;
    private readonly TempFolder _folder = new();
    private readonly List<string> _settings = [];
    private Process? _process;

    private readonly PostgresPrograms _programs;

    private PostgresServer(PostgresPrograms programs) => _programs = programs;

    /// <summary>Where it listens; the same after a stop and a start.</summary>
    internal int Port { get; } = FreePort.Find();

    /// <summary>A schema that no other test has.</summary>
    internal static string NewSchema() => string.Create(CultureInfo.InvariantCulture, $"test_{Interlocked.Increment(ref _schemas)}_{System.Environment.ProcessId}");

    /// <summary>A server of its own, by option with a certificate, or of another version.</summary>
    internal static async Task<PostgresServer> StartNewAsync(X509Certificate2? certificate = null, PostgresPrograms? programs = null)
    {
        var server = new PostgresServer(programs ?? PostgresPrograms.OfTheSystem ?? throw new InvalidOperationException(TestTools.Missing("postgres")));
        if (certificate is not null)
        {
            await File.WriteAllTextAsync(server._folder.File("server.crt"), certificate.ExportCertificatePem());
            await File.WriteAllTextAsync(server._folder.File("server.key"), certificate.GetRSAPrivateKey()!.ExportPkcs8PrivateKeyPem());
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(server._folder.File("server.key"), UnixFileMode.UserRead);
            }

            server._settings.AddRange(["-c", "ssl=on", "-c", $"ssl_cert_file={server._folder.File("server.crt")}", "-c", $"ssl_key_file={server._folder.File("server.key")}"]);
        }

        await server.MakeAsync();
        await server.StartAsync();
        return server;
    }

    /// <summary>Gives a folder to the server's user.</summary>
    internal static async Task OwnAsync(string folder)
    {
        if (System.Environment.IsPrivilegedProcess)
        {
            await TestProcess.RunAsync(["chown", "-R", Text(Nobody), folder], "/", PostgresPrograms.Usual(), Patience, CancellationToken.None);
        }
    }

    /// <summary>The location of a schema, as users write it.</summary>
    internal string Location(string schema, string user = User, string password = Password, int? port = null) => string.Create(
        CultureInfo.InvariantCulture, $"postgres://{Uri.EscapeDataString(user)}:{Uri.EscapeDataString(password)}@127.0.0.1:{port ?? Port}/{Database}?schema={schema}");

    /// <summary>A store there, not opened.</summary>
    internal IMetadataStore Create(string schema, TimeProvider time, string user = User, string password = Password, int? port = null, string more = "") =>
        Create(Location(schema, user, password, port) + more, time);

    /// <summary>A store anywhere.</summary>
    internal static IMetadataStore Create(string location, TimeProvider time) => new PostgresEngine().Create(
        new StoreSettings { Address = location, DataFolder = "/nowhere", TimeProvider = time, LoggerFactory = NullLoggerFactory.Instance });

    /// <summary>Runs SQL as the server's administrator; returns the first column of all rows.</summary>
    internal async Task<string[]> RunAsync(string sql, string? schema = null)
    {
        var run = await TestProcess.RunAsync(
            ["/usr/bin/psql", "-h", "127.0.0.1", "-p", Text(Port), "-U", User, "-d", Database, "-v", "ON_ERROR_STOP=1", "-qtAX", "-c", sql],
            "/",
            new Dictionary<string, string> { ["PGPASSWORD"] = Password, ["PGOPTIONS"] = schema is null ? "" : $"-c search_path={schema}", ["PATH"] = "/usr/bin:/bin" },
            Patience,
            CancellationToken.None);
        Assert.True(run.ExitCode == 0, run.Output);
        return run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    internal async Task StartAsync()
    {
        _process = TestProcess.Start(
            [
                .. AsNobody(), _programs.Path("postgres"), "-D", Data, "-p", Text(Port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
                "-c", "fsync=off", "-c", "max_connections=500", "-c", "shared_buffers=64MB", "-c", "max_wal_size=256MB", "-c", "timezone=America/St_Johns",
                .. _settings,
            ],
            "/",
            _programs.Environment());
        var output = new System.Text.StringBuilder();
        _ = TestProcess.GatherAsync(_process.StandardOutput, output, CancellationToken.None);
        _ = TestProcess.GatherAsync(_process.StandardError, output, CancellationToken.None);
        using var deadline = new CancellationTokenSource(Patience);
        while ((await TestProcess.RunAsync([PostgresPrograms.OfTheSystem!.Path("pg_isready"), "-h", "127.0.0.1", "-p", Text(Port)], "/", PostgresPrograms.Usual(), Patience, deadline.Token)).ExitCode != 0)
        {
            Assert.False(_process.HasExited, $"The server ended at once.\n{output}");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, deadline.Token);
        }
    }

    /// <summary>Stops it as an administrator does; connections are cut.</summary>
    internal async Task StopAsync()
    {
        await TestProcess.RunAsync([.. AsNobody(), _programs.Path("pg_ctl"), "stop", "-D", Data, "-m", "fast", "-t", "60"], "/", _programs.Environment(), Patience, CancellationToken.None);
        await _process!.WaitForExitAsync().WaitAsync(Patience);
        _process.Dispose();
        _process = null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process?.Dispose();
        _folder.Dispose();
    }

    private string Data => _folder.File("data");

    private async Task MakeAsync()
    {
        var password = _folder.File("password");
        await File.WriteAllTextAsync(password, Password + "\n");

        // The server runs under no administrator.
        await OwnAsync(_folder.Path);

        // A language's order by default: byte order must be asked for.
        var made = await TestProcess.RunAsync(
            [.. AsNobody(), _programs.Path("initdb"), "-D", Data, "-U", User, "--pwfile", password, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync"],
            "/",
            _programs.Environment(),
            Patience,
            CancellationToken.None);
        Assert.True(made.ExitCode == 0, made.Output);
    }

    private static string[] AsNobody() => System.Environment.IsPrivilegedProcess ? ["setpriv", $"--reuid={Nobody}", $"--regid={Nobody}", "--clear-groups"] : [];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
