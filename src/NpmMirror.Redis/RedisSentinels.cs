using System.Net;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>The sentinels, which know what server is the master. All are asked, and the newest answer counts: one that is cut off goes on telling the old one.</summary>
internal sealed class RedisSentinels : IAsyncDisposable
{
    private readonly RedisAddress _address;
    private readonly ConnectionMultiplexer _connection;
    private long _epoch;

    private RedisSentinels(RedisAddress address, ConnectionMultiplexer connection) => (_address, _connection) = (address, connection);

    /// <summary>Connects to those of the sentinels that can be reached.</summary>
    /// <exception cref="MirrorException">None can, or they want another password.</exception>
    internal static async Task<RedisSentinels> ConnectAsync(RedisAddress address, CancellationToken cancellationToken)
    {
        var options = RedisConnection.NewOptions(address);
        options.CommandMap = CommandMap.Sentinel;
        options.DefaultDatabase = null;
        (options.User, options.Password) = (address.SentinelUser, address.SentinelPassword);
        foreach (var (host, port) in address.Servers)
        {
            options.EndPoints.Add(host, port);
        }

        try
        {
            return new RedisSentinels(address, await RedisConnection.ConnectAsync(options, cancellationToken));
        }
        catch (Exception e) when (RedisFaults.IsFault(e))
        {
            throw RedisFaults.OfSentinels(e, address);
        }
    }

    /// <summary>Asks for the master.</summary>
    /// <exception cref="MirrorException">No sentinel answers, or none knows the name, or those that know a newer master are away.</exception>
    internal async Task<EndPoint> FindMasterAsync(CancellationToken cancellationToken)
    {
        var answers = await Task.WhenAll(_connection.GetServers().Where(server => server.IsConnected).Select(AskAsync)).WaitAsync(cancellationToken);
        var newest = answers.Where(answer => answer.Master is not null).MaxBy(answer => answer.Epoch);
        if (newest is { Master: { } master } && newest.Epoch >= _epoch)
        {
            _epoch = newest.Epoch;
            return master;
        }

        if (newest is null && answers.Length > 0 && answers.All(answer => answer.Failure is null))
        {
            throw new MirrorException(
                MirrorFault.Configuration,
                $"The sentinels at {_address.Location} know no master of the name {MirrorException.Quote(_address.Sentinel!)}; give with sentinel the name that their configuration has after “sentinel monitor”.");
        }

        throw RedisFaults.OfSentinels(answers.Select(answer => answer.Failure).FirstOrDefault(failure => failure is not null) ?? new RedisException("No sentinel answers."), _address);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private async Task<Answer> AskAsync(IServer server)
    {
        try
        {
            // The address first: from the moment of a promotion on it is the new one, and the epoch is the new one's.
            var master = await server.SentinelGetMasterAddressByNameAsync(_address.Sentinel!);
            var facts = master is null ? [] : await server.SentinelMasterAsync(_address.Sentinel!);
            return new Answer(master, long.TryParse(facts.FirstOrDefault(fact => fact.Key == "config-epoch").Value, out var epoch) ? epoch : 0, null);
        }
        catch (Exception e) when (RedisFaults.IsFault(e))
        {
            return new Answer(null, 0, e);
        }
    }

    private sealed record Answer(EndPoint? Master, long Epoch, Exception? Failure);
}
