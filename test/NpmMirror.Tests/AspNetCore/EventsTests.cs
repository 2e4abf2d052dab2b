using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class EventsTests
{
    [Claim("Events of the log can be read from any position on, without a gap and without a repetition",
        With =
        [
            nameof(A_reader_that_comes_back_misses_nothing_and_hears_nothing_twice),
            nameof(A_reader_that_was_told_of_nothing_yet_knows_where_to_go_on),
            nameof(A_position_of_another_mirror_is_refused),
            $"{nameof(Storage.RegistryLogTests)}.{nameof(Storage.RegistryLogTests.Events_are_told_from_a_position_on_and_none_is_left_out_or_told_twice)}",
        ],
        Red = "`Last-Event-ID` is not looked at: the second was red")]
    [Fact]
    public async Task Tells_rows_of_the_log_from_a_position_on_and_then_new_ones()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        await mirror.TextAsync("ms");
        await using var reader = await Reader.OpenAsync(mirror, "-/events?since=0");
        Assert.Equal("0", (await reader.NextAsync()).Id);
        var added = await reader.NextAsync();
        Assert.Equal(("1", "PackageAdded", "ms", 1), (added.Id, added.Kind, added.Data.GetProperty("package").GetString(), added.Data.GetProperty("payload").GetProperty("versions").GetInt32()));

        registry.PublishVersion("ms", "1.1.0");
        using var refreshed = await mirror.GetAsync("ms?refresh=1");
        Assert.Equal(HttpStatusCode.OK, refreshed.StatusCode);
        var published = await reader.NextAsync();
        Assert.Equal(("2", "VersionPublished"), (published.Id, published.Kind));
        Assert.Equal("""{"version":"1.1.0"}""", published.Data.GetProperty("payload").GetRawText());
        Assert.Equal(JsonDocument.Parse(registry.Packument("ms")).RootElement.GetProperty("_rev").GetString(), published.Data.GetProperty("rev").GetString());
        Assert.Equal("DistTagMoved", (await reader.NextAsync()).Kind);
    }

    [Fact]
    public async Task A_reader_that_comes_back_misses_nothing_and_hears_nothing_twice()
    {
        await using var mirror = await ServedMirror.StartAsync();
        foreach (var name in new[] { "a", "b", "c", "d" })
        {
            await mirror.PutAsync(name, Documents.Of(name));
        }

        // As a browser does: its first address, and where it was.
        await using var reader = await Reader.OpenAsync(mirror, "-/events?since=1", ("Last-Event-ID", "2"));
        Assert.Equal("2", (await reader.NextAsync()).Id);
        Assert.Equal("c", (await reader.NextAsync()).Data.GetProperty("package").GetString());
        Assert.Equal("d", (await reader.NextAsync()).Data.GetProperty("package").GetString());
    }

    [Claim("A row of the log with a damaged payload is told as such, and its readers go on",
        Red = "`FeedBody.Event` writes every payload as it is")]
    [Theory]
    [InlineData("")]
    [InlineData("{bad")]
    [InlineData("{}{}")]
    [InlineData("[1]")]
    public async Task A_row_whose_payload_is_damaged_is_told_as_such_and_the_next_one_too(string payload)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"), payload);
        await mirror.PutAsync("b", Documents.Of("b"));
        await using var reader = await Reader.OpenAsync(mirror, "-/events?since=0");
        Assert.Equal("0", (await reader.NextAsync()).Id);
        var damaged = (await reader.NextAsync()).Data;
        Assert.Equal(("a", JsonValueKind.Null, "damaged"), (damaged.GetProperty("package").GetString(), damaged.GetProperty("payload").ValueKind, damaged.GetProperty("error").GetString()));
        var right = (await reader.NextAsync()).Data;
        Assert.Equal(("b", false), (right.GetProperty("package").GetString(), right.TryGetProperty("error", out _)));
    }

    [Theory]
    [InlineData("-/events")]
    [InlineData("-/events?since=now")]
    public async Task A_reader_that_was_told_of_nothing_yet_knows_where_to_go_on(string path)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        await using var reader = await Reader.OpenAsync(mirror, path + (path.Contains('?') ? "&" : "?") + "heartbeat=100");
        var first = await reader.NextAsync();
        Assert.Equal(("1", ""), (first.Id, first.Kind));
        Assert.Equal(": waiting", (await reader.NextAsync()).Comment);
        await mirror.PutAsync("b", Documents.Of("b"));
        SentEvent told;
        do
        {
            told = await reader.NextAsync();
        }
        while (told.Comment.Length > 0);
        Assert.Equal("2", told.Id);
    }

    [Theory]
    [InlineData("since=2", "ends at 1")]
    [InlineData("since=-1", "position")]
    [InlineData("since=1-a", "position")]
    [InlineData("heartbeat=often", "milliseconds")]
    public async Task A_position_of_another_mirror_is_refused(string query, string reason)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("a", Documents.Of("a"));
        using var answer = await mirror.GetAsync("-/events?" + query);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(reason, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Claim("Many readers cost the store no more than one; one that stalls is ended and slows neither the mirror nor the others",
        With = [nameof(A_stalled_reader_is_ended_and_slows_nothing_else)],
        Red = "`StallLimit.StallMax` of 100 days: the last was red (`/-/events`)")]
    [Fact]
    public async Task A_crowd_at_the_end_of_the_log_costs_the_store_no_more_than_one()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await using var mirror = await ServedMirror.StartAsync(store);
        await mirror.PutAsync("a", Documents.Of("a"));
        await mirror.SettleAsync();
        var readers = new List<Reader>();
        for (var i = 0; i < 50; i++)
        {
            readers.Add(await Reader.OpenAsync(mirror, "-/events"));
            await readers[i].NextAsync();
        }

        var before = counts.CountOf("ReadLogAsync");
        await mirror.PutAsync("b", Documents.Of("b"));
        foreach (var reader in readers)
        {
            Assert.Equal("2", (await reader.NextAsync()).Id);
            await reader.DisposeAsync();
        }

        Assert.InRange(counts.CountOf("ReadLogAsync") - before, 1, 3);
    }

    [Theory]
    [InlineData("-/events?since=0")]
    [InlineData("_changes?feed=continuous&include_docs=true&heartbeat=3600000")]
    public async Task A_stalled_reader_is_ended_and_slows_nothing_else(string path)
    {
        var clock = new FakeClock();
        await using var mirror = await ServedMirror.StartAsync(time: clock);
        var readme = new string('x', 300_000);
        for (var i = 0; i < 30; i++)
        {
            await mirror.PutAsync($"p{i}", Documents.Of($"p{i}", readme), "{\"members\":[{\"name\":\"readme\",\"old\":{\"json\":\"" + readme + "\"}}]}");
        }

        await mirror.SettleAsync();
        using var socket = await RawTalk.ConnectAsync(mirror, receiveBytes: 4096);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /npm/{path} HTTP/1.1\r\nHost: {mirror.Address.Authority}\r\n\r\n"), TestContext.Current.CancellationToken);
        await Eventually.Async(() => socket.Available > 0);

        // Another reads all of it meanwhile, and the mirror writes on.
        await using var stream = await mirror.Client.GetStreamAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
        await mirror.PutAsync("last", Documents.Of("last"));
        using var lines = new StreamReader(stream);
        while (!(await lines.ReadLineAsync(TestContext.Current.CancellationToken))!.Contains("\"last\"", StringComparison.Ordinal))
        {
        }

        await Eventually.Async(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(31));
            return IsBroken(socket);
        });
    }

    // Nothing is taken from the socket: only that it was broken off shows.
    private static bool IsBroken(Socket socket) => socket.Poll(0, SelectMode.SelectError) || (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)! != 0;

    private sealed record SentEvent(string Id, string Kind, string Comment, JsonElement Data);

    /// <summary>Reads server-sent events as a browser does.</summary>
    private sealed class Reader(HttpResponseMessage answer, StreamReader lines) : IAsyncDisposable
    {
        internal static async Task<Reader> OpenAsync(ServedMirror mirror, string path, params (string Name, string Value)[] headers)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
            foreach (var (name, value) in headers)
            {
                request.Headers.Add(name, value);
            }

            var answer = await mirror.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
            Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
            return new Reader(answer, new StreamReader(await answer.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken)));
        }

        internal async Task<SentEvent> NextAsync()
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
            deadline.CancelAfter(TimeSpan.FromSeconds(20));
            var told = new SentEvent("", "", "", default);
            while (await lines.ReadLineAsync(deadline.Token) is { Length: > 0 } line)
            {
                told = line.Split(": ", 2) switch
                {
                    ["id", var id] => told with { Id = id },
                    ["event", var kind] => told with { Kind = kind },
                    ["data", var data] => told with { Data = JsonDocument.Parse(data).RootElement },
                    _ => told with { Comment = line },
                };
            }

            return told;
        }

        public ValueTask DisposeAsync()
        {
            lines.Dispose();
            answer.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
