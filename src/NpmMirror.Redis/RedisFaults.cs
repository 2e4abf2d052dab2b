using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>Turns the driver's errors into sentences for an operator.</summary>
internal static class RedisFaults
{
    /// <summary>Whether the driver or the server failed, and not the program.</summary>
    internal static bool IsFault(Exception e) => e is RedisException or TimeoutException || IsOfDatabase(e) || (e is AggregateException { InnerException: { } inner } && IsFault(inner));

    /// <summary>The failure in plain words.</summary>
    internal static MirrorException Of(Exception e, RedisAddress address)
    {
        var location = address.Location;
        var text = e.InnerException is RedisException or TimeoutException ? $"{e.Message} {e.InnerException.Message}" : e.Message;
        return e switch
        {
            _ when address.IsSecure && IsOfCertificate(e) =>
                new MirrorException(MirrorFault.Configuration, $"{location} shows a certificate that is not believed: of an unknown authority, of another host, or expired; name the certificate of its authority with ca.", inner: e),
            _ when Says(text, "NOAUTH") || (address.Password is null && IsOfPassword(e, text)) =>
                new MirrorException(MirrorFault.Configuration, $"{location} asks for a password; give it in the location (redis://:password@host) or with store.options.password.", inner: e),
            _ when IsOfPassword(e, text) =>
                new MirrorException(MirrorFault.Configuration, $"{location} refuses this user and password; give the right ones in the location (redis://user:password@host) or with store.options.user and store.options.password.", inner: e),
            _ when Says(text, "NOPERM", "no permissions", "has no permission") =>
                new MirrorException(MirrorFault.Configuration, $"The user at {location} lacks rights that a mirror needs ({Shown(text, "NOPERM")}); give it the rights that docs/storage.md lists.", inner: e),
            _ when Says(text, "OOM command not allowed") =>
                new MirrorException(MirrorFault.StoreReadOnly, $"{location} is full: it holds as much as its maxmemory allows; raise maxmemory or free some: stored packages are served meanwhile, and writing goes on by itself.", isTransient: true, inner: e),
            _ when Says(text, "MISCONF") =>
                new MirrorException(MirrorFault.StoreReadOnly, $"{location} cannot write its disk and takes no more writes; see its log and free some space: stored packages are served meanwhile, and writing goes on by itself.", isTransient: true, inner: e),
            _ when Says(text, "NOREPLICAS") =>
                new MirrorException(MirrorFault.StoreReadOnly, $"{location} has fewer replicas than its min-replicas-to-write asks for; start them: writing goes on by itself.", isTransient: true, inner: e),
            _ when Says(text, "READONLY", "can't write against a read only") =>
                new MirrorException(MirrorFault.StoreReadOnly, $"{location} is a replica, which cannot be written; name the master, or wait until one was chosen.", isTransient: true, inner: e),
            _ when Says(text, "LOADING") =>
                new MirrorException(MirrorFault.StoreUnavailable, $"{location} is loading its data; wait until it is done.", isTransient: true, inner: e),
            _ when Says(text, "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN") =>
                new MirrorException(MirrorFault.StoreUnavailable, $"A part of the cluster at {location} is away; it comes back when a replica has taken over, else see its servers.", isTransient: true, inner: e),
            _ when Says(text, "WRONGTYPE") =>
                new MirrorException(MirrorFault.StoreDamaged, $"{location} has another kind of value under a key of the mirror; give the mirror a prefix or a database of its own.", inner: e),
            _ when IsOfDatabase(e) || Says(text, "DB index is out of range", "invalid DB index") =>
                new MirrorException(MirrorFault.Configuration, $"{location} has no database of this number; name another.", inner: e),
            _ when Says(text, "Lua scripting support disabled") =>
                new MirrorException(MirrorFault.Configuration, $"{location} runs no scripts, which a mirror needs; start it (Garnet) with --lua true --lua-transaction-mode true.", inner: e),
            _ when Says(text, "unknown command") =>
                new MirrorException(MirrorFault.Configuration, $"{location} does not know a command that a mirror needs ({Shown(text, "unknown command")}); it needs Redis 6.2 or newer with scripts (docs/storage.md).", inner: e),
            RedisServerException => new MirrorException(MirrorFault.StoreUnavailable, $"{location} failed ({MirrorException.Quote(e.Message)}); see the server's log.", isTransient: true, inner: e),
            TimeoutException => new MirrorException(MirrorFault.StoreUnavailable, $"{location} did not answer in time; see that the server runs and the way to it is free.", isTransient: true, inner: e),
            _ when address.Sentinel is not null =>
                new MirrorException(MirrorFault.StoreUnavailable, $"The master that the sentinels at {location} name cannot be reached; they choose another one if it stays away, else see that the way to it is free.", isTransient: true, inner: e),
            _ => new MirrorException(MirrorFault.StoreUnavailable, $"{location} cannot be reached; see that the server runs, that host and port are right and that nothing between is closed.", isTransient: true, inner: e),
        };
    }

    /// <summary>The failure of the sentinels themselves in plain words.</summary>
    internal static MirrorException OfSentinels(Exception e, RedisAddress address)
    {
        var location = address.Location;
        var text = e.InnerException is RedisException or TimeoutException ? $"{e.Message} {e.InnerException.Message}" : e.Message;
        return e switch
        {
            _ when address.IsSecure && IsOfCertificate(e) => Of(e, address),
            _ when Says(text, "NOAUTH") || IsOfPassword(e, text) =>
                new MirrorException(MirrorFault.Configuration, $"The sentinels at {location} ask for a password of their own, or for another one; give it with store.options.sentinelPassword, and a user with store.options.sentinelUser.", inner: e),
            RedisServerException =>
                new MirrorException(MirrorFault.Configuration, $"{location} does not answer as a sentinel does ({MirrorException.Quote(e.Message)}); with the option sentinel, name the sentinels and not the servers of data.", inner: e),
            _ => new MirrorException(MirrorFault.StoreUnavailable, $"None of the sentinels at {location} can be reached; see that they run, that hosts and ports are right and that nothing between is closed.", isTransient: true, inner: e),
        };
    }

    private static bool IsOfCertificate(Exception? e) => e is not null && (e is System.Security.Authentication.AuthenticationException || Says(e.Message, "certificate") || IsOfCertificate(e.InnerException));

    private static bool IsOfPassword(Exception e, string text) =>
        Says(text, "WRONGPASS", "invalid password", "AuthenticationFailure", "authentication failure") || e is RedisConnectionException { FailureType: ConnectionFailureType.AuthenticationFailure };

    // Found by the driver itself, which has asked the server or the cluster; other errors of this kind are mistakes of the program.
    private static bool IsOfDatabase(Exception e) => e is RedisCommandException && Says(e.Message, "database does not exist", "Multiple databases are not supported");

    private static bool Says(string text, params ReadOnlySpan<string> words)
    {
        foreach (var word in words)
        {
            if (text.Contains(word, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    // The server's own words, from their beginning, without the driver's words around them.
    private static string Shown(string text, string from)
    {
        var begin = text.IndexOf(from, StringComparison.OrdinalIgnoreCase);
        var shown = begin < 0 ? text : text[begin..];
        var line = shown.IndexOfAny(['\r', '\n']);
        return MirrorException.Quote(line < 0 ? shown : shown[..line]);
    }
}
