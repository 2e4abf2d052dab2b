using System.Collections.Concurrent;

namespace NpmMirror.Redis;

/// <summary>
/// Refuses a server whose scripts are not one step each. Those of Redis are. Garnet's are if it was started with <c>--lua-transaction-mode</c>; it cannot be
/// asked for that, so a script looks whether a key changes below it.
/// </summary>
internal static class RedisSteps
{
    // Servers of this process that were looked at: a server that starts anew has another id.
    private static readonly ConcurrentDictionary<string, bool> Checked = new(StringComparer.Ordinal);

    // The script knows when it ends; Garnet would wait for it without end.
    private const string Watch =
        """
        local function now()
          local time = redis.call('TIME')
          return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
        end
        local before, until_ = redis.call('GET', KEYS[1]), now() + 500
        while now() < until_ do
          if redis.call('GET', KEYS[1]) ~= before then return 1 end
        end
        return 0
        """;

    /// <exception cref="MirrorException">Scripts are not one step each.</exception>
    internal static async Task CheckAsync(RedisSession session, CancellationToken cancellationToken)
    {
        if (await FindGarnetAsync(session, cancellationToken) is not { } server || !Checked.TryAdd(server, true))
        {
            return;
        }

        try
        {
            await LookAsync(session, cancellationToken);
        }
        catch
        {
            Checked.TryRemove(server, out _);
            throw;
        }
    }

    /// <summary>The id of the server if it is Garnet.</summary>
    internal static async Task<string?> FindGarnetAsync(RedisSession session, CancellationToken cancellationToken)
    {
        foreach (var server in session.Masters)
        {
            try
            {
                var facts = (await server.InfoAsync("server", RedisSession.Flags).WaitAsync(cancellationToken)).SelectMany(section => section).ToList();
                if (facts.Exists(fact => fact.Key == "garnet_version"))
                {
                    return facts.Find(fact => fact.Key == "run_id").Value ?? "";
                }
            }
            catch (Exception e) when (RedisFaults.IsFault(e))
            {
                // A user without the right to ask.
            }
        }

        return null;
    }

    private static async Task LookAsync(RedisSession session, CancellationToken cancellationToken)
    {
        if (session.Address.Replicas > 0)
        {
            throw new MirrorException(MirrorFault.Configuration, $"{session.Location} is a Garnet server, which cannot wait for replicas (it has no WAIT); leave replicas out.");
        }

        // On a connection of its own: what one connection sends waits for its script anyway.
        await using var other = await RedisConnection.OpenAsync(session.Address, session.Time, cancellationToken);
        var isWriting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var writing = WriteAsync();
        try
        {
            await Task.WhenAny(isWriting.Task, writing);
            if ((bool)await session.RunAsync(Watch, [session.Keys.Probes], [], cancellationToken))
            {
                throw new MirrorException(MirrorFault.Configuration, $"{session.Location} is a Garnet server that mixes the scripts of its clients; start it with --lua true --lua-transaction-mode true.");
            }
        }
        finally
        {
            await ended.CancelAsync();
            await writing;
        }

        async Task WriteAsync()
        {
            try
            {
                while (!ended.IsCancellationRequested)
                {
                    await other.Current.GetDatabase().StringIncrementAsync(session.Keys.Probes, 1, RedisSession.Flags).WaitAsync(ended.Token);
                    isWriting.TrySetResult();
                }
            }
            catch (Exception e) when (RedisFaults.IsFault(e) || e is OperationCanceledException)
            {
                // The script's own call tells of a server that is away.
            }
        }
    }
}
