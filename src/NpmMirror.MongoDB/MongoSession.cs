using MongoDB.Bson;
using MongoDB.Driver;

namespace NpmMirror.MongoDB;

/// <summary>The client, and the one door to the server: each call has a time-out, heeds its caller's leaving, and fails in plain words.</summary>
internal sealed class MongoSession(MongoAddress address, TimeProvider timeProvider) : IDisposable
{
    // Documents are sent in pieces of a few megabytes: a server that does not take one in this time is away.
    private static readonly TimeSpan CallMax = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(5);

    // The driver refuses calls that wait for a connection if there are many.
    private const int CallsMax = 64;
    private readonly SemaphoreSlim _calls = new(Math.Clamp(address.Settings.MaxConnectionPoolSize, 1, CallsMax));
    private readonly CancellationTokenSource _ended = new();
    private MongoClient? _client;
    private IMongoDatabase? _database;

    internal MongoAddress Address { get; } = address;

    internal string Location { get; } = address.Location;

    internal TimeProvider Time { get; } = timeProvider;

    internal DateTimeOffset Now => Time.GetUtcNow();

    /// <summary>Ends when the store is closed.</summary>
    internal bool IsEnded => _ended.IsCancellationRequested;

    /// <summary>
    /// The moment by which leases end: the server's, so that a node with a wrong clock neither takes another node's lease nor loses its own. Under a clock of a
    /// test it is that clock's.
    /// </summary>
    internal async ValueTask<DateTimeOffset> ReadLeaseClockAsync(CancellationToken cancellationToken)
    {
        if (Time != TimeProvider.System)
        {
            return Now;
        }

        var hello = await RunAsync((database, token) => database.RunCommandAsync<BsonDocument>(new BsonDocument("hello", 1), ReadPreference.Primary, token), cancellationToken);
        return hello.Moment("localTime") ?? Now;
    }

    /// <summary>Connects, and meets at once the problems that would otherwise be a time-out of each call.</summary>
    internal async Task OpenAsync(CancellationToken cancellationToken)
    {
        var settings = Address.Settings.Clone();
        settings.ApplicationName ??= "npm-mirror";
        settings.ConnectTimeout = settings.ConnectTimeout == MongoDefaults.ConnectTimeout ? ConnectMax : settings.ConnectTimeout;
        settings.ServerSelectionTimeout = settings.ServerSelectionTimeout == MongoDefaults.ServerSelectionTimeout ? ConnectMax : settings.ServerSelectionTimeout;
        settings.ReadPreference = ReadPreference.Primary;
        // The driver gives clients of equal settings the same connections, and one that is closed takes them from the others: a configurator makes these unlike.
        settings.ClusterConfigurator = ConfigureNothing;
        if (settings.WriteConcern.W is null)
        {
            // What was acknowledged survives a power cut, and the loss of a minority of members.
            settings.WriteConcern = WriteConcern.WMajority.With(journal: true, wTimeout: settings.WriteConcern.WTimeout ?? CallMax);
        }

        if (Address.AuthorityFile is { } file)
        {
            var authorities = CertificateAuthorities.Load(file, "The ca of the store engine MongoDB");
            settings.UseTls = true;
            settings.SslSettings = new SslSettings
            {
                CheckCertificateRevocation = false,
                ServerCertificateValidationCallback = (_, certificate, chain, errors) => authorities.IsTrusted(certificate, chain, errors),
            };
        }

        try
        {
            _client = new MongoClient(settings);
            _database = _client.GetDatabase(Address.Database);
        }
        catch (Exception e) when (MongoFaults.IsFault(e))
        {
            throw MongoFaults.Of(e, Address);
        }

        // A member may have to take back what no majority has; a server of its own has nothing to take back.
        var hello = await RunAsync((database, token) => database.RunCommandAsync<BsonDocument>(new BsonDocument("hello", 1), ReadPreference.Primary, token), cancellationToken);
        if (hello.Contains("setName") || hello.Text("msg") == "isdbgrid")
        {
            _database = _database.WithReadConcern(ReadConcern.Majority);
        }
    }

    /// <summary>Runs a call on a collection.</summary>
    /// <exception cref="MirrorException">The server failed, or is away.</exception>
    internal ValueTask<T> RunAsync<T>(string collection, Func<IMongoCollection<BsonDocument>, CancellationToken, Task<T>> run, CancellationToken cancellationToken) =>
        RunAsync((database, token) => run(database.GetCollection<BsonDocument>(collection), token), cancellationToken);

    /// <summary>Runs a call.</summary>
    /// <exception cref="MirrorException">The server failed, or is away.</exception>
    internal async ValueTask<T> RunAsync<T>(Func<IMongoDatabase, CancellationToken, Task<T>> run, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(IsEnded, typeof(MongoStore));
        cancellationToken.ThrowIfCancellationRequested();
        var database = _database ?? throw new InvalidOperationException("The store was not opened.");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ended.Token);
        var isEntered = false;
        try
        {
            await _calls.WaitAsync(limit.Token);
            isEntered = true;
            limit.CancelAfter(CallMax);
            try
            {
                return await run(database, limit.Token);
            }
            catch (MongoException e) when (e is MongoConnectionPoolPausedException or MongoConnectionException and not MongoAuthenticationException && !IsEnded)
            {
                // The connection broke under the call, and perhaps only the answer was lost. Calls may be made twice: they read, they set what they set, or they
                // compare first.
                return await run(database, limit.Token);
            }
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            ObjectDisposedException.ThrowIf(IsEnded, typeof(MongoStore));
            throw MongoFaults.Of(new TimeoutException("The server did not answer in time.", e), Address);
        }
        catch (Exception e) when (!MongoFaults.IsDuplicate(e) && (MongoFaults.IsFault(e) || e is ObjectDisposedException))
        {
            ObjectDisposedException.ThrowIf(IsEnded, typeof(MongoStore));
            cancellationToken.ThrowIfCancellationRequested();
            throw MongoFaults.Of(e, Address);
        }
        finally
        {
            if (isEntered)
            {
                _calls.Release();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!IsEnded)
        {
            _ended.Cancel();
            _client?.Dispose();
        }
    }

    // An instance's method, because delegates are equal where their targets are.
    [System.Diagnostics.CodeAnalysis.SuppressMessage("Performance", "CA1822:Mark members as static", Justification = "The session is what tells two configurators apart.")]
    private void ConfigureNothing(global::MongoDB.Driver.Core.Configuration.ClusterBuilder builder)
    {
    }
}
