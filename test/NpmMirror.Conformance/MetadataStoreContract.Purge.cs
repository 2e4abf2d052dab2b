using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

public abstract partial class MetadataStoreContract
{
    [Fact]
    public async Task Reads_the_history_of_one_package()
    {
        await CommitAsync("a", 0, "first", events: 2);
        await CommitAsync("b", 0, "first");
        await CommitAsync("a", 1, "second", events: 1);
        var all = await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation));
        var history = await AllAsync(Store.Log.ReadHistoryAsync(Name("a"), Cancellation));
        Assert.Equal(all.Where(row => row.Package == Name("a")).Select(row => (row.Position, row.Hash)), history.Select(row => (row.Position, row.Hash)));
        Assert.Equal([1L, 2L, 4L], history.Select(row => row.Position.Value));
        Assert.Empty(await AllAsync(Store.Log.ReadHistoryAsync(Name("A"), Cancellation)));
    }

    [Fact]
    public async Task Reads_more_history_than_a_page()
    {
        await CommitAsync("a", 0, "first", events: 700);
        Assert.Equal(700, (await AllAsync(Store.Log.ReadHistoryAsync(Name("a"), Cancellation))).Count);
    }

    [Fact]
    public async Task Purges_payloads_and_documents_and_the_chain_still_verifies()
    {
        await CommitAsync("a", 0, "first", events: 2);
        await Store.Packages.CommitAsync(NewCommit("a", 1, "second") with { ArchivesPrevious = true }, Cancellation);
        await Store.Packages.CommitAsync(NewCommit("a", 2, null) with { ArchivesPrevious = true }, Cancellation);
        await CommitAsync("b", 0, "first");
        var (head, before) = (await Store.Log.ReadHeadAsync(Cancellation), await Store.Packages.FindAsync(Name("a"), Cancellation));

        LogPosition[] payloads = [new(2), new(5), new(99)];
        Digest[] documents = [Document("first").Sha256, Document("second").Sha256, Document("never").Sha256];
        Assert.Null(await Store.Packages.PurgeAsync(new PackagePurge(Name("a"), 2, payloads, documents), Cancellation));
        Assert.NotNull((await Store.Packages.ReadArchivedAsync(Name("a"), documents[0], Cancellation))!.Bytes.ToArray());
        var bytes = Document("first").Bytes.Length + Document("second").Bytes.Length + 1;
        Assert.Equal(bytes, await Store.Packages.PurgeAsync(new PackagePurge(Name("a"), 3, payloads, documents), Cancellation));

        // The rest stays: the row, digests and lengths; and everything of others.
        var after = await Store.Packages.ReadAsync(Name("a"), Cancellation);
        Assert.Equal(new StoredDocument(DocumentCodec.Purged, ReadOnlyMemory<byte>.Empty, "second".Length, documents[1]), after!.Document with { Bytes = ReadOnlyMemory<byte>.Empty });
        Assert.True(after.Document.Bytes.IsEmpty);
        Assert.Equal((4, before!.DocumentSha256, before.LastPosition), (after.Row.Generation, after.Row.DocumentSha256, after.Row.LastPosition));
        var archived = await Store.Packages.ReadArchivedAsync(Name("a"), documents[0], Cancellation);
        Assert.Equal((DocumentCodec.Purged, 0, "first".Length), (archived!.Codec, archived.Bytes.Length, archived.RawSizeBytes));
        Assert.Equal("first", Text((await Store.Packages.ReadAsync(Name("b"), Cancellation))!.Document));

        var rows = await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation));
        Assert.Equal([true, false, true, true, true], rows.Select(row => row.Payload is not null));
        AssertChain(rows, head);
        Assert.Equal(0, await Store.Packages.PurgeAsync(new PackagePurge(Name("a"), 4, payloads, documents), Cancellation));
    }

    [Fact]
    public async Task Takes_a_new_document_after_a_purge()
    {
        await CommitAsync("a", 0, "first");
        await Store.Packages.CommitAsync(NewCommit("a", 1, null) with { ArchivesPrevious = true }, Cancellation);
        await Store.Packages.PurgeAsync(new PackagePurge(Name("a"), 2, [], [Document("first").Sha256]), Cancellation);
        Assert.False((await CommitAsync("a", 2, "second")).IsCommitted);
        Assert.True((await CommitAsync("a", 3, "second")).IsCommitted);
        Assert.Equal("second", Text((await Store.Packages.ReadAsync(Name("a"), Cancellation))!.Document));
        Assert.Equal(DocumentCodec.Purged, (await Store.Packages.ReadArchivedAsync(Name("a"), Document("first").Sha256, Cancellation))!.Codec);
        Assert.Null(await Store.Packages.PurgeAsync(new PackagePurge(Name("nobody"), 0, [], []), Cancellation));
    }
}
