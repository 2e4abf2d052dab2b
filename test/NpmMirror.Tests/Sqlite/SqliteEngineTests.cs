using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Options;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

public sealed class SqliteEngineTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Is_the_default_of_a_mirror() =>
        Assert.Equal($"sqlite:{_folder.File(SqliteEngine.FileName)}", await LocationAsync(new StoreOptions()));

    [Fact]
    public async Task Is_where_its_location_says() =>
        Assert.Equal($"sqlite:{_folder.File("there/" + SqliteEngine.FileName)}", await LocationAsync(new StoreOptions { Engine = $"sqlite:{_folder.File("there")}" }));

    [Fact]
    public async Task Is_where_its_option_says()
    {
        var options = new StoreOptions { Engine = "SQLITE" };
        options.Options["Path"] = _folder.File("there");
        Assert.Equal($"sqlite:{_folder.File("there/" + SqliteEngine.FileName)}", await LocationAsync(options));
    }

    [Fact]
    public async Task Can_be_loaded_as_a_module()
    {
        var store = new MetadataEngines().Create(new StoreOptions { Module = typeof(SqliteEngine).Assembly.Location }, _folder.Path, TimeProvider.System, NullLoggerFactory.Instance);
        await using (store)
        {
            // The module is a second copy of the assembly, but its store keeps our contract.
            Assert.IsNotType<SqliteStore>(store);
            await store.OpenAsync(TestContext.Current.CancellationToken);
            Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("express"), TestContext.Current.CancellationToken)).IsCommitted);
        }
    }

    [Fact]
    public void Refuses_a_collection_that_it_does_not_know_and_writes_nothing()
    {
        var options = new StoreOptions();
        options.Options["folder"] = "x";
        var e = Assert.Throws<MirrorException>(() => Create(options));
        Assert.Contains("store.options.folder", e.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    private IMetadataStore Create(StoreOptions options) => new MetadataEngines(new SqliteEngine()).Create(options, _folder.Path, TimeProvider.System, NullLoggerFactory.Instance);

    private async Task<string> LocationAsync(StoreOptions options)
    {
        await using var store = Create(options);
        await store.OpenAsync(TestContext.Current.CancellationToken);
        return store.Location;
    }
}
