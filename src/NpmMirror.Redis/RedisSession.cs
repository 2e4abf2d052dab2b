using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>The one door to the server: each call has a time-out, heeds its caller's leaving, and fails in plain words.</summary>
internal sealed class RedisSession(RedisAddress address, TimeProvider timeProvider) : IAsyncDisposable
{
    /// <summary>A replica may be late: reads go to the master, as writes do.</summary>
    internal const CommandFlags Flags = CommandFlags.DemandMaster;

    private static readonly TimeSpan ConfirmMax = TimeSpan.FromSeconds(3);
    private readonly CancellationTokenSource _ended = new();
    private RedisConnection? _connection;

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
    internal IEnumerable<IServer> Masters => _connection?.Current.GetServers().Where(server => server is { IsConnected: true, IsReplica: false }) ?? [];

    /// <summary>Connects, and meets at once the problems that would otherwise be a time-out of each call.</summary>
    internal async Task OpenAsync(CancellationToken cancellationToken)
    {
        _connection = await RedisConnection.OpenAsync(Address, Time, cancellationToken);
        await RunAsync(database => database.PingAsync(Flags), cancellationToken);
    }

    /// <summary>How often a connection broke so far: taken before a write, and given to <see cref="ConfirmAsync"/> after it.</summary>
    internal long Breaks => _connection?.Breaks ?? 0;

    /// <summary>Runs a call, or several that are sent together.</summary>
    /// <exception cref="MirrorException">The server failed, or is away.</exception>
    internal async ValueTask<T> RunAsync<T>(Func<IDatabase, Task<T>> run, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_ended.IsCancellationRequested, typeof(RedisStore));
        cancellationToken.ThrowIfCancellationRequested();
        var connection = _connection ?? throw new InvalidOperationException("The store was not opened.");
        try
        {
            try
            {
                return await run(connection.Current.GetDatabase()).WaitAsync(cancellationToken);
            }
            catch (RedisConnectionException e) when (e.FailureType is ConnectionFailureType.SocketClosed or ConnectionFailureType.SocketFailure && !_ended.IsCancellationRequested)
            {
                // The connection broke under the call, and perhaps only the answer was lost. Calls may be made twice: they read, they set what they set, or they
                // compare first.
                return await run(connection.Current.GetDatabase()).WaitAsync(cancellationToken);
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
    /// <param name="keys">What was written, or keys beside it.</param>
    /// <param name="breaks">What <see cref="Breaks"/> was before it was written. After a break the master may be another one, whose replicas know nothing of it.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="MirrorException">They do not have it in time, or it is not known. It is written all the same, or lost with a master; a later try finds out.</exception>
    internal async ValueTask ConfirmAsync(IReadOnlyCollection<RedisKey> keys, long breaks, CancellationToken cancellationToken)
    {
        if (Address.Replicas == 0)
        {
            return;
        }

        var confirmed = await RunAsync(
            async database =>
            {
                // On the connection of the writes: the command is about the writes before it there.
                var servers = (await Task.WhenAll(keys.Select(key => database.IdentifyEndpointAsync(key, Flags)))).Distinct().Select(endpoint => database.Multiplexer.GetServer(endpoint!)).ToList();
                var counts = await Task.WhenAll(servers.Select(server => server.ExecuteAsync("WAIT", Address.Replicas, (long)ConfirmMax.TotalMilliseconds)));
                return counts.Min(count => (long)count);
            },
            cancellationToken);
        if (breaks != Breaks)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"The way to {Location} broke before its replicas had confirmed a write; it is looked for, or made again, at the next try.", isTransient: true);
        }

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
}
