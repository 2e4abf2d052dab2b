using System.Globalization;
using System.Text;
using NpmMirror.Log;
using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

public abstract partial class MetadataStoreContract
{
    [Fact]
    public async Task Holds_nothing_at_first()
    {
        Assert.Null(await Store.Packages.FindAsync(Name("express"), Cancellation));
        Assert.Null(await Store.Packages.ReadAsync(Name("express"), Cancellation));
        Assert.Null(await Store.Packages.ReadArchivedAsync(Name("express"), Digest.OfSha256([]), Cancellation));
        Assert.Empty(await AllAsync(Store.Packages.ListAsync(null, false, Cancellation)));
        Assert.Empty(await AllAsync(Store.Packages.ListAsync(null, true, Cancellation)));
        Assert.Equal(new StoreCounts(0, 0, 0, 0, 0, 0), await Store.CountAsync(Cancellation));
    }

    [Theory]
    [InlineData(DocumentCodec.Identity)]
    [InlineData(DocumentCodec.Gzip)]
    [InlineData(DocumentCodec.Brotli)]
    [InlineData(DocumentCodec.Zstandard)]
    public async Task Gives_back_a_document_of_each_form(DocumentCodec codec)
    {
        var json = Encoding.UTF8.GetBytes($$"""{"name":"express","readme":"{{new string('x', 10_000)}}"}""");
        var document = new StoredDocument(DocumentCodec.Identity, json, json.Length, Digest.OfSha256(json));
        await Store.Packages.CommitAsync(NewCommit("express", 0, null) with { Document = document.As(codec, Name("express")) }, Cancellation);
        var read = (await Store.Packages.ReadAsync(Name("express"), Cancellation))!.Document;
        Assert.Equal((json.Length, document.Sha256), (read.RawSizeBytes, read.Sha256));
        Assert.Equal(json, read.As(DocumentCodec.Identity, Name("express")).Bytes);
    }

    [Fact]
    public async Task Gives_back_a_commit()
    {
        var at = Clock.GetUtcNow();
        var commit = NewCommit("@types/node", 0, """{"name":"@types/node"}""") with
        {
            Facts = new PackageFacts
            {
                Removal = RemovalKind.SecurityHolder,
                RemovalReason = "held \"for\" säfety",
                Rev = "12-abc",
                Ancestors = "11-def 9-abc",
                Upstream = "https://registry.example.org/ 4711",
                ETag = "W/\"x\"",
                LastModified = "Sun, 01 Nov 2026 12:00:00 GMT",
                ModifiedAt = at.AddDays(-1),
                FirstSeenAt = at.AddDays(-2),
                StoredAt = at,
            },
        };

        var result = await Store.Packages.CommitAsync(commit, Cancellation);
        Assert.Equal((true, 1L), (result.IsCommitted, result.Generation));
        await NumberAsync(Store);

        var package = await Store.Packages.ReadAsync(commit.Name, Cancellation);
        Assert.NotNull(package);
        Assert.Equal(commit.Facts, package.Row.Facts);
        Assert.Equal(commit.Name, package.Row.Name);
        Assert.Equal(1, package.Row.Generation);
        Assert.Equal(new LogPosition(1), package.Row.LastPosition);
        Assert.Equal(commit.Index.ToArray(), package.Row.Index.ToArray());
        Assert.Equal(commit.Document!.Sha256, package.Row.DocumentSha256);
        Assert.Equal(commit.Document.RawSizeBytes, package.Row.RawSizeBytes);
        Assert.Equal(commit.Document.Bytes.ToArray(), package.Document.Bytes.ToArray());
        Assert.Equal((commit.Document.Codec, commit.Document.RawSizeBytes, commit.Document.Sha256), (package.Document.Codec, package.Document.RawSizeBytes, package.Document.Sha256));

        var row = await Store.Packages.FindAsync(commit.Name, Cancellation);
        Assert.Equal(package.Row.Facts, row!.Facts);
        Assert.Equal(commit.Index.ToArray(), row.Index.ToArray());
    }

    [Fact]
    public async Task Keeps_absent_facts_absent()
    {
        var commit = NewCommit("express", 0, "{}");
        await Store.Packages.CommitAsync(commit, Cancellation);
        Assert.Equal(commit.Facts, (await Store.Packages.FindAsync(commit.Name, Cancellation))!.Facts);
    }

    [Fact]
    public async Task Keeps_times_to_the_millisecond()
    {
        var time = new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, 912, TimeSpan.FromHours(2));
        await Store.Packages.CommitAsync(NewCommit("express", 0, "{}") with { Facts = Facts() with { ModifiedAt = time } }, Cancellation);
        var kept = (await Store.Packages.FindAsync(Name("express"), Cancellation))!.Facts.ModifiedAt;
        Assert.Equal(new DateTimeOffset(2026, 1, 2, 1, 4, 5, 678, TimeSpan.Zero), kept);
    }

    [Fact]
    public async Task Does_not_look_at_the_callers_buffers_later()
    {
        byte[] bytes = [1, 2, 3], index = [4], payload = [5];
        var commit = NewCommit("express", 0, null) with
        {
            Document = new StoredDocument(DocumentCodec.Identity, bytes, 3, Digest.OfSha256(bytes)),
            Index = index,
            Events = [Event(0) with { Payload = payload }],
        };
        await Store.Packages.CommitAsync(commit, Cancellation);
        await NumberAsync(Store);
        bytes[0] = index[0] = payload[0] = 9;

        var package = await Store.Packages.ReadAsync(Name("express"), Cancellation);
        Assert.Equal([1, 2, 3], package!.Document.Bytes.ToArray());
        Assert.Equal([4], package.Row.Index.ToArray());
        Assert.Equal([5], (await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation)))[0].Payload!.Value.ToArray());
    }

    [Fact]
    public async Task Keeps_a_large_document()
    {
        var bytes = new byte[20_000_000];
        new Random(1).NextBytes(bytes);
        await Store.Packages.CommitAsync(NewCommit("large", 0, null) with { Document = new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes)) }, Cancellation);
        var package = await Store.Packages.ReadAsync(Name("large"), Cancellation);
        Assert.True(package!.Document.Bytes.Span.SequenceEqual(bytes));
    }

    [Fact]
    public async Task Commits_only_onto_the_generation_that_was_expected()
    {
        await CommitAsync("express", 0, "first");
        foreach (var generation in (long[])[0, 2])
        {
            var result = await CommitAsync("express", generation, "other");
            Assert.Equal(new CommitResult(false, 1, new LogPosition(1)), result with { LastPosition = new LogPosition(1) });
        }

        var package = await Store.Packages.ReadAsync(Name("express"), Cancellation);
        Assert.Equal("first", Text(package!.Document));
        Assert.Single(await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation)));
    }

    [Fact]
    public async Task Leaves_no_row_for_an_unknown_package_that_a_commit_expected()
    {
        Assert.Equal(new CommitResult(false, 0, LogPosition.Zero), await CommitAsync("gone", 3, null));
        Assert.Null(await Store.Packages.FindAsync(Name("gone"), Cancellation));
        Assert.Empty(await AllAsync(Store.Packages.ListAsync(null, true, Cancellation)));
        Assert.Equal(LogPosition.Zero, (await Store.Log.ReadHeadAsync(Cancellation)).Position);
    }

    [Fact]
    public async Task Leaves_no_row_where_a_first_commit_has_no_document()
    {
        await Assert.ThrowsAsync<ArgumentException>(() => CommitAsync("gone", 0, null));
        Assert.Null(await Store.Packages.FindAsync(Name("gone"), Cancellation));
        Assert.True((await CommitAsync("other", 0, "{}")).IsCommitted);
        Assert.Equal(new LogPosition(1), (await Store.Log.ReadHeadAsync(Cancellation)).Position);
    }

    [Fact]
    public async Task Lets_exactly_one_of_many_racers_win()
    {
        await CommitAsync("express", 0, "first");
        var results = await Task.WhenAll(Enumerable.Range(0, 16).Select(racer =>
            Task.Run(async () => (Racer: racer, Result: await Store.Packages.CommitAsync(NewCommit("express", 1, "racer " + racer.ToString(CultureInfo.InvariantCulture), events: 2), Cancellation)))));
        await NumberAsync(Store);

        var winner = Assert.Single(results, racer => racer.Result.IsCommitted);
        var package = await Store.Packages.ReadAsync(Name("express"), Cancellation);
        Assert.Equal(2, package!.Row.Generation);
        Assert.Equal("racer " + winner.Racer.ToString(CultureInfo.InvariantCulture), Text(package!.Document));
        Assert.Equal("index of racer " + winner.Racer.ToString(CultureInfo.InvariantCulture), Encoding.UTF8.GetString(package.Row.Index.Span));
        Assert.Equal(3, (await Store.Log.ReadHeadAsync(Cancellation)).Position.Value);
    }

    [Fact]
    public async Task Writes_one_commit_of_many_packages_at_once_each_whole()
    {
        await Task.WhenAll(Enumerable.Range(0, 100).Select(i =>
            Task.Run(() => Store.Packages.CommitAsync(NewCommit($"package-{i}", 0, $"document {i}", events: 3), Cancellation).AsTask())));
        await NumberAsync(Store);

        for (var i = 0; i < 100; i++)
        {
            var package = await Store.Packages.ReadAsync(Name($"package-{i}"), Cancellation);
            Assert.Equal($"document {i}", Text(package!.Document));
            Assert.Equal($"index of document {i}", Encoding.UTF8.GetString(package.Row.Index.Span));
        }

        Assert.Equal(300, (await Store.Log.ReadHeadAsync(Cancellation)).Position.Value);
    }

    [Fact]
    public async Task Keeps_document_and_index_where_a_commit_brings_none()
    {
        await CommitAsync("express", 0, "first");
        await Store.Packages.CommitAsync(NewCommit("express", 1, null, events: 0) with { Facts = Facts() with { ETag = "\"new\"" }, Index = new byte[] { 1 } }, Cancellation);
        var package = await Store.Packages.ReadAsync(Name("express"), Cancellation);
        Assert.Equal("first", Text(package!.Document));
        Assert.Equal("index of first", Encoding.UTF8.GetString(package.Row.Index.Span));
        Assert.Equal(("\"new\"", 2L), (package.Row.Facts.ETag, package.Row.Generation));
    }

    [Fact]
    public async Task Keeps_the_position_where_a_commit_has_no_events()
    {
        await CommitAsync("express", 0, "first");
        await CommitAsync("other", 0, "first");
        await CommitAsync("express", 1, "second", events: 0);
        Assert.Equal(new LogPosition(1), (await Store.Packages.FindAsync(Name("express"), Cancellation))!.LastPosition);
        Assert.Equal(new LogPosition(2), (await Store.Log.ReadHeadAsync(Cancellation)).Position);
    }

    [Fact]
    public async Task Archives_the_previous_document_when_asked()
    {
        await CommitAsync("express", 0, "first");
        await CommitAsync("express", 1, "second");
        await Store.Packages.CommitAsync(NewCommit("express", 2, "third") with { ArchivesPrevious = true }, Cancellation);

        var archived = await Store.Packages.ReadArchivedAsync(Name("express"), Document("second").Sha256, Cancellation);
        Assert.Equal("second", Text(archived!));
        Assert.Equal("second".Length, archived!.RawSizeBytes);
        Assert.Equal(Document("second").Sha256, archived.Sha256);
        Assert.Null(await Store.Packages.ReadArchivedAsync(Name("express"), Document("first").Sha256, Cancellation));
        Assert.Null(await Store.Packages.ReadArchivedAsync(Name("express"), Document("third").Sha256, Cancellation));
        Assert.Null(await Store.Packages.ReadArchivedAsync(Name("other"), Document("second").Sha256, Cancellation));
    }

    [Fact]
    public async Task Archives_a_document_that_stays_and_keeps_it_when_another_comes()
    {
        await CommitAsync("express", 0, "first");
        await Store.Packages.CommitAsync(NewCommit("express", 1, null) with { ArchivesPrevious = true }, Cancellation);
        Assert.Equal("first", Text((await Store.Packages.ReadArchivedAsync(Name("express"), Document("first").Sha256, Cancellation))!));

        await CommitAsync("express", 2, "second");
        await CommitAsync("express", 3, "third");
        Assert.Equal("first", Text((await Store.Packages.ReadArchivedAsync(Name("express"), Document("first").Sha256, Cancellation))!));
        Assert.Null(await Store.Packages.ReadArchivedAsync(Name("express"), Document("second").Sha256, Cancellation));
    }

    [Fact]
    public async Task Archives_the_same_document_twice_as_one()
    {
        await CommitAsync("express", 0, "first");
        foreach (var (generation, document) in (IEnumerable<(long, string)>)[(1, "second"), (2, "first"), (3, "second"), (4, "third")])
        {
            Assert.True((await Store.Packages.CommitAsync(NewCommit("express", generation, document) with { ArchivesPrevious = true }, Cancellation)).IsCommitted);
        }

        Assert.NotNull(await Store.Packages.ReadArchivedAsync(Name("express"), Document("first").Sha256, Cancellation));
        Assert.NotNull(await Store.Packages.ReadArchivedAsync(Name("express"), Document("second").Sha256, Cancellation));
    }

    [Fact]
    public async Task Keeps_names_apart_that_differ_only_in_case()
    {
        await CommitAsync("JSONStream", 0, "upper");
        await CommitAsync("jsonstream", 0, "lower");
        Assert.Equal("upper", Text((await Store.Packages.ReadAsync(Name("JSONStream"), Cancellation))!.Document));
        Assert.Equal("lower", Text((await Store.Packages.ReadAsync(Name("jsonstream"), Cancellation))!.Document));
        Assert.Null(await Store.Packages.FindAsync(Name("JsonStream"), Cancellation));
    }

    [Theory]
    [InlineData("-")]
    [InlineData("...")]
    [InlineData("@_000407/transpose.js")]
    [InlineData("_tilde~'!(*)")]
    [InlineData("日本語")]
    [InlineData("__proto__")]
    [InlineData("\U0001f600")]
    public async Task Keeps_odd_names(string name)
    {
        await CommitAsync(name, 0, name);
        Assert.Equal(name, (await Store.Packages.FindAsync(Name(name), Cancellation))!.Name.Value);
        Assert.Equal([name], await NamesAsync(Store.Packages.ListAsync(null, false, Cancellation)));
    }

    [Fact]
    public async Task Keeps_the_longest_name()
    {
        var name = new string('ä', PackageName.LengthMaxBytes / 2);
        await CommitAsync(name, 0, "{}");
        Assert.NotNull(await Store.Packages.FindAsync(Name(name), Cancellation));
    }

    [Fact]
    public async Task Lists_by_utf8_bytes()
    {
        // By UTF-16 units the last two change places; by a language's rules nearly all do.
        string[] ordered = ["-", "@a/b", "JSONStream", "Zebra", "_a", "a", "a-b", "a.b", "ab", "jsonstream", "\u00e4", "\uff5e", "\U0001f600"];
        foreach (var name in ordered.Reverse())
        {
            await CommitAsync(name, 0, "{}");
        }

        Assert.Equal(ordered, await NamesAsync(Store.Packages.ListAsync(null, false, Cancellation)));
        Assert.Equal(ordered[4..], await NamesAsync(Store.Packages.ListAsync(Name("Zebra"), false, Cancellation)));
        Assert.Equal(ordered[4..], await NamesAsync(Store.Packages.ListAsync(Name("Zebra0"), false, Cancellation)));
    }

    [Fact]
    public async Task Lists_marks_as_rows_from_any_text_on()
    {
        string[] names = ["\U0001f600", "\uff5e", "ab", "a.b", "a-b", "a", "Zebra", "@a/b", "-"];
        foreach (var (i, name) in names.Index())
        {
            var facts = NewCommit(name, 0, "{}").Facts with { Rev = i % 2 == 0 ? null : $"{i}-x", Upstream = i % 3 == 0 ? null : $"https://registry.example.org/#{i}" };
            await Store.Packages.CommitAsync(NewCommit(name, 0, "{}") with { Facts = facts }, Cancellation);
        }

        await RemoveAsync("a", 1, RemovalKind.Gone);
        foreach (var isRemoved in new[] { false, true })
        {
            var rows = (await AllAsync(Store.Packages.ListAsync(null, isRemoved, Cancellation))).ConvertAll(row => new PackageMark(row.Name, row.Facts.Rev, row.Facts.Upstream));
            Assert.Equal(rows, await AllAsync(Store.Packages.ListMarksAsync("", isRemoved, Cancellation)));
            foreach (var from in new[] { "-", "@", "@a/", "a", "a-", "ab", "ab\0", "~", "\U0001f601" })
            {
                var wanted = rows.Where(row => Encoding.UTF8.GetBytes(row.Name.Value).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(from)) >= 0);
                Assert.Equal(wanted, await AllAsync(Store.Packages.ListMarksAsync(from, isRemoved, Cancellation)));
            }
        }
    }

    [Fact]
    public async Task Lists_thousands_of_marks_once_each()
    {
        var names = Enumerable.Range(0, 5000).Select(i => $"p{i:d4}").ToArray();
        await Task.WhenAll(names.Select(name => Store.Packages.CommitAsync(NewCommit(name, 0, "{}"), Cancellation).AsTask()));
        Assert.Equal(names, (await AllAsync(Store.Packages.ListMarksAsync("", false, Cancellation))).Select(mark => mark.Name.Value));
    }

    [Fact]
    public async Task Lists_thousands_of_rows_once_each_while_others_come()
    {
        await Task.WhenAll(Enumerable.Range(0, 2000).Select(i => Store.Packages.CommitAsync(NewCommit($"p{i:d4}", 0, "{}"), Cancellation).AsTask()));
        var names = new List<string>();
        await foreach (var row in Store.Packages.ListAsync(null, false, Cancellation))
        {
            if (names.Count % 500 == 0)
            {
                await CommitAsync($"a{names.Count}", 0, "{}");
                await CommitAsync(row.Name.Value, 1, "{}");
            }

            names.Add(row.Name.Value);
        }

        Assert.Equal(Enumerable.Range(0, 2000).Select(i => $"p{i:d4}"), names.Where(name => name.StartsWith('p')));
        Assert.Equal(names.Distinct(), names);
    }

    [Fact]
    public async Task Has_the_removed_in_the_graveyard_with_their_last_document()
    {
        await CommitAsync("express", 0, "first");
        await CommitAsync("left-pad", 0, "last known");
        await RemoveAsync("left-pad", 1, RemovalKind.Unpublished);

        Assert.Equal(["express"], await NamesAsync(Store.Packages.ListAsync(null, false, Cancellation)));
        Assert.Equal(["left-pad"], await NamesAsync(Store.Packages.ListAsync(null, true, Cancellation)));
        Assert.True((await Store.Packages.FindAsync(Name("left-pad"), Cancellation))!.Facts.IsRemoved);
        Assert.Equal("last known", Text((await Store.Packages.ReadAsync(Name("left-pad"), Cancellation))!.Document));

        // Again: nothing changes but the generation.
        await RemoveAsync("left-pad", 2, RemovalKind.Unpublished);
        Assert.Equal(["left-pad"], await NamesAsync(Store.Packages.ListAsync(null, true, Cancellation)));
        Assert.Equal((1L, 1L), ((await Store.CountAsync(Cancellation)).Packages, (await Store.CountAsync(Cancellation)).Removed));
    }

    [Fact]
    public async Task Takes_the_republished_out_of_the_graveyard()
    {
        await CommitAsync("left-pad", 0, "first");
        await RemoveAsync("left-pad", 1, RemovalKind.Gone);
        await CommitAsync("left-pad", 2, "second");

        Assert.Empty(await NamesAsync(Store.Packages.ListAsync(null, true, Cancellation)));
        Assert.Equal(["left-pad"], await NamesAsync(Store.Packages.ListAsync(null, false, Cancellation)));
        Assert.Equal("second", Text((await Store.Packages.ReadAsync(Name("left-pad"), Cancellation))!.Document));
        Assert.Equal((1L, 0L), ((await Store.CountAsync(Cancellation)).Packages, (await Store.CountAsync(Cancellation)).Removed));
    }

    [Theory]
    [InlineData(RemovalKind.Unpublished, true)]
    [InlineData(RemovalKind.Gone, true)]
    [InlineData(RemovalKind.Blocked, true)]
    [InlineData(RemovalKind.SecurityHolder, false)]
    public async Task Lists_a_security_holder_among_the_living(RemovalKind kind, bool isInGraveyard)
    {
        await CommitAsync("held", 0, "{}");
        await RemoveAsync("held", 1, kind);
        Assert.Equal(isInGraveyard, (await NamesAsync(Store.Packages.ListAsync(null, true, Cancellation))).Length == 1);
        Assert.Equal(!isInGraveyard, (await NamesAsync(Store.Packages.ListAsync(null, false, Cancellation))).Length == 1);
        Assert.Equal(kind, (await Store.Packages.FindAsync(Name("held"), Cancellation))!.Facts.Removal);
    }

    [Fact]
    public async Task Counts_its_rows_and_bytes()
    {
        await CommitAsync("a", 0, "12345");
        await CommitAsync("a", 1, "123");
        await CommitAsync("b", 0, "1234567");
        await RemoveAsync("b", 1, RemovalKind.Gone);
        await CommitAsync("a", 7, "not committed");
        await Store.Tarballs.PutTarballAsync(Tarball("a", "a-1.0.0.tgz", sizeBytes: 100), Cancellation);
        await Store.Tarballs.PutTarballAsync(Tarball("a", "a-1.0.0.tgz", sizeBytes: 100), Cancellation);
        await Store.Tarballs.PutTarballAsync(Tarball("a", "a-1.0.1.tgz", sizeBytes: 11), Cancellation);
        await Store.Tarballs.PutTarballAsync(Tarball("a", "a-1.0.2.tgz") with { State = TarballState.Missing, Sha512 = default, SizeBytes = 0 }, Cancellation);
        await Store.Queue.EnqueueAsync([Item("a"), Item("b"), Item("a")], null, Cancellation);
        await Store.Queue.CompleteAsync((await Store.Queue.TakeAsync(Name("b"), TimeSpan.FromMinutes(1), Cancellation))!, null, Cancellation);
        Assert.Equal(new StoreCounts(1, 1, 3 + 7, 2, 111, 1), await Store.CountAsync(Cancellation));
    }

    [Fact]
    public async Task Lists_changes_one_row_a_package_where_it_changed_last()
    {
        await CommitAsync("a", 0, "{}");
        await CommitAsync("b", 0, "{}", events: 2);
        await CommitAsync("c", 0, "{}");
        await RemoveAsync("b", 1, RemovalKind.Gone);
        await CommitAsync("a", 1, "{ }", events: 0);

        Assert.Equal(["a", "c", "b"], await NamesAsync(Store.Packages.ListChangesAsync(LogPosition.Zero, false, Cancellation)));
        Assert.Equal(["c", "b"], await NamesAsync(Store.Packages.ListChangesAsync(new LogPosition(1), false, Cancellation)));
        Assert.Equal(["b"], await NamesAsync(Store.Packages.ListChangesAsync(new LogPosition(4), false, Cancellation)));
        Assert.Empty(await NamesAsync(Store.Packages.ListChangesAsync(new LogPosition(5), false, Cancellation)));
        Assert.Equal(["b", "c", "a"], await NamesAsync(Store.Packages.ListChangesAsync(new LogPosition(long.MaxValue), true, Cancellation)));
        Assert.Equal(["c", "a"], await NamesAsync(Store.Packages.ListChangesAsync(new LogPosition(5), true, Cancellation)));
        Assert.Empty(await NamesAsync(Store.Packages.ListChangesAsync(new LogPosition(1), true, Cancellation)));
    }

    [Fact]
    public async Task Lists_no_change_twice_while_packages_change()
    {
        await Task.WhenAll(Enumerable.Range(0, 600).Select(i => Store.Packages.CommitAsync(NewCommit($"p{i}", 0, "{}"), Cancellation).AsTask()));
        await NumberAsync(Store);
        var names = new List<string>();
        await foreach (var row in Store.Packages.ListChangesAsync(LogPosition.Zero, false, Cancellation))
        {
            names.Add(row.Name.Value);
            await CommitAsync(row.Name.Value, 1, "{ }");
        }

        Assert.Equal(names.Distinct(), names);
        Assert.Equal(600, (await NamesAsync(Store.Packages.ListChangesAsync(new LogPosition(600), false, Cancellation))).Union(names).Count());
    }

    private async Task RemoveAsync(string name, long expectedGeneration, RemovalKind kind)
    {
        var commit = NewCommit(name, expectedGeneration, null) with { Facts = Facts() with { Removal = kind }, ArchivesPrevious = true };
        Assert.True((await Store.Packages.CommitAsync(commit, Cancellation)).IsCommitted);
        await NumberAsync(Store);
    }
}
