using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>The connection, and the one door to the server: each call has a time-out, heeds its caller's leaving, and fails in plain words.</summary>
internal sealed class RedisSession(RedisAddress address, TimeProvider timeProvider) : IAsyncDisposable
{
    /// <summary>A replica may be late: reads go to the master, as writes do.</summary>
    internal const CommandFlags Flags = CommandFlags.DemandMaster;

    // A document of 60 MB takes a second on a slow way; a server that is away for longer than this is away.
    private static readonly TimeSpan CallMax = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ConfirmMax = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(5);
    private readonly CancellationTokenSource _ended = new();
    private ConnectionMultiplexer? _connection;
    private IDatabase? _database;

    internal RedisAddress Address { get; } = address;

    internal RedisKeys Keys { get; } = new(address.Prefix);

    internal string Location { get; } = address.Location;

    internal TimeProvider Time { get; } = timeProvider;

    internal DateTimeOffset Now => Time.GetUtcNow();

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

        // All leases lie in one place: one clock, also in a cluster.
        var time = (long[])(await RunAsync(RedisScripts.Clock, [Keys.Leases], [], cancellationToken))!;
        return DateTimeOffset.FromUnixTimeMilliseconds((time[0] * 1000) + (time[1] / 1000));
    }

    /// <summary>Ends when the store is closed.</summary>
    internal CancellationToken Ended => _ended.Token;

    /// <summary>The masters, for requests about servers and not about keys.</summary>
    internal IEnumerable<IServer> Masters => _connection?.GetServers().Where(server => server is { IsConnected: true, IsReplica: false }) ?? [];

    /// <summary>Connects, and meets at once the problems that would otherwise be a time-out of each call.</summary>
    internal async Task OpenAsync(CancellationToken cancellationToken)
    {
        var options = new ConfigurationOptions
        {
            User = Address.User,
            Password = Address.Password,
            DefaultDatabase = Address.Database,
            Ssl = Address.IsSecure,
            AbortOnConnectFail = true,
            ConnectTimeout = (int)ConnectMax.TotalMilliseconds,
            ConnectRetry = 1,
            AsyncTimeout = (int)CallMax.TotalMilliseconds,
            SyncTimeout = (int)CallMax.TotalMilliseconds,
            KeepAlive = 15,
            ClientName = "npm-mirror",
            // Only to ask how durable the server is.
            AllowAdmin = true,
            // Nothing is published: no second connection.
            ConfigurationChannel = "",
            TieBreaker = "",
            IncludeDetailInExceptions = false,
        };
        foreach (var (host, port) in Address.Servers)
        {
            options.EndPoints.Add(host, port);
        }

        if (Address.AuthorityFile is { } file)
        {
            var authority = LoadAuthority(file);
            options.CertificateValidation += (_, certificate, _, errors) => IsSignedBy(authority, certificate, errors);
        }

        try
        {
            _connection = await ConnectionMultiplexer.ConnectAsync(options).WaitAsync(cancellationToken);
        }
        catch (Exception e) when (RedisFaults.IsFault(e))
        {
            throw RedisFaults.Of(e, Address);
        }

        _database = _connection.GetDatabase();
        await RunAsync(database => database.PingAsync(Flags), cancellationToken);
    }

    /// <summary>Runs a call, or several that are sent together.</summary>
    /// <exception cref="MirrorException">The server failed, or is away.</exception>
    internal async ValueTask<T> RunAsync<T>(Func<IDatabase, Task<T>> run, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_ended.IsCancellationRequested, typeof(RedisStore));
        cancellationToken.ThrowIfCancellationRequested();
        var database = _database ?? throw new InvalidOperationException("The store was not opened.");
        try
        {
            try
            {
                return await run(database).WaitAsync(cancellationToken);
            }
            catch (RedisConnectionException e) when (e.FailureType is ConnectionFailureType.SocketClosed or ConnectionFailureType.SocketFailure && !_ended.IsCancellationRequested)
            {
                // The connection broke under the call, and perhaps only the answer was lost. Calls may be made twice: they read, they set what they set, or they
                // compare first.
                return await run(database).WaitAsync(cancellationToken);
            }
        }
        catch (Exception e) when (RedisFaults.IsFault(e) || e is ObjectDisposedException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            ObjectDisposedException.ThrowIf(_ended.IsCancellationRequested, typeof(RedisStore));
            throw RedisFaults.Of(e, Address);
        }
    }

    /// <summary>Runs a script of <see cref="RedisScripts"/>. All its keys lie together in a cluster.</summary>
    internal ValueTask<RedisResult> RunAsync(string script, RedisKey[] keys, RedisValue[] values, CancellationToken cancellationToken) =>
        RunAsync(database => database.ScriptEvaluateAsync(script, keys, values, Flags), cancellationToken);

    /// <summary>Waits until the replicas that the address asks for have all that was written where these keys lie; returns at once if it asks for none.</summary>
    /// <exception cref="MirrorException">They do not have it in time. It is written all the same, and a later try finds it.</exception>
    internal async ValueTask ConfirmAsync(IReadOnlyCollection<RedisKey> keys, CancellationToken cancellationToken)
    {
        if (Address.Replicas == 0)
        {
            return;
        }

        var confirmed = await RunAsync(
            async database =>
            {
                // On the connection of the writes: the command is about the writes before it there.
                var servers = (await Task.WhenAll(keys.Select(key => database.IdentifyEndpointAsync(key, Flags)))).Distinct().Select(endpoint => _connection!.GetServer(endpoint!)).ToList();
                var counts = await Task.WhenAll(servers.Select(server => server.ExecuteAsync("WAIT", Address.Replicas, (long)ConfirmMax.TotalMilliseconds)));
                return counts.Min(count => (long)count);
            },
            cancellationToken);
        if (confirmed < Address.Replicas)
        {
            throw new MirrorException(
                MirrorFault.StoreUnavailable,
                $"{Location} wrote, but only {confirmed} of {Address.Replicas} replicas have it in time; start the replicas, or ask for fewer with replicas.",
                isTransient: true);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_ended.IsCancellationRequested)
        {
            return;
        }

        await _ended.CancelAsync();
        if (_connection is { } connection)
        {
            await connection.DisposeAsync();
        }
    }

    private static X509Certificate2 LoadAuthority(string file)
    {
        try
        {
            return X509CertificateLoader.LoadCertificateFromFile(file);
        }
        catch (Exception e) when (e is IOException or System.Security.Cryptography.CryptographicException or UnauthorizedAccessException)
        {
            throw new MirrorException(MirrorFault.Configuration, $"The store engine Redis has the ca {MirrorException.Quote(file)}, which cannot be read as a certificate; give the path of a PEM file.", inner: e);
        }
    }

    // The system's own judgement, but for the authority: a name that is another's, or no certificate, stays wrong.
    private static bool IsSignedBy(X509Certificate2 authority, X509Certificate? certificate, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None || certificate is null || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != 0)
        {
            return errors == SslPolicyErrors.None;
        }

        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        using var own = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        return chain.Build(own);
    }
}
