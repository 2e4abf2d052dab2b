using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NpmMirror.Options;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Page;

/// <summary><c>/api/mirrors</c>, <c>/api/sse</c> and the events of the page.</summary>
public sealed class StateInterfaceTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("Compatibility D5: `/api/mirrors` tells what is mirrored, from where and how to use it, without credentials; `/api/sse` tells 1 working, 2 waiting, 3 trouble, the last state at once",
        With = [nameof(A_reader_of_states_gets_the_last_one_at_once_and_each_change), nameof(The_state_is_for_other_sites_only_where_configured)])]
    [Fact]
    public async Task The_list_of_mirrors_tells_the_upstream_without_credentials()
    {
        await using var mirror = await ServedMirror.StartAsync(upstream: new Uri("http://user:secret@127.0.0.1:9/some/path/"), hasPage: true);
        var text = await mirror.TextAsync("/api/mirrors");
        Assert.DoesNotContain("secret", text);
        using var json = JsonDocument.Parse(text);
        var one = Assert.Single(json.RootElement.EnumerateArray());
        Assert.Equal("npm", one.GetProperty("Type").GetString());
        Assert.Equal("npm-mirror.npm.npm", one.GetProperty("Id").GetString());
        Assert.EndsWith("127.0.0.1:9/some/path", one.GetProperty("SourceUrl").GetString());
        Assert.Equal($"{mirror.Address}npm", one.GetProperty("TargetUrl").GetString());
        Assert.True(one.GetProperty("Enabled").GetBoolean());
        Assert.Contains($"npm config set registry {mirror.Address}npm/", one.GetProperty("Usage").GetString());
    }

    [Fact]
    public async Task A_reader_of_states_gets_the_last_one_at_once_and_each_change()
    {
        var (store, counts) = CountedStore.Over(new NpmMirror.Storage.MemoryStore(TimeProvider.System));
        await using var mirror = await ServedMirror.StartAsync(store, hasPage: true);
        using var reader = await OpenAsync(mirror, "/api/sse");
        Assert.Equal((2, "npm-mirror.npm.npm"), await StateAsync(reader));
        counts.Trouble = new MirrorException(MirrorFault.StoreReadOnly, "The disk is full; make room.");
        Assert.Equal((3, "npm-mirror.npm.npm"), await StateAsync(reader));
        using var second = await OpenAsync(mirror, "/api/sse");
        Assert.Equal(3, (await StateAsync(second)).Status);
        counts.Trouble = null;
        Assert.Equal(2, (await StateAsync(reader)).Status);
    }

    [Fact]
    public async Task A_reader_of_states_is_let_go_when_the_server_ends()
    {
        var mirror = await ServedMirror.StartAsync(hasPage: true);
        try
        {
            using var reader = await OpenAsync(mirror, "/api/sse");
            await StateAsync(reader);
            mirror.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
            while (await reader.ReadLineAsync(Cancelled) is { } line)
            {
                Assert.True(line.Length == 0 || line.StartsWith("data: ", StringComparison.Ordinal) || line[0] == ':');
            }
        }
        finally
        {
            await mirror.DisposeAsync();
        }
    }

    [Claim("No more than 200 readers follow the state at once; the next is told to come back", Red = "`LiveStates` does not count its readers")]
    [Fact]
    public async Task There_is_a_limit_to_the_readers_of_states()
    {
        await using var mirror = await ServedMirror.StartAsync(hasPage: true);
        var readers = new List<StreamReader>();
        try
        {
            for (var i = 0; i < NpmMirror.Page.State.LiveStates.ReadersMax; i++)
            {
                readers.Add(await OpenAsync(mirror, "/api/sse"));
            }

            using var refused = await mirror.GetAsync("/api/sse");
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.NotNull(refused.Headers.RetryAfter);
        }
        finally
        {
            readers.ForEach(reader => reader.Dispose());
        }

        // A reader that left makes room.
        await Eventually.Async(async () =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/api/sse", UriKind.Relative));
            using var answer = await mirror.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancelled);
            return answer.StatusCode == HttpStatusCode.OK;
        });
    }

    [Theory]
    [InlineData(CrossOriginMode.Auto, false)]
    [InlineData(CrossOriginMode.Never, false)]
    [InlineData(CrossOriginMode.Always, true)]
    public async Task The_state_is_for_other_sites_only_where_configured(CrossOriginMode mode, bool isShared)
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.CrossOrigin = mode, hasPage: true);
        using var answer = await mirror.GetAsync("/api/mirrors", ("Origin", "http://other.example.org"));
        Assert.Equal(isShared, answer.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Claim("Events can be had of some kinds and names only", Red = "`EventsEndpoint` does not ask `EventsFilter`")]
    [Fact]
    public async Task Events_are_filtered_by_kind_and_name()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("left-pad").Version("1.0.0"));
        registry.Publish(new FakePackage("right-pad").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        await mirror.TextAsync("left-pad");
        await mirror.TextAsync("right-pad");
        registry.PublishVersion("right-pad", "2.0.0");
        await mirror.TextAsync("right-pad?refresh=1");
        using var reader = await OpenAsync(mirror, "/api/events?since=0&type=PackageAdded,VersionPublished&package=RIGHT");
        Assert.Equal("right-pad PackageAdded", await EventAsync(reader));
        Assert.Equal("right-pad VersionPublished", await EventAsync(reader));
        using var wrong = await mirror.GetAsync("/api/events?type=Nothing");
        Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);
        Assert.Contains("VersionPublished", await wrong.Content.ReadAsStringAsync(Cancelled));
    }

    private static async Task<StreamReader> OpenAsync(ServedMirror mirror, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
        var answer = await mirror.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancelled);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        return new StreamReader(await answer.Content.ReadAsStreamAsync(Cancelled));
    }

    private static async Task<(int Status, string Id)> StateAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync(Cancelled) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                using var json = JsonDocument.Parse(line[6..]);
                return (json.RootElement.GetProperty("Status").GetInt32(), json.RootElement.GetProperty("Id").GetString()!);
            }
        }

        throw new EndOfStreamException();
    }

    private static async Task<string> EventAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync(Cancelled) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                using var json = JsonDocument.Parse(line[6..]);
                return $"{json.RootElement.GetProperty("package").GetString()} {json.RootElement.GetProperty("type").GetString()}";
            }
        }

        throw new EndOfStreamException();
    }
}
