using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Hosting;
using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

public sealed class BlobEnginesTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Claim("`store.blobs` names the place of tarballs: below the data folder, a folder of its own, memory, or an engine that an application adds; an invalid one is reported before a store is made",
        With =
        [
            nameof(Says_which_places_there_are),
            nameof(Refuses_an_option_that_the_place_does_not_know),
            nameof(A_mirror_puts_tarballs_where_an_added_engine_says),
            nameof(A_place_that_cannot_be_is_told_before_a_store_is_made),
        ])]
    [Fact]
    public async Task Files_are_below_the_data_folder_or_in_the_one_that_is_named()
    {
        Assert.Equal([Path.Combine(_folder.Path, "data")], await PlaceAsync(new StoreOptions()));
        Assert.Equal([Path.Combine(_folder.Path, "data")], await PlaceAsync(new StoreOptions { Blobs = "files" }));
        Assert.Equal([Path.Combine(_folder.Path, "other")], await PlaceAsync(new StoreOptions { Blobs = $"files:{_folder.File("other")}" }));
        Assert.Empty(await PlaceAsync(new StoreOptions { Blobs = "memory:" }));
    }

    [Fact]
    public void Says_which_places_there_are() => AssertFault(new StoreOptions { Blobs = "tape" }, "“tape”", "store.blobs knows Files, Memory");

    [Theory]
    [InlineData("files")]
    [InlineData("memory")]
    public void Refuses_an_option_that_the_place_does_not_know(string blobs)
    {
        var options = new StoreOptions { Blobs = blobs };
        options.BlobOptions["bukket"] = "3";
        AssertFault(options, "store.blobOptions.bukket");
    }

    [Fact]
    public async Task A_mirror_puts_tarballs_where_an_added_engine_says()
    {
        var options = new MirrorOptions { Upstream = "http://127.0.0.1:9/", Data = _folder.File("data"), Feed = "none" };
        (options.Store.Engine, options.Store.Blobs) = ("Memory", "shelf:third");
        options.Store.BlobOptions["colour"] = "red";
        var engine = new ShelfEngine();
        await using (var mirror = await new MirrorBuilder(options).AddEngine(engine).OpenAsync(TestContext.Current.CancellationToken))
        {
            Assert.Same(engine.Shelf, mirror.Blobs);
        }

        Assert.Equal(("third", "red", true), (engine.Settings!.Address, engine.Settings.Options["COLOUR"], engine.Shelf.IsDisposed));
    }

    [Fact]
    public async Task A_place_that_cannot_be_is_told_before_a_store_is_made()
    {
        var options = new MirrorOptions { Upstream = "http://127.0.0.1:9/", Data = _folder.File("data") };
        options.Store.Blobs = "tape";
        var fault = await Assert.ThrowsAsync<MirrorException>(() => new MirrorBuilder(options).OpenAsync(TestContext.Current.CancellationToken));
        Assert.Equal(MirrorFault.Configuration, fault.Fault);
        Assert.False(Directory.Exists(_folder.File("data")));
    }

    private IBlobStore Create(StoreOptions options) => new BlobEngines().Create(options, _folder.File("data"), TimeProvider.System, NullLoggerFactory.Instance);

    /// <summary>Stores something, and tells the folders that are there after it.</summary>
    private async Task<string[]> PlaceAsync(StoreOptions options)
    {
        var blobs = Create(options);
        await using (var writer = await blobs.CreateAsync(TestContext.Current.CancellationToken))
        {
            await writer.AppendAsync("bytes"u8.ToArray(), TestContext.Current.CancellationToken);
            await writer.CommitAsync(TestContext.Current.CancellationToken);
        }

        (blobs as IDisposable)?.Dispose();
        var folders = Directory.GetDirectories(_folder.Path);
        foreach (var folder in folders)
        {
            Directory.Delete(folder, recursive: true);
        }

        return folders;
    }

    private void AssertFault(StoreOptions options, params IReadOnlyList<string> parts)
    {
        var e = Assert.Throws<MirrorException>(() => Create(options));
        Assert.Equal(MirrorFault.Configuration, e.Fault);
        Assert.All(parts, part => Assert.Contains(part, e.Message, StringComparison.Ordinal));
    }

    private sealed class ShelfEngine : IBlobEngine
    {
        public string Name => "Shelf";

        internal Shelf Shelf { get; } = new();

        internal StoreSettings? Settings { get; private set; }

        public IBlobStore Create(StoreSettings settings)
        {
            Settings = settings;
            return Shelf;
        }
    }

    private sealed class Shelf : IBlobStore, IDisposable
    {
        private readonly MemoryBlobStore _blobs = new(TimeProvider.System);

        public string Location => "shelf:";

        internal bool IsDisposed { get; private set; }

        public void Dispose() => IsDisposed = true;

        public ValueTask<BlobReader?> OpenAsync(Digest sha512, CancellationToken cancellationToken) => _blobs.OpenAsync(sha512, cancellationToken);

        public ValueTask<BlobWriter> CreateAsync(CancellationToken cancellationToken) => _blobs.CreateAsync(cancellationToken);

        public ValueTask<bool> ExistsAsync(Digest sha512, CancellationToken cancellationToken) => _blobs.ExistsAsync(sha512, cancellationToken);

        public ValueTask<CondemnedBlob?> CondemnAsync(Digest sha512, CancellationToken cancellationToken) => _blobs.CondemnAsync(sha512, cancellationToken);

        public IAsyncEnumerable<CondemnedBlob> ListCondemnedAsync(CancellationToken cancellationToken) => _blobs.ListCondemnedAsync(cancellationToken);

        public ValueTask<UnfinishedBlobs> RemoveUnfinishedAsync(bool isDryRun, CancellationToken cancellationToken) => _blobs.RemoveUnfinishedAsync(isDryRun, cancellationToken);

        public IAsyncEnumerable<BlobInfo> ListAsync(CancellationToken cancellationToken) => _blobs.ListAsync(cancellationToken);

        public ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken) => _blobs.CheckWritableAsync(cancellationToken);
    }
}
