using System.Globalization;
using System.Runtime.CompilerServices;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>Counts of downloads: a document a tarball, client and day.</summary>
internal sealed class MongoAccesses(MongoSession session)
{
    internal const string Collection = "accesses";
    private const string DayForm = "yyyy-MM-dd";
    private const int WritesMax = 500;

    internal async ValueTask RecordAsync(IReadOnlyList<TarballAccess> accesses, CancellationToken cancellationToken)
    {
        var sums = accesses.GroupBy(access => access with { Count = 0 }).Select(group => group.Key with { Count = group.Sum(access => access.Count) });
        foreach (var page in sums.Chunk(WritesMax))
        {
            List<WriteModel<BsonDocument>> writes = [.. page.Select(access => new UpdateOneModel<BsonDocument>(
                new BsonDocument("_id", new BsonDocument
                {
                    ["package"] = access.Package.Value,
                    ["file"] = BsonValues.Text(access.File),
                    ["client"] = BsonValues.Text(access.Client),
                    ["day"] = access.Day.ToString(DayForm, CultureInfo.InvariantCulture),
                }),
                new BsonDocument
                {
                    ["$inc"] = new BsonDocument("count", access.Count),
                    ["$setOnInsert"] = new BsonDocument("day", access.Day.ToString(DayForm, CultureInfo.InvariantCulture)),
                }) { IsUpsert = true })];
            try
            {
                await session.RunAsync(Collection, (counts, token) => counts.BulkWriteAsync(writes, new BulkWriteOptions { IsOrdered = false }, token), cancellationToken);
            }
            catch (MongoBulkWriteException<BsonDocument> e) when (MongoFaults.IsDuplicate(e))
            {
                // Another process was the first with these: now they are there.
                List<WriteModel<BsonDocument>> left = [.. e.WriteErrors.Select(error => writes[error.Index])];
                await session.RunAsync(Collection, (counts, token) => counts.BulkWriteAsync(left, new BulkWriteOptions { IsOrdered = false }, token), cancellationToken);
            }
        }
    }

    internal async IAsyncEnumerable<TarballAccess> ListAsync(PackageName package, string? file, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var beginning = MongoPages.Beginning(new BsonDocument("package", package.Value).With("file", BsonValues.Bson(file)));
        await foreach (var stored in MongoPages.ListAsync(session, Collection, beginning, null, cancellationToken))
        {
            if (stored.Part("_id") is { } id && id.Text("file") is { } ofFile && id.Text("client") is { } client && stored.Number("count") is { } count
                && DateOnly.TryParseExact(id.Text("day"), DayForm, CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
            {
                yield return new TarballAccess(package, ofFile, client, day, count);
            }
        }
    }

    internal async ValueTask<int> ForgetAsync(DateOnly before, CancellationToken cancellationToken)
    {
        var filter = new BsonDocument("day", new BsonDocument("$lt", before.ToString(DayForm, CultureInfo.InvariantCulture)));
        var result = await session.RunAsync(Collection, (counts, token) => counts.DeleteManyAsync(filter, token), cancellationToken);
        return (int)Math.Min(result.DeletedCount, int.MaxValue);
    }
}
