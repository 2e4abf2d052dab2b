using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>Looks at the server's settings, and warns once if they may lose acknowledged writes.</summary>
internal static partial class RedisDurability
{
    /// <summary>Logs one warning with all problems, or with the fact that the settings cannot be read.</summary>
    internal static async Task WarnAsync(RedisSession session, ILogger logger, CancellationToken cancellationToken)
    {
        var problems = new SortedSet<string>(StringComparer.Ordinal);
        var isGarnet = await RedisSteps.FindGarnetAsync(session, cancellationToken) is not null;
        if (isGarnet)
        {
            problems.Add("a Garnet server cannot be asked whether it keeps what does not fit into its memory and whether it writes before it answers (see yourself to --storage-tier true, or a --memory above all that is stored, and to --aof-commit-wait true)");
        }

        foreach (var server in session.Masters)
        {
            try
            {
                var append = await ReadAsync(server, "appendonly", cancellationToken);
                var sync = await ReadAsync(server, "appendfsync", cancellationToken);
                var policy = await ReadAsync(server, "maxmemory-policy", cancellationToken);
                if (isGarnet)
                {
                    if (append != "yes")
                    {
                        problems.Add("it writes no files: all is lost when it ends (start it with --aof true --recover true)");
                    }

                    continue;
                }

                if (append != "yes")
                {
                    problems.Add("appendonly is no: all since its last snapshot is lost when it ends (set appendonly yes)");
                }
                else if (sync is not ("always" or "everysec"))
                {
                    problems.Add($"appendfsync is {sync}: a power cut loses more than a second (set everysec, or always)");
                }

                if (policy != "noeviction")
                {
                    problems.Add($"maxmemory-policy is {policy}: it throws packages away when it is full (set noeviction)");
                }
            }
            catch (Exception e) when (RedisFaults.IsFault(e))
            {
                problems.Add("its settings cannot be asked for (allow CONFIG GET, or see yourself to appendonly yes, appendfsync everysec or always, maxmemory-policy noeviction)");
            }
        }

        if (problems.Count > 0)
        {
            LogProblems(logger, session.Location, string.Join("; ", problems));
        }
    }

    private static async Task<string?> ReadAsync(IServer server, string name, CancellationToken cancellationToken)
    {
        var settings = await server.ConfigGetAsync(name, RedisSession.Flags).WaitAsync(cancellationToken);
        return settings.FirstOrDefault(setting => setting.Key == name).Value;
    }

    [LoggerMessage(1, LogLevel.Warning, "Redis at {Location} may lose acknowledged writes: {Problems}. docs/storage.md lists the settings that a mirror needs.")]
    private static partial void LogProblems(ILogger logger, string location, string problems);
}
