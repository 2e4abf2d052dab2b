using System.Globalization;
using NpmMirror.Storage;

namespace NpmMirror.Redis;

/// <summary>Leases, each compared and set in one step.</summary>
internal sealed class RedisLeases(RedisSession session) : ILeaseTable
{
    /// <inheritdoc/>
    public async ValueTask<bool> TryHoldLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken)
    {
        while (true)
        {
            var now = await session.ReadLeaseClockAsync(cancellationToken);
            var until = StoredMoments.EndOfLease(now, duration);
            var stored = await ReadAsync(name, cancellationToken);
            if (Read(stored) is { } held && held.Owner != owner && StoredMoments.IsHeld(held.Until, now))
            {
                return false;
            }

            if (await SwapAsync(name, stored, string.Create(CultureInfo.InvariantCulture, $"{until.ToUnixTimeMilliseconds()} {owner}"), cancellationToken))
            {
                return true;
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask ReleaseLeaseAsync(string name, string owner, CancellationToken cancellationToken)
    {
        // If it changed in between, its owner renewed it at the same time, or it is another owner's.
        var isReleased = false;
        while (!isReleased)
        {
            var stored = await ReadAsync(name, cancellationToken);
            isReleased = Read(stored)?.Owner != owner || await SwapAsync(name, stored, "", cancellationToken);
        }
    }

    private async ValueTask<string> ReadAsync(string name, CancellationToken cancellationToken) =>
        (string?)await session.RunAsync(database => database.HashGetAsync(session.Keys.Leases, name, RedisSession.Flags), cancellationToken) ?? "";

    private async ValueTask<bool> SwapAsync(string name, string stored, string changed, CancellationToken cancellationToken) =>
        (bool)await session.RunAsync(RedisScripts.Swap, [session.Keys.Leases], [name, stored, changed], cancellationToken);

    // A text that is no lease holds no owner up.
    private static (string Owner, DateTimeOffset Until)? Read(string text) => text.Split(' ', 2) is [var until, var owner]
        && long.TryParse(until, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) && milliseconds <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? (owner, DateTimeOffset.FromUnixTimeMilliseconds(milliseconds))
            : null;
}
