using System.Net;
using System.Text.Json.Nodes;
using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Which attestations are kept, and how many: any client may ask for any of them.</summary>
public sealed class KeptAttestationsTests : IAsyncLifetime
{
    private readonly FakeClock _clock = new();
    private MemoryStore _store = null!;
    private FakeRegistry _registry = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _store = new MemoryStore(_clock);
        _registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
    }

    public async ValueTask DisposeAsync()
    {
        await _registry.DisposeAsync();
        await _store.DisposeAsync();
    }

    [Theory]
    [InlineData("nosuch@1.0.0")]
    [InlineData("ms@9.9.9")]
    [InlineData("@s/ms@1.0.0")]
    public async Task Of_a_version_that_is_not_held_nothing_is_kept(string version)
    {
        _registry.Attestations[version] = Bundle(1_000_000);
        await using var mirror = await ServedMirror.StartAsync(_store, _registry.Url);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        Assert.Contains("xxx", await mirror.TextAsync("-/npm/v1/attestations/" + version));
        Assert.Empty(await KeptAsync());
    }

    [Fact]
    public async Task Of_a_held_version_they_are_kept_and_not_asked_for_twice()
    {
        _registry.Attestations["@s/ms@1.0.0"] = Bundle(100);
        await using var mirror = await ServedMirror.StartAsync(_store, _registry.Url);
        await mirror.PutAsync("@s/ms", Documents.Of("@s/ms"));
        Assert.Equal(await mirror.TextAsync("-/npm/v1/attestations/@s%2fms@1.0.0"), await mirror.TextAsync("-/npm/v1/attestations/@s/ms@1.0.0"));
        Assert.Single(_registry.Requests.All);
        Assert.Single(await KeptAsync());
    }

    [Fact]
    public async Task No_more_are_kept_than_the_option_says_and_the_others_are_passed_on()
    {
        await using var mirror = await ServedMirror.StartAsync(_store, _registry.Url, options => options.AttestationsMaxBytes = 25_000, time: _clock);
        for (var i = 0; i < 5; i++)
        {
            await mirror.PutAsync($"p{i}", Documents.Of($"p{i}"));
            _registry.Attestations[$"p{i}@1.0.0"] = Bundle(10_000);
            Assert.Contains("xxx", await mirror.TextAsync($"-/npm/v1/attestations/p{i}@1.0.0"));
        }

        Assert.Equal(2, (await KeptAsync()).Count);

        // Room that was made meanwhile, by gc in another process perhaps, is seen within a minute.
        await _store.Notes.SetNoteAsync((await KeptAsync())[0].Path, null, Cancelled);
        _clock.Advance(TimeSpan.FromMinutes(2));
        await mirror.TextAsync("-/npm/v1/attestations/p4@1.0.0");
        Assert.Equal(2, (await KeptAsync()).Count);
    }

    [Claim("Attestations are kept for held versions only and up to a limit, also over restarts; gc deletes those of versions that are gone",
        With =
        [
            nameof(Gc_takes_those_of_versions_that_are_not_held_any_more),
            nameof(Gc_evicts_tarballs_over_the_bound),
            nameof(No_more_are_kept_than_the_option_says_and_the_others_are_passed_on),
            nameof(Of_a_held_version_they_are_kept_and_not_asked_for_twice),
            nameof(Of_a_version_that_is_not_held_nothing_is_kept),
        ],
        Red = "`KeptAttestations` counts nothing at its start: the first was red; gc keeps those of any version, or any number: the second and the third; it looks at no bound: the fourth; what is kept is asked for again: the fifth; it keeps those of any version: the last")]
    [Fact]
    public async Task A_new_process_counts_files_that_an_earlier_one_kept()
    {
        for (var run = 0; run < 3; run++)
        {
            await using var mirror = await ServedMirror.StartAsync(_store, _registry.Url, options => options.AttestationsMaxBytes = 15_000);
            await mirror.PutAsync($"p{run}", Documents.Of($"p{run}"));
            _registry.Attestations[$"p{run}@1.0.0"] = Bundle(10_000);
            await mirror.TextAsync($"-/npm/v1/attestations/p{run}@1.0.0");
        }

        Assert.Single(await KeptAsync());
    }

    [Theory]
    [InlineData(RemovedMode.Hide, 1)]
    [InlineData(RemovedMode.Keep, 2)]
    public async Task Gc_takes_those_of_versions_that_are_not_held_any_more(RemovedMode removed, int kept)
    {
        var options = new MirrorOptions();
        options.Removed.Gone = removed;
        await using var mirror = await ServedMirror.StartAsync(_store, _registry.Url);
        foreach (var name in (string[])["@s/stays", "changes", "goes"])
        {
            await mirror.PutAsync(name, Documents.Of(name));
            _registry.Attestations[$"{name}@1.0.0"] = Bundle(1_000);
            await mirror.TextAsync($"-/npm/v1/attestations/{name}@1.0.0");
        }

        await _store.Kept.KeepAsync("/-/npm/v1/attestations/nosuch@1.0.0", "{}"u8.ToArray(), Cancelled);
        await mirror.PutAsync("changes", Documents.Of("changes").Replace("1.0.0", "1.0.7", StringComparison.Ordinal));
        await mirror.RemoveAsync("goes");

        var told = await CollectAsync(options, isDryRun: true);
        Assert.Equal(4, (await KeptAsync()).Count);
        Assert.Equal(told, await CollectAsync(options, isDryRun: false));
        Assert.All(told, item => Assert.Equal(GarbageKind.Attestation, item.Kind));
        Assert.Equal(4 - kept, told.Count);
        Assert.Equal(kept, (await KeptAsync()).Count);
        using var stays = await mirror.GetAsync("-/npm/v1/attestations/@s/stays@1.0.0");
        Assert.Equal(HttpStatusCode.OK, stays.StatusCode);
    }

    [Fact]
    public async Task Gc_evicts_tarballs_over_the_bound()
    {
        await using var mirror = await ServedMirror.StartAsync(_store, _registry.Url);
        for (var i = 0; i < 4; i++)
        {
            await mirror.PutAsync($"p{i}", Documents.Of($"p{i}"));
            _registry.Attestations[$"p{i}@1.0.0"] = Bundle(10_000);
            await mirror.TextAsync($"-/npm/v1/attestations/p{i}@1.0.0");
        }

        Assert.Equal(3, (await CollectAsync(new MirrorOptions { AttestationsMaxBytes = 15_000 }, isDryRun: false)).Count);
        Assert.Single(await KeptAsync());
    }

    private static JsonObject Bundle(int sizeBytes) => new() { ["attestations"] = new JsonArray(new JsonObject { ["bundle"] = new string('x', sizeBytes) }) };

    private ValueTask<List<KeptMark>> KeptAsync() => _store.Kept.ListKeptAsync("/-/npm/v1/attestations/", Cancelled).ToListAsync(Cancelled);

    private async Task<List<CollectedItem>> CollectAsync(MirrorOptions options, bool isDryRun)
    {
        var items = new List<CollectedItem>();
        await new GarbageCollector(_store, new MemoryBlobStore(_clock), options, _clock).RunAsync(isDryRun, items.Add, Cancelled);
        return items;
    }
}
