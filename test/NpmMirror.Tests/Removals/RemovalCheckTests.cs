using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Log;
using NpmMirror.Removals;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Removals;

/// <summary>When a package that is missing is believed to be gone, and which other packages are asked for before.</summary>
public sealed class RemovalCheckTests : IAsyncLifetime
{
    private static readonly PackageName Missing = PackageName.Parse("m");

    private MirrorBench _bench = null!;
    private RemovalCheck _check = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _bench = await MirrorBench.StartAsync();
        _check = RemovalCheck.Over(_bench.Store, _bench.Client, _bench.Known);
    }

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Theory]
    [InlineData(599, 0, "asked again before it is believed")]
    [InlineData(600, 0, "but for other packages too")]
    [InlineData(86_399, RemovalCheck.DoubtTriesMin, "but for other packages too")]
    [InlineData(86_400, RemovalCheck.DoubtTriesMin - 1, "but for other packages too")]
    [InlineData(86_400, RemovalCheck.DoubtTriesMin, null)]
    public async Task A_package_without_neighbours_is_gone_after_a_day_of_tries(int seconds, int attempts, string? doubt)
    {
        var told = await _check.FindDoubtAsync(Missing, 404, TimeSpan.FromSeconds(seconds), attempts, Token);
        Assert.Equal(doubt is null, told is null);
        Assert.Contains(doubt ?? "", told ?? "", StringComparison.Ordinal);
        Assert.Contains(doubt is null ? "" : "404", told ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_deletion_that_the_feed_flags_is_believed_at_once()
    {
        await HoldAsync("m", "n");
        _bench.Upstream.Delete("m");
        Assert.IsType<SyncResult.Removed>(await _bench.SyncAsync("m", _bench.Item("m") with { IsDeletedRow = true }));
        Assert.Equal(["/m"], Asked());
    }

    [Theory]
    [InlineData("a z", "z")]
    [InlineData("a b", "a")]
    [InlineData("n o p q", "n")]
    public async Task The_next_name_is_asked_first_and_the_first_name_if_there_is_no_next(string held, string asked)
    {
        await HoldAsync([.. held.Split(' '), "m"]);
        Assert.Null(await LookAsync());
        Assert.Equal([$"/{asked}"], Asked());

        // The one that answered is asked again the next time, and no other.
        Assert.Null(await LookAsync());
        Assert.Equal([$"/{asked}", $"/{asked}"], Asked());
    }

    [Fact]
    public async Task The_answer_of_a_cache_does_not_tell_that_another_package_lives()
    {
        await HoldAsync("m", "n");
        Assert.Null(await LookAsync());
        Assert.Contains("cache=0", Assert.Single(_bench.Upstream.Requests.All).Target, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Three_neighbours_and_then_three_from_the_beginning_are_asked()
    {
        await HoldAsync("a", "b", "c", "d", "m", "n", "o", "p", "q");
        _bench.Upstream.Knobs.Fail("*", 500);
        Assert.Contains("for other packages too", await LookAsync(), StringComparison.Ordinal);
        Assert.Equal(["/a", "/b", "/c", "/n", "/o", "/p"], Asked().Distinct().Order());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_that_is_missing_itself_is_not_asked_whether_others_live(bool wasAlive)
    {
        await HoldAsync("m");
        if (wasAlive)
        {
            _check.NoteAlive(Missing);
        }

        Assert.Contains("for other packages too", await LookAsync(), StringComparison.Ordinal);
        Assert.Empty(Asked());
    }

    [Fact]
    public async Task A_neighbour_that_is_gone_too_does_not_live()
    {
        await HoldAsync("m", "n", "o");
        _check.NoteAlive(PackageName.Parse("n"));
        _bench.Upstream.Delete("n");
        Assert.Null(await LookAsync());
        Assert.Equal(["/n", "/o"], Asked());
    }

    [Theory]
    [InlineData(404, true, "lists the package still")]
    [InlineData(404, false, null)]
    [InlineData(451, true, null)]
    public async Task A_package_still_on_the_list_is_not_gone_unless_it_is_blocked(int status, bool isListed, string? doubt)
    {
        await HoldAsync("m", "n");
        if (!isListed)
        {
            _bench.Upstream.Delete("m");
        }

        var feed = await new FeedProbe(_bench.Client, new FeedOptions(), NullLogger.Instance).FindAsync(_bench.Upstream.FeedUrl.AbsoluteUri, Token);
        _bench.Known.Note(new UpstreamFeed.Found(feed!));
        var told = await _check.FindDoubtAsync(Missing, status, TimeSpan.FromHours(1), tries: 0, Token);
        Assert.Equal(doubt is null, told is null);
        Assert.Contains(doubt ?? "", told ?? "", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(404, "has not been found yet")]
    [InlineData(451, null)]
    public async Task While_the_list_is_sought_only_a_block_is_believed(int status, string? doubt)
    {
        await HoldAsync("m", "n");
        _bench.Known.Note(new UpstreamFeed.Seeking());
        var told = await _check.FindDoubtAsync(Missing, status, TimeSpan.FromHours(1), tries: 0, Token);
        Assert.Equal(doubt is null, told is null);
        Assert.Contains(doubt ?? "", told ?? "", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(404, null, RemovalKind.Gone)]
    [InlineData(410, null, RemovalKind.Gone)]
    [InlineData(451, null, RemovalKind.Blocked)]
    [InlineData(451, "Unpublished", RemovalKind.Blocked)]
    [InlineData(404, "Unpublished", RemovalKind.Unpublished)]
    [InlineData(404, "Blocked", RemovalKind.Gone)]
    [InlineData(404, "Gone", RemovalKind.Gone)]
    public void The_kind_is_told_by_the_status_and_by_another_mirrors_word(int status, string? notice, RemovalKind kind) =>
        Assert.Equal(kind, RemovalCheck.KindOf(new PackumentAnswer.Absent(status, null, notice is null ? null : new RemovalNotice(notice, null, null, "2-b"))));

    private async Task HoldAsync(params string[] names)
    {
        foreach (var name in names)
        {
            _bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
            await _bench.SyncAsync(name);
        }

        _bench.Upstream.Requests.Clear();
    }

    private Task<string?> LookAsync() => _check.FindDoubtAsync(Missing, 404, TimeSpan.FromHours(1), tries: 0, Token);

    private List<string> Asked() => [.. _bench.Upstream.Requests.All.Select(request => request.Target.Split('?')[0])];
}
