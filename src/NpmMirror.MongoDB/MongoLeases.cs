using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>Leases, each compared and set in one step.</summary>
internal sealed class MongoLeases(MongoSession session) : ILeaseTable
{
    internal const string Collection = "leases";

    /// <inheritdoc/>
    public async ValueTask<bool> TryHoldLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken)
    {
        while (true)
        {
            var now = await session.ReadLeaseClockAsync(cancellationToken);
            var until = StoredMoments.EndOfLease(now, duration);
            var id = new BsonDocument("_id", BsonValues.Text(name));
            var stored = await session.RunAsync(Collection, (leases, token) => leases.Find(id).FirstOrDefaultAsync(token)!, cancellationToken);
            if (stored is not null && stored.Text("owner") is { } holder && holder != owner && stored.Moment("until") is { } end && StoredMoments.IsHeld(end, now))
            {
                return false;
            }

            var lease = new BsonDocument(id) { ["owner"] = BsonValues.Text(owner), ["until"] = BsonValues.Moment(until), ["write"] = Guid.NewGuid().ToString("N") };
            if (await WriteAsync(id, stored, lease, cancellationToken))
            {
                return true;
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask ReleaseLeaseAsync(string name, string owner, CancellationToken cancellationToken) => await session.RunAsync(
        Collection,
        (leases, token) => leases.DeleteOneAsync(new BsonDocument { ["_id"] = BsonValues.Text(name), ["owner"] = BsonValues.Text(owner) }, token),
        cancellationToken);

    // If the answer was lost, the next look finds the owner's own lease.
    private async ValueTask<bool> WriteAsync(BsonDocument id, BsonDocument? stored, BsonDocument lease, CancellationToken cancellationToken)
    {
        try
        {
            return await session.RunAsync(
                Collection,
                async (leases, token) =>
                {
                    if (stored is null)
                    {
                        await leases.InsertOneAsync(lease, null, token);
                        return true;
                    }

                    var result = await leases.ReplaceOneAsync(new BsonDocument(id).Set("write", stored.GetValue("write", BsonNull.Value)), lease, (ReplaceOptions?)null, token);
                    return result.MatchedCount == 1;
                },
                cancellationToken);
        }
        catch (MongoException e) when (MongoFaults.IsDuplicate(e))
        {
            return false;
        }
    }
}
