using System.Net;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class FreshnessTests
{
    [Claim("A commit of this process is served by the next request",
        Red = "`CachedPackage` is never marked dropped")]
    [Fact]
    public async Task A_commit_of_this_process_is_served_by_the_next_request()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var before = await mirror.GetAsync("ms");
        for (var patch = 1; patch <= 20; patch++)
        {
            registry.PublishVersion("ms", $"1.0.{patch}");
            await mirror.Mirror.Sync.SyncAsync(PackageName.Parse("ms"), null, TestContext.Current.CancellationToken);
            using var after = await mirror.GetAsync("ms", ("If-None-Match", before.Headers.ETag!.Tag));
            Assert.Equal(HttpStatusCode.OK, after.StatusCode);
            Assert.Contains($"\"1.0.{patch}\"", await after.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task A_commit_of_another_process_is_served_soon()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms", "first"));
        Assert.Contains("first", await mirror.TextAsync("ms"));
        await mirror.PutAsync("ms", Documents.Of("ms", "second"));
        await Eventually.Async(() => mirror.TextAsync("ms").GetAwaiter().GetResult().Contains("second", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_remembered_document_past_its_ttl_is_compared_before_it_is_served(bool isHot)
    {
        var clock = new FakeClock();
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, time: clock, isHot: isHot);
        for (var patch = 1; patch <= 5; patch++)
        {
            await mirror.TextAsync("ms");
            // A second before its time is over it is found anew in the store: else it could be served from memory for longer than that second.
            clock.Advance(TimeSpan.FromSeconds(299));
            await mirror.TextAsync("ms");
            await mirror.TextAsync("ms");
            registry.PublishVersion("ms", $"1.0.{patch}");
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.Contains($"\"1.0.{patch}\"", await mirror.TextAsync("ms"), StringComparison.Ordinal);
        }
    }

    [Claim("A takedown is not served from the moment the follower heard of it, also if its row fell into a reset (never-again 12)",
        With =
        [
            $"{nameof(TarballServingTests)}.{nameof(TarballServingTests.After_a_security_holder_only_its_own_tarball_is_served)}",
            $"{nameof(Clients.NpmCommandTests)}.{nameof(Clients.NpmCommandTests.A_security_holder_is_shown_in_place_of_the_taken_down_package)}",
            $"{nameof(Following.MirrorResetTests)}.{nameof(Following.MirrorResetTests.Becomes_equal_when_it_happens_while_a_change_is_waited_for)}",
            nameof(A_removal_by_this_process_is_refused_by_the_next_request),
        ],
        Red = "the log drops nothing: the first was red; `PackageSync` does not tell of a removal's commit: the fifth; `PackageVisibility` refuses no file, or `PackumentPass` knows no holder: the second; nothing is looked at beside an open read: the fourth")]
    [Fact]
    public async Task A_removed_package_is_gone_from_the_prepared_answers()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.TextAsync("ms");
        await mirror.RemoveAsync("ms");
        await Eventually.Async(() => mirror.GetAsync("ms").GetAwaiter().GetResult().StatusCode == HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task A_removal_by_this_process_is_refused_by_the_next_request()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        for (var i = 0; i < 20; i++)
        {
            registry.Publish(new FakePackage($"p{i}").Version("1.0.0"));
            await mirror.TextAsync($"p{i}");
            registry.Unpublish($"p{i}");
            await mirror.Mirror.Sync.SyncAsync(PackageName.Parse($"p{i}"), null, TestContext.Current.CancellationToken);
            using var after = await mirror.GetAsync($"p{i}");
            Assert.Equal(HttpStatusCode.NotFound, after.StatusCode);
        }
    }

    [Claim("Work begun before a commit answers no request after it",
        With = [nameof(A_row_found_before_a_commit_is_not_kept_after_it)],
        Red = "`RenditionCache.Drop` only raises the epoch: the first was red; `Keep` does not compare tickets: the second was red")]
    [Fact]
    public async Task Work_begun_before_a_commit_answers_no_request_after_it()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await using var mirror = await ServedMirror.StartAsync(store);
        await mirror.PutAsync("ms", Documents.Of("ms", "first"));
        var held = new TaskCompletionSource();
        var reached = new TaskCompletionSource();
        counts.BeforeRead = _ =>
        {
            reached.TrySetResult();
            return held.Task;
        };
        var early = mirror.TextAsync("ms");
        await reached.Task;

        counts.BeforeRead = null;
        await mirror.PutAsync("ms", Documents.Of("ms", "second"));
        mirror.Cache.Drop(PackageName.Parse("ms"));
        Assert.Contains("second", await mirror.TextAsync("ms"));

        held.SetResult();
        await early;
        Assert.Contains("second", await mirror.TextAsync("ms"));
    }

    [Fact]
    public async Task A_row_found_before_a_commit_is_not_kept_after_it()
    {
        var store = new MemoryStore(TimeProvider.System);
        await using var mirror = await ServedMirror.StartAsync(store);
        await mirror.PutAsync("ms", Documents.Of("ms", "first"));
        var name = PackageName.Parse("ms");
        var ticket = mirror.Cache.Ticket(name);
        var old = (await store.Packages.FindAsync(name, TestContext.Current.CancellationToken))!;
        await mirror.PutAsync("ms", Documents.Of("ms", "second"));
        mirror.Cache.Drop(name);

        Assert.True(mirror.Cache.Keep(old, ticket).IsDropped);
        Assert.Contains("second", await mirror.TextAsync("ms"));
    }

    [Claim("A warm request asks no store, parses nothing, allocates under 256 bytes",
        With = [$"{nameof(ShortcutTests)}.{nameof(ShortcutTests.A_repeated_request_parses_nothing_and_allocates_next_to_nothing)}"],
        Red = "`RenditionCache.IsCurrent` is false: both were red; `PackumentEndpoint.Remember` remembers nothing: the last")]
    [Fact]
    public async Task Warm_requests_ask_no_store()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await using var mirror = await ServedMirror.StartAsync(store);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.SettleAsync();
        await mirror.TextAsync("ms");
        await mirror.TextAsync("ms/latest");
        var before = (counts.CountOf("FindAsync"), counts.CountOf("ReadAsync"));
        for (var i = 0; i < 50; i++)
        {
            await mirror.TextAsync("ms");
            await mirror.TextAsync("ms/latest");
            using var answer = await mirror.GetAsync("ms", ("If-None-Match", "*"));
        }

        Assert.Equal(before, (counts.CountOf("FindAsync"), counts.CountOf("ReadAsync")));
    }

    [Fact]
    public async Task After_a_restart_not_modified_costs_one_row_and_no_document()
    {
        var memory = new MemoryStore(TimeProvider.System);
        string tag;
        await using (var before = await ServedMirror.StartAsync(memory, configure: options => options.PublicUrl = "https://npm.example.org/npm"))
        {
            await before.PutAsync("ms", Documents.Of("ms"));
            using var answer = await before.GetAsync("ms");
            tag = answer.Headers.ETag!.Tag;
        }

        var (store, counts) = CountedStore.Over(memory);
        await using var after = await ServedMirror.StartAsync(store, configure: options => options.PublicUrl = "https://npm.example.org/npm");
        await after.SettleAsync();
        after.IsFollowed = true;
        counts.Calls.Clear();
        using var unchanged = await after.GetAsync("ms", ("If-None-Match", tag));
        Assert.Equal(HttpStatusCode.NotModified, unchanged.StatusCode);
        Assert.Equal((1, 0), (counts.CountOf("FindAsync"), counts.CountOf("ReadAsync")));
    }

    [Fact]
    public async Task Twenty_at_once_make_a_large_packument_once()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await using var mirror = await ServedMirror.StartAsync(store);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.SettleAsync();
        var held = new TaskCompletionSource();
        counts.BeforeRead = _ => held.Task;
        var requests = Enumerable.Range(0, 20).Select(_ => mirror.TextAsync("ms")).ToList();
        await Eventually.Async(() => counts.CountOf("ReadAsync") == 1);
        held.SetResult();
        await Task.WhenAll(requests);
        Assert.Equal(1, mirror.Cache.MadeCount);
    }

    [Fact]
    public async Task A_document_in_memory_outlives_a_store_in_trouble()
    {
        var clock = new FakeClock();
        var (store, counts) = CountedStore.Over(new MemoryStore(clock));
        await using var mirror = await ServedMirror.StartAsync(store, time: clock);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.SettleAsync();
        var text = await mirror.TextAsync("ms");
        counts.Trouble = new MirrorException(MirrorFault.StoreUnavailable, "The store is away.", isTransient: true);
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(text, await mirror.TextAsync("ms"));
    }
}
