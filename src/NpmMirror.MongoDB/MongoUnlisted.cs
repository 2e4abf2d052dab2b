using System.Runtime.CompilerServices;
using MongoDB.Bson;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>Documents that no listing gives, because the name that they are found by is no package's.</summary>
internal static class MongoUnlisted
{
    private static readonly (string Collection, string Field)[] Named = [(PackageDocument.Collection, "_id"), (QueueDocument.Collection, "_id"), (TarballDocument.Collection, "package")];

    /// <summary>See <see cref="IMetadataStore.ListUnlistedAsync"/>.</summary>
    internal static async IAsyncEnumerable<StoreDamage> ListAsync(MongoSession session, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var (collection, field) in Named)
        {
            await foreach (var stored in MongoPages.ListAsync(session, collection, null, new BsonDocument(field, 1), cancellationToken))
            {
                if (!PackageName.TryParse(stored.Text(field), out _))
                {
                    yield return new StoreDamage(collection, stored.Shown(field), field, stored.Shown(field));
                }
            }
        }
    }
}
