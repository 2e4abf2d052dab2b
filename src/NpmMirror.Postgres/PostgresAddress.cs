using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using NpmMirror.Storage;

namespace NpmMirror.Postgres;

/// <summary>Where the server is and how it is reached: a URL as libpq reads it, or single options, or both.</summary>
/// <param name="Connection">For the driver; holds the password.</param>
/// <param name="Schema">The schema that all tables are in.</param>
/// <param name="Queries">What is kept for people's queries.</param>
internal sealed partial record PostgresAddress(NpgsqlConnectionStringBuilder Connection, string Schema, QueryOptions Queries)
{
    internal const string SchemaDefault = "npm_mirror";

    private const string Form = "write postgres://user:password@host:5432/database";
    private const int PortDefault = 5432;
    private const int ConnectionsDefault = 16;
    private const int ConnectionsMin = 3;

    // A statement that takes longer is given up. The largest documents take about a second.
    private const int StatementSeconds = 60;
    private const int ConnectSeconds = 10;

    // Which words a location and store.options know, and what they are to the driver.
    private static readonly Dictionary<string, Action<NpgsqlConnectionStringBuilder, string>> Words = new(StringComparer.OrdinalIgnoreCase)
    {
        ["host"] = (connection, value) => connection.Host = value,
        ["port"] = (connection, value) => connection.Port = Number(value, 1, ushort.MaxValue),
        ["db"] = (connection, value) => connection.Database = value,
        ["user"] = (connection, value) => connection.Username = value,
        ["password"] = (connection, value) => connection.Password = value,
        ["connections"] = (connection, value) => connection.MaxPoolSize = Number(value, ConnectionsMin, 1000),
        ["connect_timeout"] = (connection, value) => connection.Timeout = Number(value, 1, 600),
        ["statement_timeout"] = (connection, value) => connection.CommandTimeout = Number(value, 1, 3600),
        ["application_name"] = (connection, value) => connection.ApplicationName = value,
        ["sslmode"] = (connection, value) => connection.SslMode = Enum.TryParse<SslMode>(value.Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out var mode) ? mode : throw new FormatException(),
        ["sslrootcert"] = (connection, value) => connection.RootCertificate = value,
        ["sslcert"] = (connection, value) => connection.SslCertificate = value,
        ["sslkey"] = (connection, value) => connection.SslKey = value,
    };

    // Those that are not the driver's.
    private static readonly string[] OwnWords = ["schema", "queries", "manifests"];

    /// <summary>The server and its database, for messages: without user and password.</summary>
    internal string Location => string.Create(
        CultureInfo.InvariantCulture,
        $"postgres://{Connection.Host}:{Connection.Port}/{Connection.Database}{(Schema == SchemaDefault ? "" : $"?schema={Schema}")}");

    /// <summary>The user, for messages.</summary>
    internal string User => Connection.Username ?? "";

    /// <summary>Reads the settings. What a URL says in its parts or its query, <c>store.options</c> may say too; these win.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>.</exception>
    internal static PostgresAddress Read(StoreSettings settings)
    {
        settings.RequireOptions("Postgres", [.. Words.Keys, .. OwnWords]);
        var words = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (word, value) in ReadUrl(settings.Address).Concat(settings.Options))
        {
            words[word] = value;
        }

        var schema = words.Remove("schema", out var named) ? named : SchemaDefault;
        if (!SchemaName().IsMatch(schema))
        {
            throw Wrong($"the schema {MirrorException.Quote(schema)} is no plain name; take small letters, digits and underscores, 50 at most");
        }

        var queries = new QueryOptions(IsOn: Choice(words, "queries", "on", "off") == "on", WithManifests: Choice(words, "manifests", "none", "jsonb") == "jsonb");
        var connection = new NpgsqlConnectionStringBuilder
        {
            Port = PortDefault,
            Timeout = ConnectSeconds,
            CommandTimeout = StatementSeconds,
            MaxPoolSize = ConnectionsDefault,
            ApplicationName = "npm-mirror",
            SearchPath = schema,
            MaxAutoPrepare = 100,
            // No session has a state of its own here; to reset one costs more than most reads.
            NoResetOnClose = true,
            IncludeErrorDetail = false,
            // A process that was stopped in the middle of a transaction holds what it locked; the server ends such a session. A large document on a slow link takes its time.
            Options = "-c idle_in_transaction_session_timeout=60s -c lock_timeout=30s",
        };
        foreach (var (word, value) in words)
        {
            try
            {
                (Words.GetValueOrDefault(word) ?? throw Wrong($"there is no setting {MirrorException.Quote(word)}; it knows {string.Join(", ", Words.Keys.Concat(OwnWords))}"))(connection, value);
            }
            catch (Exception e) when (e is FormatException or ArgumentException or OverflowException)
            {
                throw Wrong($"{word} cannot be {(word.Equals("password", StringComparison.OrdinalIgnoreCase) ? "what it is" : MirrorException.Quote(value))}");
            }
        }

        if (string.IsNullOrWhiteSpace(connection.Host) || string.IsNullOrWhiteSpace(connection.Database))
        {
            throw Wrong("it names no host or no database");
        }

        return new PostgresAddress(connection, schema, queries);
    }

    private static IEnumerable<KeyValuePair<string, string>> ReadUrl(string? url)
    {
        if (url is null)
        {
            yield break;
        }

        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || !url.Contains("://", StringComparison.Ordinal) || uri.AbsolutePath.LastIndexOf('/') > 0)
        {
            throw Wrong("it is no URL of a database (in a user and a password, write / as %2F and @ as %40)");
        }

        var colon = uri.UserInfo.IndexOf(':', StringComparison.Ordinal);
        (string Word, string Value)[] parts =
        [
            ("host", uri.DnsSafeHost),
            ("port", uri.Port > 0 ? uri.Port.ToString(CultureInfo.InvariantCulture) : ""),
            ("db", uri.AbsolutePath.TrimStart('/')),
            ("user", colon < 0 ? uri.UserInfo : uri.UserInfo[..colon]),
            ("password", colon < 0 ? "" : uri.UserInfo[(colon + 1)..]),
        ];
        var query = uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=', 2)).Select(pair => (pair[0], pair.Length > 1 ? pair[1] : ""));
        foreach (var (word, value) in parts.Where(part => part.Value.Length > 0).Concat(query))
        {
            yield return new(Uri.UnescapeDataString(word), Uri.UnescapeDataString(value));
        }
    }

    private static string Choice(Dictionary<string, string> words, string word, string usual, string other) =>
        !words.Remove(word, out var asked) ? usual : asked == usual || asked == other ? asked : throw Wrong($"{word} cannot be {MirrorException.Quote(asked)}: it is {usual} or {other}");

    private static int Number(string text, int min, int max) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max ? number : throw new FormatException();

    private static MirrorException Wrong(string why) => new(MirrorFault.Configuration, $"The location of the PostgreSQL store cannot be used: {why}; {Form}.");

    [GeneratedRegex("^[a-z_][a-z0-9_]{0,49}$")]
    private static partial Regex SchemaName();
}
