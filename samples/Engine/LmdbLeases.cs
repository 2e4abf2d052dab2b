using NpmMirror.Storage;

namespace Engine;

/// <summary>Leases, which end by the clock of this machine.</summary>
internal sealed class LmdbLeases(LmdbSession session) : ILeaseTable
{
    public ValueTask<bool> TryHoldLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken)
    {
        var until = StoredMoments.EndOfLease(session.Now, duration);
        return session.WriteAsync(
            transaction =>
            {
                if (transaction.FindRow<Lease>(Table.Leases, Keys.Of(name)) is { } held && held.Owner != owner && StoredMoments.IsHeld(held.Until, session.Now))
                {
                    return false;
                }

                transaction.PutRow(Table.Leases, Keys.Of(name), new Lease(owner, until));
                return true;
            },
            cancellationToken);
    }

    public async ValueTask ReleaseLeaseAsync(string name, string owner, CancellationToken cancellationToken) => await session.WriteAsync(
        transaction =>
        {
            if (transaction.FindRow<Lease>(Table.Leases, Keys.Of(name))?.Owner == owner)
            {
                transaction.Remove(Table.Leases, Keys.Of(name));
            }

            return true;
        },
        cancellationToken);

    private sealed record Lease(string Owner, DateTimeOffset Until);
}
