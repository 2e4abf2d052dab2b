using System.Text;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

/// <summary>What is left of a store whose writers were killed or cut off.</summary>
internal static class WholeStore
{
    /// <summary>
    /// Every package has its document, its index and its three events (<see cref="Sqlite.SecondProcess.Commit"/>); the chain is whole; the counters are right.
    /// Returns the packages.
    /// </summary>
    internal static async Task<HashSet<string>> AssertAsync(IMetadataStore store)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var hash = ChainHash.Genesis;
        var events = new Dictionary<string, int>();
        await foreach (var row in store.Log.ReadLogAsync(LogPosition.Zero, cancellation))
        {
            hash = ChainHash.Next(hash, row);
            Assert.Equal(row.Hash, hash);
            Assert.Equal(events.GetValueOrDefault(row.Package.Value), row.Ordinal);
            events[row.Package.Value] = row.Ordinal + 1;
        }

        Assert.All(events.Values, count => Assert.Equal(3, count));
        await foreach (var row in store.Packages.ListAsync(null, false, cancellation))
        {
            var package = await store.Packages.ReadAsync(row.Name, cancellation);
            using var reader = new StreamReader(DocumentCodecs.OpenDecoded(row.Name, package!.Document));
            Assert.Equal($"document of {row.Name}", await reader.ReadToEndAsync(cancellation));
            Assert.Equal($"index of {row.Name}", Encoding.UTF8.GetString(row.Index.Span));
            Assert.True(events.ContainsKey(row.Name.Value));
        }

        var counts = await store.CountAsync(cancellation);
        Assert.Equal(events.Count, counts.Packages);
        Assert.Equal(events.Keys.Sum(name => $"document of {name}".Length), counts.RawBytes);
        return [.. events.Keys];
    }
}
