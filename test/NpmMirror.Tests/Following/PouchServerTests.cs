using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Options;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Following;

/// <summary>Against a real CouchDB-like server, in its own process.</summary>
[Trait("Duration", "long")]
public sealed class PouchServerTests : IAsyncLifetime
{
    private static readonly TimeSpan StartMax = TimeSpan.FromSeconds(60);

    private readonly TempFolder _folder = new();
    private readonly ByteBudget _budget = new(10_000_000);
    private readonly HttpClient _http = new();
    private readonly ConcurrentQueue<MonitorEvent> _told = new();
    private Process? _server;
    private RegistryClient _client = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(TestTools.Has("pouchdb-server"), TestTools.Missing("pouchdb-server"));
        var port = FreePort.Find();
        _server = TestProcess.Start([.. TestTools.Command("pouchdb-server"), "--in-memory", "--host", "127.0.0.1", "--port", $"{port}", "--no-stdout-logs"], _folder.Path, new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH")!, ["HOME"] = _folder.Path });
        _ = TestProcess.GatherAsync(_server.StandardOutput, new StringBuilder(), Cancellation);
        _ = TestProcess.GatherAsync(_server.StandardError, new StringBuilder(), Cancellation);
        _http.BaseAddress = new Uri($"http://127.0.0.1:{port}/registry/");
        using var deadline = new CancellationTokenSource(StartMax);
        while (!await IsThereAsync(deadline.Token))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, deadline.Token);
        }

        _client = new RegistryClient(new RegistryClientOptions { BaseUrl = _http.BaseAddress }, _budget, TimeProvider.System, NullLogger.Instance);
    }

    public ValueTask DisposeAsync()
    {
        if (_server is { } server)
        {
            server.Kill(entireProcessTree: true);
            server.WaitForExit(10_000);
            server.Dispose();
            _client.Dispose();
        }

        _http.Dispose();
        _budget.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Claim("CouchDB longpoll and continuous against a real pouchdb-server, multi-byte names included",
        With = [nameof(Tells_changes_and_deletions_as_they_happen), nameof(Lists_everything_and_tells_where_it_stands)])]
    [Theory]
    [InlineData(FeedMode.Longpoll)]
    [InlineData(FeedMode.Continuous)]
    public async Task Follows_a_real_couch_from_its_beginning_and_live(FeedMode mode)
    {
        var names = Enumerable.Range(0, 40).Select(i => $"påket-日本-😀-{i}").ToList();
        foreach (var name in names[..20])
        {
            await PutAsync(name);
        }

        await PutAsync("_design/app");
        await using var monitor = await FollowAsync(mode, Sequence.Zero);
        await WaitForAppearedAsync(20);
        foreach (var name in names[20..])
        {
            await PutAsync(name);
        }

        await WaitForAppearedAsync(40);
        Assert.Equal(names, _told.OfType<MonitorEvent.Appeared>().Select(told => told.Package.Value));
        var revs = _told.OfType<MonitorEvent.Revised>().Select(told => long.Parse(told.LastSequence.Text, System.Globalization.CultureInfo.InvariantCulture)).ToList();
        Assert.Equal(revs.Order(), revs);
        Assert.Empty(_told.OfType<MonitorEvent.Failed>());
        await monitor.StopAsync(Cancellation);
    }

    [Theory]
    [InlineData(FeedMode.Longpoll)]
    [InlineData(FeedMode.Continuous)]
    public async Task Tells_changes_and_deletions_as_they_happen(FeedMode mode)
    {
        var rev = await PutAsync("@scope/näme");
        await using var monitor = await FollowAsync(mode, null);
        await Eventually.Async(() => monitor.IsConnected);
        rev = await PutAsync("@scope/näme", rev);
        await Eventually.Async(() => _told.Any(told => told is MonitorEvent.Appeared or MonitorEvent.Updated));
        rev = await PutAsync("@scope/näme", rev);
        await Eventually.Async(() => _told.Count(told => told is MonitorEvent.Appeared or MonitorEvent.Updated) == 2);
        using var deleted = await _http.DeleteAsync($"{Uri.EscapeDataString("@scope/näme")}?rev={rev}", Cancellation);
        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        await Eventually.Async(() => _told.Any(told => told is MonitorEvent.Deleted));
        Assert.Empty(_told.OfType<MonitorEvent.Failed>());
    }

    [Fact]
    public async Task Following_an_empty_database_starts_and_tells_the_first_change()
    {
        var feed = await new FeedProbe(_client, new FeedOptions(), NullLogger.Instance).FindAsync("auto", Cancellation);
        await using var monitor = RegistryMonitor.Bare(feed!, _client, new MonitorOptions { LastSeq = "now" }, concurrency: 5, TimeProvider.System, NullLogger.Instance);
        var isStarted = false;
        monitor.Started += _ => Volatile.Write(ref isStarted, true);
        monitor.Appeared += _told.Enqueue;
        monitor.Start();
        await Eventually.Async(() => Volatile.Read(ref isStarted));
        await PutAsync("first");
        await WaitForAppearedAsync(1);
    }

    [Fact]
    public async Task Lists_everything_and_tells_where_it_stands()
    {
        for (var i = 0; i < 25; i++)
        {
            await PutAsync($"p-{i}-ü");
        }

        var feed = new LiveChangeFeed(_client, _client.BaseUrl, new FeedOptions { ListRows = 10 });
        var listed = new List<string>();
        await foreach (var package in feed.ListAllAsync(Cancellation))
        {
            listed.Add(package.Id);
        }

        Assert.Equal(25, listed.Distinct().Count());
        Assert.Equal(25, listed.Count);
        var info = await feed.GetInfoAsync(Cancellation);
        Assert.Equal(("25", 25L), (info.Head.Text, info.DocumentCount!.Value));
        Assert.IsType<LiveChangeFeed>(await new FeedProbe(_client, new FeedOptions(), NullLogger.Instance).FindAsync("auto", Cancellation));
    }

    private async Task<RegistryMonitor> FollowAsync(FeedMode mode, Sequence? since)
    {
        var feed = new LiveChangeFeed(_client, _client.BaseUrl, new FeedOptions { Mode = mode, PageRows = 7 });
        var monitor = RegistryMonitor.Bare(feed, _client, new MonitorOptions(), concurrency: 5, TimeProvider.System, NullLogger.Instance);
        monitor.Appeared += _told.Enqueue;
        monitor.Updated += _told.Enqueue;
        monitor.Deleted += _told.Enqueue;
        monitor.Revised += _told.Enqueue;
        monitor.Failed += _told.Enqueue;
        monitor.Start(since);
        await Eventually.Async(() => monitor.LastSequence is not null);
        return monitor;
    }

    private Task WaitForAppearedAsync(int count) => Eventually.Async(() => _told.OfType<MonitorEvent.Appeared>().Count() == count);

    private async Task<string> PutAsync(string name, string? rev = null)
    {
        var document = new Dictionary<string, object> { ["name"] = name, ["dist-tags"] = new Dictionary<string, string>(), ["versions"] = new Dictionary<string, string>() };
        if (rev is not null)
        {
            document["_rev"] = rev;
        }

        var path = name.StartsWith("_design/", StringComparison.Ordinal) ? name : Uri.EscapeDataString(name);
        using var content = new StringContent(JsonSerializer.Serialize(document), Encoding.UTF8, "application/json");
        using var answer = await _http.PutAsync(path, content, Cancellation);
        var text = await answer.Content.ReadAsStringAsync(Cancellation);
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text).RootElement.GetProperty("rev").GetString()!;
    }

    private async Task<bool> IsThereAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var created = await _http.PutAsync("", null, cancellationToken);
            return created.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
