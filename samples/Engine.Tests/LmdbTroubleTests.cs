using LightningDB;
using NpmMirror;
using NpmMirror.Log;
using NpmMirror.Storage;
using Xunit;

namespace Engine.Tests;

/// <summary>What only this engine can meet.</summary>
public sealed class LmdbTroubleTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lmdb-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_full_map_refuses_writes_until_it_is_larger()
    {
        await using (var store = await OpenAsync(1 << 20))
        {
            await store.Notes.SetNoteAsync("first", "here", Cancellation);
            var full = await Assert.ThrowsAsync<MirrorException>(async () => await store.Kept.KeepAsync("/large", new byte[2 << 20], Cancellation));
            Assert.Equal(MirrorFault.StoreReadOnly, full.Fault);
            Assert.Contains("mapBytes", full.Message, StringComparison.Ordinal);
            Assert.Equal("here", await store.Notes.FindNoteAsync("first", Cancellation));
            await store.Notes.SetNoteAsync("second", "here too", Cancellation);
        }

        await using var larger = await OpenAsync(64 << 20);
        await larger.Kept.KeepAsync("/large", new byte[2 << 20], Cancellation);
        Assert.Equal("here too", await larger.Notes.FindNoteAsync("second", Cancellation));
    }

    [Fact]
    public async Task The_largest_documents_come_back_byte_for_byte()
    {
        var bytes = new byte[200_000_000];
        new Random(1).NextBytes(bytes);
        await using var store = await OpenAsync(1L << 30);
        var now = DateTimeOffset.UnixEpoch;
        for (var generation = 0; generation < 2; generation++)
        {
            bytes[0]++;
            await store.Packages.CommitAsync(
                new PackageCommit
                {
                    Name = PackageName.Parse("large"),
                    ExpectedGeneration = generation,
                    Facts = new PackageFacts { FirstSeenAt = now, StoredAt = now },
                    Document = new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes)),
                    Events = [new PendingEvent { Ordinal = 0, Type = "Large", SeenAt = now, Payload = default }],
                },
                Cancellation);
            Assert.True((await store.Packages.ReadAsync(PackageName.Parse("large"), Cancellation))!.Document.Bytes.Span.SequenceEqual(bytes));
        }
    }

    [Fact]
    public async Task Keys_longer_than_LMDB_takes_keep_their_order()
    {
        await using var store = await OpenAsync(64 << 20);
        var beginning = new string('k', 499);
        string[] keys = [beginning, beginning + "k", beginning + "k\0", beginning + "kk", beginning + "kkb", beginning + "l", beginning + new string('m', 5000), beginning + new string('m', 5000) + "2"];
        foreach (var key in keys.Reverse())
        {
            await store.Notes.SetNoteAsync(key, key[^1..], Cancellation);
        }

        Assert.Equal(keys, (await store.Notes.ListNotesAsync(beginning, Cancellation).ToListAsync(Cancellation)).Select(mark => mark.Key));
        Assert.Equal(keys[4..5], (await store.Notes.ListNotesAsync(keys[4], Cancellation).ToListAsync(Cancellation)).Select(mark => mark.Key));
        await store.Notes.SetNoteAsync(keys[3], null, Cancellation);
        Assert.Null(await store.Notes.FindNoteAsync(keys[3], Cancellation));
        Assert.Equal("b", await store.Notes.FindNoteAsync(keys[4], Cancellation));
    }

    [Fact]
    public async Task A_newer_schema_is_refused()
    {
        await (await OpenAsync(1 << 20)).DisposeAsync();
        using (var environment = new LightningEnvironment(_folder, new EnvironmentConfiguration { MaxDatabases = 1 }))
        {
            environment.Open();
            using var transaction = environment.BeginTransaction();
            using var meta = transaction.OpenDatabase("Meta");
            transaction.Put(meta, "schema"u8, "2"u8).ThrowOnError();
            transaction.Commit().ThrowOnError();
        }

        var refused = await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(1 << 20));
        Assert.Equal(MirrorFault.StoreSchema, refused.Fault);
        Assert.Contains("version 2, and this engine knows version 1", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_cannot_be_made_is_told()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "file"), "", Cancellation);
        var refused = await Assert.ThrowsAsync<MirrorException>(() => new LmdbStore(Path.Combine(_folder, "file/below"), 1 << 20, TimeProvider.System).OpenAsync(Cancellation));
        Assert.Equal(MirrorFault.StoreUnavailable, refused.Fault);
        Assert.Contains("name a folder", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("mapBytes", "much")]
    [InlineData("mapBytes", "1")]
    [InlineData("mapbits", "8")]
    public void A_wrong_option_is_refused(string name, string value)
    {
        var settings = new StoreSettings { DataFolder = _folder, TimeProvider = TimeProvider.System, LoggerFactory = null!, Options = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase) { [name] = value } };
        Assert.Equal(MirrorFault.Configuration, Assert.Throws<MirrorException>(() => new LmdbEngine().Create(settings)).Fault);
    }

    private async Task<LmdbStore> OpenAsync(long mapBytes)
    {
        var store = new LmdbStore(_folder, mapBytes, TimeProvider.System);
        await store.OpenAsync(Cancellation);
        return store;
    }
}
