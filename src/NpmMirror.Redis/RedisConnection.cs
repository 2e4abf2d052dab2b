using System.Net;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>
/// The driver's connection: to one server, to a cluster, or to the master that sentinels name. That master alone is connected to: one that was dead and comes
/// back still believes that it is the master, and must not be written.
/// </summary>
internal sealed class RedisConnection : IAsyncDisposable
{
    // A document of 60 MB takes a second on a slow way; a server that is away for longer than this is away.
    private static readonly TimeSpan CallMax = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(1);
    private readonly RedisAddress _address;
    private readonly RedisSentinels? _sentinels;
    private readonly CancellationTokenSource _ended = new();
    private EndPoint? _master;
    private ConnectionMultiplexer _current;
    private Task _following = Task.CompletedTask;
    private long _breaks;

    private RedisConnection(RedisAddress address, RedisSentinels? sentinels, EndPoint? master, ConnectionMultiplexer current)
    {
        (_address, _sentinels, _master, _current) = (address, sentinels, master, current);
        current.ConnectionFailed += NoteBreak;
    }

    /// <summary>The connection of this moment.</summary>
    internal ConnectionMultiplexer Current => Volatile.Read(ref _current);

    /// <summary>How often a connection broke, or another server became the master: what was written before is perhaps not on the server that is asked now.</summary>
    internal long Breaks => Interlocked.Read(ref _breaks);

    /// <summary>Connects, and meets at once the problems that would otherwise be a time-out of each call.</summary>
    internal static async Task<RedisConnection> OpenAsync(RedisAddress address, TimeProvider time, CancellationToken cancellationToken)
    {
        if (address.Sentinel is null)
        {
            return new RedisConnection(address, null, null, await ConnectAsync(address, null, cancellationToken));
        }

        var sentinels = await RedisSentinels.ConnectAsync(address, cancellationToken);
        try
        {
            var master = await sentinels.FindMasterAsync(cancellationToken);
            var connection = new RedisConnection(address, sentinels, master, await ConnectAsync(address, master, cancellationToken));
            connection._following = Task.Run(() => connection.FollowAsync(sentinels, time), CancellationToken.None);
            return connection;
        }
        catch
        {
            await sentinels.DisposeAsync();
            throw;
        }
    }

    /// <summary>What all connections have in common.</summary>
    internal static ConfigurationOptions NewOptions(RedisAddress address)
    {
        var options = new ConfigurationOptions
        {
            User = address.User,
            Password = address.Password,
            DefaultDatabase = address.Database,
            Ssl = address.IsSecure,
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
        if (address.AuthorityFile is { } file)
        {
            var authorities = CertificateAuthorities.Load(file, "The ca of the store engine Redis");
            options.CertificateValidation += (_, certificate, chain, errors) => authorities.IsTrusted(certificate, chain, errors);
        }

        return options;
    }

    /// <summary>Connects; a connection that comes to be after its caller left is closed.</summary>
    internal static async Task<ConnectionMultiplexer> ConnectAsync(ConfigurationOptions options, CancellationToken cancellationToken)
    {
        var connecting = ConnectionMultiplexer.ConnectAsync(options);
        try
        {
            return await connecting.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            _ = connecting.ContinueWith(connected => connected.Result.DisposeAsync().AsTask(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        await _following;
        await Current.DisposeAsync();
        if (_sentinels is not null)
        {
            await _sentinels.DisposeAsync();
        }

        _ended.Dispose();
    }

    private static async Task<ConnectionMultiplexer> ConnectAsync(RedisAddress address, EndPoint? master, CancellationToken cancellationToken)
    {
        var options = NewOptions(address);
        if (master is not null)
        {
            options.EndPoints.Add(master);
        }
        else
        {
            foreach (var (host, port) in address.Servers)
            {
                options.EndPoints.Add(host, port);
            }
        }

        try
        {
            return await ConnectAsync(options, cancellationToken);
        }
        catch (Exception e) when (RedisFaults.IsFault(e))
        {
            throw RedisFaults.Of(e, address);
        }
    }

    // Goes over to another master as soon as the sentinels have chosen it.
    private async Task FollowAsync(RedisSentinels sentinels, TimeProvider time)
    {
        using var timer = new PeriodicTimer(AskEvery, time);
        try
        {
            while (await timer.WaitForNextTickAsync(_ended.Token))
            {
                try
                {
                    var master = await sentinels.FindMasterAsync(_ended.Token);
                    if (!master.Equals(_master))
                    {
                        await MoveAsync(master);
                    }
                }
                catch (MirrorException)
                {
                    // They are asked again; calls tell of a master that is away.
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Closed.
        }
    }

    private async Task MoveAsync(EndPoint master)
    {
        var next = await ConnectAsync(_address, master, _ended.Token);
        next.ConnectionFailed += NoteBreak;
        _master = master;
        var last = Interlocked.Exchange(ref _current, next);
        Interlocked.Increment(ref _breaks);
        last.ConnectionFailed -= NoteBreak;

        // Calls under way at the server before fail now, and are made again.
        await last.CloseAsync(allowCommandsToComplete: false);
        await last.DisposeAsync();
    }

    private void NoteBreak(object? sender, ConnectionFailedEventArgs e) => Interlocked.Increment(ref _breaks);
}
