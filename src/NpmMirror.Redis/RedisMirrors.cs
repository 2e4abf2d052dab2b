using NpmMirror.Hosting;

namespace NpmMirror.Redis;

/// <summary>Redis among the engines of a mirror.</summary>
public static class RedisMirrors
{
    /// <summary>Adds the Redis engine.</summary>
    public static MirrorBuilder UseRedis(this MirrorBuilder mirror) => mirror.AddEngine(new RedisEngine());
}
