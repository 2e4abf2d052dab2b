using System.Net;
using System.Text;
using System.Text.Json;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Registry ─► near ─► far: far ends equal to near.</summary>
public sealed class MirrorOfMirrorTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private FakeRegistry _registry = null!;
    private ServedMirror _near = null!;
    private ServedMirror _far = null!;
    private FeedMode _mode;
    private RemovedMode _nearRemoved;
    private readonly HeldPort _nearPort = new();

    public async ValueTask InitializeAsync() => _registry = await FakeRegistry.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await StopFarAsync();
        await StopNearAsync();
        await _registry.DisposeAsync();
        _nearPort.Dispose();
        _folder.Dispose();
    }

    [Claim("A mirror of a mirror ends equal: names, revisions, tombstones, and but for the base address the same bytes, also across a restart of either",
        Red = "a removed package's answer does not say how it went")]
    [Trait("Duration", "long")]
    [Theory]
    [InlineData(FeedMode.Longpoll)]
    [InlineData(FeedMode.Continuous)]
    public async Task A_mirror_of_a_mirror_ends_equal_also_when_either_was_restarted(FeedMode mode)
    {
        _mode = mode;
        for (var i = 0; i < 12; i++)
        {
            _registry.Publish(new FakePackage(i % 3 == 0 ? $"@scope/p{i}" : $"p{i}").Version("1.0.0"));
        }

        await StartNearAsync();
        await StartFarAsync();
        await EqualAsync(living: 12, removed: 0);

        // While all are there.
        _registry.PublishVersion("@scope/p0", "1.1.0");
        _registry.Delete("p1");
        await EqualAsync(living: 11, removed: 1);

        // While far is away.
        await StopFarAsync();
        _registry.PublishVersion("p2", "2.0.0");
        _registry.Unpublish("@scope/p3");
        _registry.TakeDown("p4");
        _registry.Publish(new FakePackage("new").Version("0.1.0"));
        await Eventually.Async(() => IsAtHeadAsync(_near));
        await StartFarAsync();
        await EqualAsync(living: 11, removed: 2);

        // While near is away, and in the moment it comes back.
        await StopNearAsync();
        _registry.Deprecate("p5", "1.0.0", "no more");
        _registry.Delete("@scope/p6");
        _registry.Publish(new FakePackage("p1").Version("3.0.0"));
        await StartNearAsync();
        _registry.Tag("p7", "beta", "1.0.0");
        await EqualAsync(living: 11, removed: 2);
    }

    [Claim("A mirror of a mirror that begins after removals has the same ones, with kind, reason, time and revision, also those of packages that came and went or went once more while it was away, and passes them on",
        Red = "the list of removed packages is not asked for; deleted rows of packages that are not held are skipped; `RemovalCheck.KindOf` does not look at the notice")]
    [Fact]
    public async Task A_mirror_that_begins_after_removals_has_the_same_ones()
    {
        for (var i = 0; i < 6; i++)
        {
            _registry.Publish(new FakePackage($"p{i}").Version("1.0.0"));
        }

        await StartNearAsync();
        await Eventually.Async(async () => (await RowsAsync(_near)).Count == 6);
        _registry.Knobs.Add(new FakeRule { Path = "/p1", Status = 451 });
        _registry.Delete("p1");
        _registry.Unpublish("p2");
        _registry.Delete("p3");
        _registry.TakeDown("p4");
        await Eventually.Async(async () => await RemovedAsync(_near) == 3 && await IsAtHeadAsync(_near));

        await StartFarAsync();
        await EqualAsync(living: 3, removed: 3);
        Assert.Equal([RemovalKind.Blocked, RemovalKind.Unpublished, RemovalKind.Gone], [await KindAsync("p1"), await KindAsync("p2"), await KindAsync("p3")]);
        Assert.Equal(HttpStatusCode.UnavailableForLegalReasons, (await _far.GetAsync("p1")).StatusCode);

        // It came and was removed, and another was back and was removed once more, between two looks.
        await StopFarAsync();
        _registry.Publish(new FakePackage("brief").Version("1.0.0"));
        _registry.Publish(new FakePackage("p3").Version("2.0.0"));
        await Eventually.Async(async () => await RemovedAsync(_near) == 2 && await _near.Store.Packages.FindAsync(PackageName.Parse("brief"), default) is not null);
        _registry.Delete("brief");
        _registry.Delete("p3");
        await Eventually.Async(async () => await RemovedAsync(_near) == 4);
        await StartFarAsync();
        await EqualAsync(living: 3, removed: 4);

        // The removal is passed on.
        await using var farther = await ServedMirror.StartAsync(null, new Uri(_far.Address, "/npm/"), options => Configure(options, "auto"));
        await Eventually.Async(async () => (await RowsAsync(farther)).SequenceEqual(await RowsAsync(_near)));
        Assert.Equal(await RemovalsAsync(_near), await RemovalsAsync(farther));
    }

    [Claim("A package that another mirror lists as removed and still serves stays",
        Red = "what is queued as removed is buried whatever it answers")]
    [Fact]
    public async Task A_package_listed_as_removed_and_still_served_stays()
    {
        _registry.Publish(new FakePackage("early").Version("1.0.0"));
        await StartNearAsync();
        await Eventually.Async(async () => (await RowsAsync(_near)).Count == 1);
        _registry.Knobs.Add(new FakeRule { Path = "/early", Status = 200, Body = Encoding.UTF8.GetString(_registry.Packument("early")!), ContentType = "application/json" });
        _registry.Delete("early");
        await Eventually.Async(async () => await _near.Store.Queue.FindQueuedAsync(PackageName.Parse("early"), default) is { IsDeletedRow: true, Attempts: > 0 });
        Assert.Equal(0, await RemovedAsync(_near));
        await StartFarAsync();
    }

    [Fact]
    public async Task A_removed_package_that_a_mirror_still_shows_stays_with_its_mirrors()
    {
        _registry.Publish(new FakePackage("early").Version("1.0.0"));
        _registry.Publish(new FakePackage("late").Version("1.0.0"));
        _nearRemoved = RemovedMode.Keep;
        await StartNearAsync();
        await Eventually.Async(async () => (await RowsAsync(_near)).Count == 2);
        _registry.Delete("late");
        await Eventually.Async(async () => await RemovedAsync(_near) == 1);

        await StartFarAsync();
        await Eventually.Async(async () => (await RowsAsync(_far)).Count == 2);
        _registry.Delete("early");
        _registry.Publish(new FakePackage("last").Version("1.0.0"));
        await Eventually.Async(async () => await RemovedAsync(_near) == 2 && await RowsAsync(_near) is { Count: 3 } near && (await RowsAsync(_far)).SequenceEqual(near));
        Assert.Equal(3, (await RowsAsync(_far)).Count(row => !row.EndsWith("deleted", StringComparison.Ordinal)));
        Assert.Equal(0, await RemovedAsync(_far));
    }

    private async Task<RemovalKind?> KindAsync(string name) => (await _far.Store.Packages.FindAsync(PackageName.Parse(name), TestContext.Current.CancellationToken))?.Facts.Removal;

    private static async Task<long> RemovedAsync(ServedMirror mirror) => (await mirror.Store.CountAsync(TestContext.Current.CancellationToken)).Removed;

    /// <summary>Each mirror's words about removals: kind, reason, time and revision.</summary>
    private static async Task<List<string>> RemovalsAsync(ServedMirror mirror)
    {
        var told = new List<string>();
        await foreach (var row in mirror.Store.Packages.ListAsync(null, isRemoved: true, TestContext.Current.CancellationToken))
        {
            using var answer = await mirror.GetAsync(row.Name.UrlSegment);
            using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
            told.Add($"{row.Name} {(int)answer.StatusCode} {body.RootElement.GetProperty("removed").GetRawText()}");
        }

        return told;
    }

    private async Task StartNearAsync()
    {
        _near = await ServedMirror.StartAsync(await OpenAsync("near"), _registry.Url, options =>
        {
            Configure(options, _registry.FeedUrl.AbsoluteUri);
            options.Removed.Gone = _nearRemoved;
        }, port: _nearPort);
    }

    private async Task StartFarAsync() => _far = await ServedMirror.StartAsync(await OpenAsync("far"), new Uri(_near.Address, "/npm/"), options => Configure(options, "auto"));

    private void Configure(MirrorOptions options, string feed) => (options.Feed, options.Mode, options.Metadata) = (feed, _mode, MetadataMode.All);

    private Task StopNearAsync() => StopAsync(_near);

    private Task StopFarAsync() => StopAsync(_far);

    private static async Task StopAsync(ServedMirror mirror)
    {
        await mirror.DisposeAsync();
        await mirror.Store.DisposeAsync();
    }

    private Task<IMetadataStore> OpenAsync(string name) => Task.FromResult<IMetadataStore>(new SqliteStore(_folder.File($"{name}/npm-mirror.sqlite"), TimeProvider.System));

    /// <summary>Names, revisions, tombstones, and each document byte for byte but for the base address.</summary>
    private async Task EqualAsync(int living, int removed)
    {
        await Eventually.Async(async () => await IsAtHeadAsync(_near) && await RowsAsync(_near) is var rows && rows.Count == living + removed && rows.SequenceEqual(await RowsAsync(_far)));
        Assert.Equal(await RemovalsAsync(_near), await RemovalsAsync(_far));
        var held = await RowsAsync(_far);
        Assert.Equal(removed, held.Count(row => row.EndsWith("deleted", StringComparison.Ordinal)));
        foreach (var name in held.Where(row => !row.EndsWith("deleted", StringComparison.Ordinal)).Select(row => row.Split(' ')[0]))
        {
            var path = name.Replace("/", "%2f", StringComparison.Ordinal);
            Assert.Equal((await _near.TextAsync(path)).Replace(_near.Address.AbsoluteUri, _far.Address.AbsoluteUri, StringComparison.Ordinal), await _far.TextAsync(path));
        }
    }

    /// <summary>Whether near is equal to the registry.</summary>
    private async Task<bool> IsAtHeadAsync(ServedMirror mirror)
    {
        foreach (var row in await RowsAsync(mirror))
        {
            var parts = row.Split(' ');
            if (parts[2].Length == 0 && Rev(_registry.Packument(parts[0])) != parts[1])
            {
                return false;
            }
        }

        return true;
    }

    private static string? Rev(byte[]? packument)
    {
        if (packument is null)
        {
            return null;
        }

        using var document = JsonDocument.Parse(packument);
        return document.RootElement.GetProperty("_rev").GetString();
    }

    private static async Task<List<string>> RowsAsync(ServedMirror mirror)
    {
        using var page = JsonDocument.Parse(await mirror.TextAsync("_changes"));
        return [.. page.RootElement.GetProperty("results").EnumerateArray()
            .Select(row => $"{row.GetProperty("id").GetString()} {row.GetProperty("changes")[0].GetProperty("rev").GetString()} {(row.TryGetProperty("deleted", out _) ? "deleted" : "")}")
            .Order(StringComparer.Ordinal)];
    }
}
