using System.Globalization;
using System.Text;
using NpmMirror.Storage;

namespace NpmMirror.Redis;

/// <summary>Leases, each compared and set in one step.</summary>
internal sealed class RedisLeases(RedisSession session) : ILeaseTable
{
    /// <inheritdoc/>
    public async ValueTask<bool> TryHoldLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken)
    {
        var isHeld = false;
        await session.RunAsync(
            $"The lease {name}",
            async () =>
            {
                var now = await session.ReadLeaseClockAsync(cancellationToken);
                var until = StoredMoments.EndOfLease(now, duration);
                var stored = await ReadAsync(name, cancellationToken);
                if (Read(stored) is { } held && held.Owner != owner && StoredMoments.IsHeld(held.Until, now))
                {
                    return true;
                }

                isHeld = await SwapAsync(name, stored, string.Create(CultureInfo.InvariantCulture, $"{until.ToUnixTimeMilliseconds()} {owner}"), cancellationToken);
                return isHeld;
            });
        return isHeld;
    }

    /// <inheritdoc/>
    public ValueTask ReleaseLeaseAsync(string name, string owner, CancellationToken cancellationToken) => session.RunAsync(
        $"The lease {name}",
        async () =>
        {
            // If it changed in between, its owner renewed it at the same time, or it is another owner's.
            var stored = await ReadAsync(name, cancellationToken);
            return Read(stored)?.Owner != owner || await SwapAsync(name, stored, "", cancellationToken);
        });

    // As bytes: what another program wrote there need not be a text, and is compared all the same.
    private async ValueTask<byte[]> ReadAsync(string name, CancellationToken cancellationToken) =>
        (byte[]?)await session.RunAsync(database => database.HashGetAsync(session.Keys.Leases, name, RedisSession.Flags), cancellationToken) ?? [];

    private async ValueTask<bool> SwapAsync(string name, byte[] stored, string changed, CancellationToken cancellationToken) =>
        (bool)await session.RunAsync(RedisScripts.Swap, [session.Keys.Leases], [name, stored, changed], cancellationToken);

    // A text that is no lease holds no owner up.
    private static (string Owner, DateTimeOffset Until)? Read(byte[] stored) => Encoding.UTF8.GetString(stored).Split(' ', 2) is [var until, var owner]
        && long.TryParse(until, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) && milliseconds <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? (owner, DateTimeOffset.FromUnixTimeMilliseconds(milliseconds))
            : null;
}
