using System.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Syncing;

namespace NpmMirror.ScaleBenchmarks;

/// <summary>A mirror's store with the packages of a <see cref="SyntheticRegistry"/>, written through the store's own interface.</summary>
internal static class SyntheticStore
{
    private const int AtOnce = 256;

    private static readonly DateTimeOffset Seen = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// Fills a folder with the first edition of every package, as a mirror leaves it that followed the upstream to sequence 1. One that was cut
    /// short goes on where it was.
    /// </summary>
    internal static async Task FillAsync(string folder, SyntheticRegistry registry, string upstream)
    {
        await using var store = await OpenAsync(folder);
        var clock = Stopwatch.StartNew();

        // Those at work when it was cut short may be missing among the last. As many at once as the store puts into one group.
        var begin = Math.Max(0, (int)(await store.CountAsync(CancellationToken.None)).Packages - AtOnce);
        var done = begin;
        await Parallel.ForAsync(begin, registry.Packages, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (i, cancellationToken) =>
        {
            var result = await store.Packages.CommitAsync(CommitOf(registry, i, 1, 0, upstream), cancellationToken);
            Require(result.IsCommitted || result.Generation == 1);
            if (Interlocked.Increment(ref done) % 200_000 == 0)
            {
                await Console.Error.WriteLineAsync($"  {done:N0} of {registry.Packages:N0} packages, {(done - begin) / clock.Elapsed.TotalSeconds:N0} a second");
            }
        });
        await store.Notes.SetNoteAsync(MirrorCursors.Read, "1", CancellationToken.None);
        await store.Notes.SetNoteAsync(MirrorCursors.Handled, "1", CancellationToken.None);
        await store.Notes.SetNoteAsync(MirrorCursors.Feed, $"{upstream}#{SyntheticUpstream.DatabaseId}", CancellationToken.None);
        await store.Notes.SetNoteAsync(MirrorCursors.Upstream, Identity(upstream), CancellationToken.None);
        // Otherwise each start would compare everything first.
        await store.Notes.SetNoteAsync(MirrorCursors.Scope, new PackageScope(new MirrorOptions { Metadata = MetadataMode.All }).Fingerprint, CancellationToken.None);
    }

    /// <summary>Opens a folder's store.</summary>
    internal static async Task<SqliteStore> OpenAsync(string folder)
    {
        Directory.CreateDirectory(folder);
        var store = new SqliteStore(Path.Combine(folder, SqliteEngine.FileName), TimeProvider.System);
        await store.OpenAsync(CancellationToken.None);
        return store;
    }

    /// <summary>The commit that writes an edition of a package over the generation before it.</summary>
    internal static PackageCommit CommitOf(SyntheticRegistry registry, int i, int edition, long generation, string upstream)
    {
        var name = PackageName.Parse(registry.NameOf(i));
        var raw = registry.DocumentOf(i, edition);
        var index = PackumentReader.Read(raw, name).Index;
        var rev = registry.RevOf(i, edition);
        RegistryEvent change = generation == 0
            ? new PackageAdded(index.Versions.Count, index.DistTags) { SeenAt = Seen, UpstreamRev = rev }
            : new DistTagMoved("latest", "1.0.0", index.DistTags["latest"]) { SeenAt = Seen, UpstreamRev = rev };
        return new PackageCommit
        {
            Name = name,
            ExpectedGeneration = generation,
            Facts = new PackageFacts
            {
                Rev = rev,
                Upstream = Identity(upstream),
                ETag = $"\"{rev[^32..]}\"",
                LastModified = "Thu, 01 Jan 2026 00:00:00 GMT",
                ModifiedAt = index.ModifiedAt,
                FirstSeenAt = Seen,
                StoredAt = Seen,
            },
            Document = DocumentCodecs.Encode(raw),
            Index = index.ToBytes(),
            Events = [EventPayload.ToPending(change, 0)],
        };
    }

    /// <summary>Stops the run when a figure would mean nothing.</summary>
    internal static void Require(bool isRight)
    {
        if (!isRight)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, "The store did not do what was asked; the figures would mean nothing.");
        }
    }

    private static string Identity(string upstream) => $"{upstream}/#{SyntheticUpstream.DatabaseId}";
}
