using System.Text;
using NpmMirror.Log;
using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

/// <summary>The promises of <see cref="IMetadataStore.Import"/>; of an engine that has none they ask nothing.</summary>
public abstract partial class MetadataStoreContract
{
    [Fact]
    public async Task Takes_over_a_package_as_it_is()
    {
        if (Store.Import is not { } import)
        {
            return;
        }

        var package = Imported("express", generation: 7, position: 41, "first");
        for (var time = 0; time < 2; time++)
        {
            await import.PutPackageAsync(package, isPinned: false, Cancellation);
            var read = (await Store.Packages.ReadAsync(Name("express"), Cancellation))!;
            Assert.Equal(package.Row with { Index = default }, read.Row with { Index = default });
            Assert.Equal(package.Row.Index.ToArray(), read.Row.Index.ToArray());
            Assert.Equal("first", Text(read.Document));
            Assert.Null(await Store.Packages.ReadArchivedAsync(Name("express"), Document("first").Sha256, Cancellation));
            Assert.Equal(["express"], await NamesAsync(Store.Packages.ListAsync(null, false, Cancellation)));
            Assert.Equal(new StoreCounts(1, 0, 5, 0, 0, 0), await Store.CountAsync(Cancellation));
        }

        Assert.Equal(new PackageMark(Name("express"), "9-a", "u"), Assert.Single(await AllAsync(Store.Packages.ListMarksAsync("", false, Cancellation))));

        // Into the graveyard, and the next commit goes on from there.
        var removed = Imported("express", generation: 8, position: 42, "second!");
        removed = removed with { Row = removed.Row with { Facts = removed.Row.Facts with { Removal = RemovalKind.Gone } } };
        await import.PutPackageAsync(removed, isPinned: true, Cancellation);
        Assert.Empty(await NamesAsync(Store.Packages.ListAsync(null, false, Cancellation)));
        Assert.Equal(["express"], await NamesAsync(Store.Packages.ListAsync(null, true, Cancellation)));
        Assert.Equal(new StoreCounts(0, 1, 7, 0, 0, 0), await Store.CountAsync(Cancellation));
        Assert.True((await CommitAsync("express", 8, "third", events: 0)).IsCommitted);
        Assert.Equal(9, (await Store.Packages.FindAsync(Name("express"), Cancellation))!.Generation);
    }

    [Fact]
    public async Task Archives_a_pinned_document_that_is_put_over()
    {
        if (Store.Import is not { } import)
        {
            return;
        }

        var (first, second) = (Document("first").Sha256, Document("second").Sha256);
        await import.PutPackageAsync(Imported("express", 1, 1, "first"), isPinned: true, Cancellation);
        Assert.Equal("first", Text((await Store.Packages.ReadArchivedAsync(Name("express"), first, Cancellation))!));
        await import.PutPackageAsync(Imported("express", 2, 2, "second"), isPinned: false, Cancellation);
        Assert.Equal("first", Text((await Store.Packages.ReadArchivedAsync(Name("express"), first, Cancellation))!));
        await import.PutPackageAsync(Imported("express", 3, 3, "third"), isPinned: false, Cancellation);
        Assert.Null(await Store.Packages.ReadArchivedAsync(Name("express"), second, Cancellation));
    }

    [Fact]
    public async Task Takes_over_documents_of_the_past()
    {
        if (Store.Import is not { } import)
        {
            return;
        }

        var past = Document("past");
        var purged = Document("purged") with { Codec = DocumentCodec.Purged, Bytes = default };
        Assert.False(await import.PutArchivedAsync(Name("express"), past, Cancellation));
        Assert.Null(await Store.Packages.ReadArchivedAsync(Name("express"), past.Sha256, Cancellation));

        await import.PutPackageAsync(Imported("express", 1, 1, "now"), isPinned: true, Cancellation);
        for (var time = 0; time < 2; time++)
        {
            Assert.True(await import.PutArchivedAsync(Name("express"), past, Cancellation));
            Assert.True(await import.PutArchivedAsync(Name("express"), purged, Cancellation));
            Assert.True(await import.PutArchivedAsync(Name("express"), Document("now"), Cancellation));
        }

        Assert.Equal("past", Text((await Store.Packages.ReadArchivedAsync(Name("express"), past.Sha256, Cancellation))!));
        Assert.Equal(DocumentCodec.Purged, (await Store.Packages.ReadArchivedAsync(Name("express"), purged.Sha256, Cancellation))!.Codec);

        // A document that was dropped on purpose does not come back.
        await Store.Packages.PurgeAsync(new PackagePurge(Name("express"), 1, [], [past.Sha256]), Cancellation);
        Assert.True(await import.PutArchivedAsync(Name("express"), past, Cancellation));
        Assert.Equal(DocumentCodec.Purged, (await Store.Packages.ReadArchivedAsync(Name("express"), past.Sha256, Cancellation))!.Codec);
    }

    [Fact]
    public async Task Takes_over_a_document_that_was_purged()
    {
        if (Store.Import is not { } import)
        {
            return;
        }

        var package = Imported("express", 3, 1, "secret");
        await import.PutPackageAsync(package, isPinned: false, Cancellation);
        await import.PutPackageAsync(package with { Document = package.Document with { Codec = DocumentCodec.Purged, Bytes = default } }, isPinned: true, Cancellation);
        var read = (await Store.Packages.ReadAsync(Name("express"), Cancellation))!;
        Assert.Equal((DocumentCodec.Purged, 0, 6, Document("secret").Sha256), (read.Document.Codec, read.Document.Bytes.Length, read.Document.RawSizeBytes, read.Document.Sha256));
        Assert.Equal(DocumentCodec.Purged, (await Store.Packages.ReadArchivedAsync(Name("express"), read.Document.Sha256, Cancellation))!.Codec);
    }

    [Fact]
    public async Task Takes_over_a_log_as_it_is_and_goes_on_with_it()
    {
        if (Store.Import is not { } import)
        {
            return;
        }

        List<LogRow> rows = [.. Chained("a", "b", "a", "b", "b")];
        rows[1] = rows[1] with { Payload = null };
        await import.PutPackageAsync(Imported("a", 2, 3, "a"), isPinned: false, Cancellation);
        await import.PutPackageAsync(Imported("b", 3, 5, "b"), isPinned: false, Cancellation);
        Assert.Equal(2, await import.AppendLogAsync(rows[..2], Cancellation));
        Assert.Equal(new LogHead(new LogPosition(2), rows[1].Hash), await Store.Log.ReadHeadAsync(Cancellation));
        Assert.Equal(3, await import.AppendLogAsync(rows[2..], Cancellation));
        Assert.Equal(0, await import.AppendLogAsync([], Cancellation));

        AssertSame(rows, await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation)));
        AssertSame([rows[1], rows[3], rows[4]], await AllAsync(Store.Log.ReadHistoryAsync(Name("b"), Cancellation)));
        Assert.Equal(["a", "b"], await NamesAsync(Store.Packages.ListChangesAsync(LogPosition.Zero, false, Cancellation)));
        Assert.Equal(0, await Store.Log.NumberEventsAsync(Cancellation));

        await CommitAsync("a", 2, "next");
        var all = await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation));
        Assert.Equal((new LogPosition(6), 3L), (all[^1].Position, all[^1].Generation));
        AssertChain(all, await Store.Log.ReadHeadAsync(Cancellation));
        Assert.Equal(["b", "a"], await NamesAsync(Store.Packages.ListChangesAsync(LogPosition.Zero, false, Cancellation)));
    }

    [Fact]
    public async Task Takes_no_row_that_does_not_continue_the_log()
    {
        if (Store.Import is not { } import)
        {
            return;
        }

        var rows = Chained("a", "a", "a");
        await import.PutPackageAsync(Imported("a", 3, 3, "a"), isPinned: false, Cancellation);
        await import.AppendLogAsync(rows[..1], Cancellation);
        LogRow[][] wrong =
        [
            [rows[0]],
            [rows[2]],
            [rows[1] with { Payload = Encoding.UTF8.GetBytes("other") }],
            [rows[1] with { Type = "Other" }],
            [rows[1], rows[2] with { Hash = rows[0].Hash }],
        ];
        foreach (var batch in wrong)
        {
            var refused = await Assert.ThrowsAsync<MirrorException>(async () => await import.AppendLogAsync(batch, Cancellation));
            Assert.Equal(MirrorFault.StoreDamaged, refused.Fault);
            AssertSame(rows[..1], await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation)));
        }

        Assert.Equal(2, await import.AppendLogAsync(rows[1..], Cancellation));
    }

    [Fact]
    public async Task Takes_log_rows_only_of_packages_that_are_there()
    {
        if (Store.Import is not { } import)
        {
            return;
        }

        var rows = Chained("a", "b", "a");
        Assert.Equal(0, await import.AppendLogAsync(rows, Cancellation));
        await import.PutPackageAsync(Imported("a", 2, 3, "a"), isPinned: false, Cancellation);
        Assert.Equal(1, await import.AppendLogAsync(rows, Cancellation));
        await import.PutPackageAsync(Imported("b", 1, 2, "b"), isPinned: false, Cancellation);
        Assert.Equal(2, await import.AppendLogAsync(rows[1..], Cancellation));
        AssertSame(rows, await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation)));
    }

    private StoredPackage Imported(string name, long generation, long position, string text)
    {
        var document = Document(text);
        return new StoredPackage(
            new PackageRow
            {
                Name = Name(name),
                Generation = generation,
                Facts = Facts() with { Rev = "9-a", Ancestors = "8-a 7-a", Upstream = "u", ETag = "\"e\"", LastModified = "then", ModifiedAt = Clock.GetUtcNow() },
                LastPosition = new LogPosition(position),
                Index = Encoding.UTF8.GetBytes("index of " + text),
                DocumentSha256 = document.Sha256,
                RawSizeBytes = document.RawSizeBytes,
            },
            document);
    }

    private LogRow[] Chained(params string[] packages)
    {
        var (rows, head, generations) = (new List<LogRow>(), new LogHead(LogPosition.Zero, ChainHash.Genesis), new Dictionary<string, long>());
        foreach (var package in packages)
        {
            generations[package] = generations.GetValueOrDefault(package) + 1;
            rows.Add(ChainHash.Append(head.Position, head.Hash, Name(package), generations[package], Event(0, $"{rows.Count}") with { At = Clock.GetUtcNow(), UpstreamRev = "1-ä" }));
            head = new LogHead(rows[^1].Position, rows[^1].Hash);
        }

        return [.. rows];
    }

    private static void AssertSame(IReadOnlyList<LogRow> expected, IReadOnlyList<LogRow> rows)
    {
        Assert.Equal(expected.Select(row => row with { Payload = null }), rows.Select(row => row with { Payload = null }));
        Assert.Equal(expected.Select(row => row.Payload?.ToArray()), rows.Select(row => row.Payload?.ToArray()));
    }
}
