namespace NpmMirror.Redis;

/// <summary>Changes that compare first, and are tried again if another writer was faster: so often and no more.</summary>
internal static class RedisRaces
{
    // Each failed try means that another writer's change was made: among those that mean well, this many in a row do not come about.
    private const int TriesMax = 250;

    /// <summary>Tries until a try says that it is done.</summary>
    /// <param name="session">Where.</param>
    /// <param name="what">What is changed, for the message.</param>
    /// <param name="tryOnce">Reads, decides and compares; false if another writer was faster.</param>
    /// <exception cref="MirrorException">Others were faster each time.</exception>
    internal static async ValueTask RunAsync(this RedisSession session, string what, Func<ValueTask<bool>> tryOnce)
    {
        for (var tries = 0; tries < TriesMax; tries++)
        {
            if (await tryOnce())
            {
                return;
            }
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"{what} at {session.Location} is changed by others all the time; see what other program writes there, and try again.", isTransient: true);
    }
}
