using Microsoft.Data.Sqlite;
using NpmMirror.Options;
using NpmMirror.Search;
using NpmMirror.Searching;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Search;

/// <summary>The index is a view of the log, beside the store of any engine: it follows, goes on, and is built again.</summary>
public sealed class FollowingTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private string IndexFile => _folder.File(SqliteSearchIndex.FileName);

    public void Dispose() => _folder.Dispose();

    [Claim("The search index is kept beside a store of any engine, follows its log, goes on after a restart, and is built again if it is deleted, damaged, of another version, of another store or made under other rules",
        With =
        [
            nameof(A_damaged_index_is_built_again),
            nameof(An_index_of_another_store_or_version_is_built_again),
            nameof(Other_rules_for_removed_packages_make_another_index),
            $"{nameof(SearchKillTests)}.{nameof(SearchKillTests.Killed_at_any_moment_it_goes_on_or_is_built_again)}",
        ],
        Red = "`IndexFollower.IsOfThisLogAsync` is always true: the second and third of these; `SqliteSearchIndex.NoteDamage` does nothing: the first")]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_is_built_follows_and_goes_on(bool isEmbedded)
    {
        await using var store = Store(isEmbedded);
        await store.OpenAsync(Cancelled);
        await PutAsync(store, "before", "Held without an index");
        await using (var mirror = await StartAsync(store))
        {
            await FindsAsync(mirror, "before", 1);
            await PutAsync(store, "while", "Written as it runs");
            await FindsAsync(mirror, "while", 1);
        }

        await PutAsync(store, "between", "Written as no mirror runs");
        await using (var mirror = await StartAsync(store))
        {
            await FindsAsync(mirror, "between", 1);
            await FindsAsync(mirror, "while", 1);
        }

        foreach (var file in Directory.GetFiles(_folder.Path, "search.db*"))
        {
            File.Delete(file);
        }

        await using (var mirror = await StartAsync(store))
        {
            await FindsAsync(mirror, "before", 1);
            await FindsAsync(mirror, "between", 1);
            Assert.Equal(3, mirror.Mirror.Search!.State.Packages);
        }
    }

    [Fact]
    public async Task A_damaged_index_is_built_again()
    {
        await using var store = Store(isEmbedded: false);
        await store.OpenAsync(Cancelled);
        await PutAsync(store, "alpha", "First");
        await (await SettledAsync(store)).DisposeAsync();
        await File.WriteAllBytesAsync(IndexFile, new byte[8192], Cancelled);
        await (await SettledAsync(store)).DisposeAsync();

        // Its head is whole, the rest is not: only a query or a write finds out.
        var bytes = await File.ReadAllBytesAsync(IndexFile, Cancelled);
        bytes.AsSpan(4096 * 2).Fill(0x5a);
        await File.WriteAllBytesAsync(IndexFile, bytes, Cancelled);
        await using var mirror = await StartAsync(store);
        await FindsAsync(mirror, "alpha", 1);
        await PutAsync(store, "beta", "Second");
        await FindsAsync(mirror, "beta", 1);
    }

    [Fact]
    public async Task An_index_of_another_store_or_version_is_built_again()
    {
        await using var store = Store(isEmbedded: false);
        await store.OpenAsync(Cancelled);
        await PutAsync(store, "alpha", "First");
        await PutAsync(store, "beta", "Second");
        await (await SettledAsync(store)).DisposeAsync();
        await using var other = Store(isEmbedded: false);
        await other.OpenAsync(Cancelled);
        await PutAsync(other, "gamma", "Of another store");
        await PutAsync(other, "delta", "Of another store");
        await using (var mirror = await SettledAsync(other))
        {
            Assert.Equal(["delta", "gamma"], (await AllAsync(mirror)).Order(StringComparer.Ordinal));
        }

        await using (var connection = new SqliteConnection($"Data Source={IndexFile};Pooling=False"))
        {
            await connection.OpenAsync(Cancelled);
            await using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA user_version = 999; DROP TABLE names;";
            await command.ExecuteNonQueryAsync(Cancelled);
        }

        await using (var mirror = await SettledAsync(other))
        {
            Assert.Equal(["delta", "gamma"], (await AllAsync(mirror)).Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public async Task Other_rules_for_removed_packages_make_another_index()
    {
        await using var store = Store(isEmbedded: false);
        await store.OpenAsync(Cancelled);
        await PutAsync(store, "alpha", "First");
        await using (var mirror = await SettledAsync(store))
        {
            await mirror.RemoveAsync("alpha");
            await FindsAsync(mirror, "alpha", 0);
        }

        await using (var mirror = await StartAsync(store, options => options.Removed.Gone = RemovedMode.Keep))
        {
            await FindsAsync(mirror, "alpha", 1);
        }

        await using (var mirror = await StartAsync(store))
        {
            await FindsAsync(mirror, "alpha", 0);
        }
    }

    [Claim("A removed package is found by no search from the moment of its removal, also before the index has heard of it",
        Red = "`PackageSearch.IsShownAsync` is always true")]
    [Fact]
    public async Task A_package_is_hidden_before_the_index_has_followed()
    {
        await using var store = Store(isEmbedded: false);
        await store.OpenAsync(Cancelled);
        await PutAsync(store, "alpha", "First");
        await using var mirror = await SettledAsync(store);

        // The index stays as it is: its file is locked for writing.
        await using var connection = new SqliteConnection($"Data Source={IndexFile};Pooling=False");
        await connection.OpenAsync(Cancelled);
        await using var command = connection.CreateCommand();
        command.CommandText = "BEGIN IMMEDIATE";
        await command.ExecuteNonQueryAsync(Cancelled);
        Assert.Equal(["alpha"], await AllAsync(mirror));
        await mirror.RemoveAsync("alpha");
        await mirror.SettleAsync();
        var answer = await mirror.Mirror.Search!.FindAsync(new SearchQuery { Text = "alpha" }, Cancelled);
        Assert.Equal((0, 0), (answer.Hits.Count, answer.Total));
        Assert.Empty((await mirror.Mirror.Search!.BrowseAsync("", null, 20, Cancelled)).Hits);
    }

    [Fact]
    public async Task A_package_that_cannot_be_read_stops_no_other()
    {
        await using var store = Store(isEmbedded: false);
        await store.OpenAsync(Cancelled);
        await using var mirror = await StartAsync(store);
        string[] odd =
        [
            """{"name":"odd","versions":{}}""",
            """{"name":"odd","description":7,"keywords":{"a":1},"maintainers":"ann <a@b>","versions":{"1.0.0":[]},"dist-tags":{"latest":"1.0.0"}}""",
            """{"name":"odd","versions":{"1.0.0":{"description":"\ud800\u0000\u001b[31m","keywords":["\udc00",null,{}],"author":[],"dependencies":{"\ud800":"1","":"2","a b":3},"repository":{"url":["x"]},"homepage":"javascript:alert(1)","license":[{"type":"MIT"},"ISC"]}},"dist-tags":{"latest":"1.0.0"}}""",
        ];
        foreach (var document in odd)
        {
            await mirror.PutAsync("odd", document);
            await FindsAsync(mirror, "odd", 1);
        }

        await Eventually.Async(async () => (await OddAsync()).License == "MIT OR ISC");
        Assert.Null((await OddAsync()).Homepage);

        async Task<SearchHit> OddAsync() => (await mirror.Mirror.Search!.FindAsync(new SearchQuery { Text = "odd" }, Cancelled)).Hits[0];
    }

    [Fact]
    public async Task A_second_process_reads_the_index_that_the_first_one_writes()
    {
        await using var store = Store(isEmbedded: false);
        await store.OpenAsync(Cancelled);
        await PutAsync(store, "alpha", "First");
        await using var first = await SettledAsync(store);
        await using var second = await StartAsync(store);
        await FindsAsync(second, "alpha", 1);
        Assert.Contains("another process", second.Mirror.Search!.State.Trouble, StringComparison.OrdinalIgnoreCase);
        await PutAsync(store, "beta", "Second");
        await FindsAsync(second, "beta", 1);
    }

    private IMetadataStore Store(bool isEmbedded) => isEmbedded ? new SqliteStore(_folder.File(SqliteEngine.FileName), TimeProvider.System) : new MemoryStore(TimeProvider.System);

    private static Task PutAsync(IMetadataStore store, string name, string description) =>
        ServedMirror.PutAsync(store, name, $$$"""{"name":"{{{name}}}","description":"{{{description}}}","versions":{"1.0.0":{"name":"{{{name}}}","version":"1.0.0"}},"dist-tags":{"latest":"1.0.0"}}""");

    private Task<ServedMirror> StartAsync(IMetadataStore store, Action<MirrorOptions>? configure = null) => ServedMirror.StartAsync(store, configure: configure, searchFolder: _folder.Path);

    /// <summary>Starts one, and waits until its index has everything.</summary>
    private async Task<ServedMirror> SettledAsync(IMetadataStore store)
    {
        var mirror = await StartAsync(store);
        var head = (await store.Log.ReadHeadAsync(Cancelled)).Position;
        await Eventually.Async(() => mirror.Mirror.Search!.State is { Phase: SearchPhase.Following } state && state.Position == head);
        return mirror;
    }

    private static async Task<string[]> AllAsync(ServedMirror mirror) => SearchBench.NamesOf(await mirror.Mirror.Search!.FindAsync(new SearchQuery { Text = "boost-exact:false" }, Cancelled));

    private static Task FindsAsync(ServedMirror mirror, string text, int count) => Eventually.Async(async () =>
    {
        try
        {
            return (await mirror.Mirror.Search!.FindAsync(new SearchQuery { Text = text }, Cancelled)).Hits.Count == count;
        }
        catch (MirrorException e) when (e.IsTransient)
        {
            // Being opened, or built again.
            return false;
        }
    });
}
