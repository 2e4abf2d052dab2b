using NpmMirror.Copying;
using NpmMirror.Log;
using NpmMirror.Storage;
using NpmMirror.Tests.MongoDB;
using NpmMirror.Tests.Sqlite;

namespace NpmMirror.Tests.Copying;

/// <summary>Out of MongoDB, which takes no copy in.</summary>
[Trait("Duration", "long")]
public sealed class CopyFromMongoTests(SharedMongo shared)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A mirror is copied out of MongoDB; into it is refused in a sentence")]
    [Fact(Timeout = 120_000)]
    public async Task A_mirror_moves_out_of_MongoDB_but_not_into_it()
    {
        await using var source = MongoServer.Create(await shared.NewLocationAsync());
        await source.OpenAsync(Token);
        await FillAsync(source);
        await using var target = new MemoryStore(TimeProvider.System);
        var summary = await new MirrorCopy(source, target, null, TimeProvider.System).RunAsync(new CopyRequest(), Token);
        Assert.Equal((true, 0, 10L, 1L), (summary.IsFinished, summary.Found, summary.Counts.Packages, summary.Counts.Removed));
        Assert.Equal(await StoreDump.OfAsync(source), await StoreDump.OfAsync(target));

        await using var other = MongoServer.Create(await shared.NewLocationAsync());
        await other.OpenAsync(Token);
        var refused = await Assert.ThrowsAsync<MirrorException>(() => new MirrorCopy(target, other, null, TimeProvider.System).RunAsync(new CopyRequest(), Token));
        Assert.Equal(MirrorFault.BadInput, refused.Fault);
        Assert.Contains("cannot take in a copy", refused.Message, StringComparison.Ordinal);
    }

    private static async Task FillAsync(IMetadataStore store)
    {
        var now = TimeProvider.System.GetUtcNow();
        await Task.WhenAll(Enumerable.Range(0, 11).Select(i => store.Packages.CommitAsync(SecondProcess.Commit($"p{i}"), Token).AsTask()));
        var first = (await store.Packages.FindAsync(PackageName.Parse("p1"), Token))!;
        var changed = new MetadataChanged([new ChangedMember("readme", new OldValue(null, first.DocumentSha256.Hex, 0, 4))]) { SeenAt = now };
        await store.Packages.CommitAsync(SecondProcess.Commit("p1") with { ExpectedGeneration = 1, Document = DocumentCodecs.Encode("another"u8), ArchivesPrevious = true, Events = [EventPayload.ToPending(changed, 0)] }, Token);
        var gone = (await store.Packages.FindAsync(PackageName.Parse("p2"), Token))!;
        var removed = new PackageRemoved(RemovalKind.Gone, null, gone.DocumentSha256.Hex) { SeenAt = now };
        await store.Packages.CommitAsync(SecondProcess.Commit("p2") with { ExpectedGeneration = 1, Facts = gone.Facts with { Removal = RemovalKind.Gone }, Document = null, ArchivesPrevious = true, Events = [EventPayload.ToPending(removed, 0)] }, Token);
        while (await store.Log.NumberEventsAsync(Token) > 0)
        {
            // More may wait.
        }

        Assert.NotNull(await store.Packages.PurgeAsync(new PackagePurge(PackageName.Parse("p3"), 1, [(await store.Packages.FindAsync(PackageName.Parse("p3"), Token))!.LastPosition], []), Token));
        await store.Queue.EnqueueAsync([new QueueItem { Name = PackageName.Parse("q"), Priority = QueuePriority.Bulk, DueAt = now, QueuedAt = now, Attempts = 2, LastError = "no" }], new QueueCursor("read", "7"), Token);
        await store.Tarballs.PutTarballAsync(new TarballRow { Package = PackageName.Parse("p1"), File = "p1-1.tgz", Version = "1", State = TarballState.Missing, Problem = "404" }, Token);
        await store.Tarballs.RecordAccessAsync([new TarballAccess(PackageName.Parse("p1"), "p1-1.tgz", "npm", new DateOnly(2026, 1, 1), 3)], Token);
        await store.Kept.KeepAsync("/keys", new byte[] { 1, 2 }, Token);
    }
}
