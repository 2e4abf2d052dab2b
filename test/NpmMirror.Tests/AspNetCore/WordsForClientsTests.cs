using System.Net;
using System.Text;
using System.Text.Json;
using NpmMirror.Options;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>The messages for people about requests that were not understood.</summary>
public sealed class WordsForClientsTests
{
    [Theory]
    [InlineData("ms?refresh", true)]
    [InlineData("ms?refresh=", true)]
    [InlineData("ms?refresh=1", true)]
    [InlineData("ms?refresh=true", true)]
    [InlineData("ms?refresh=0", false)]
    [InlineData("ms?refresh=false", false)]
    public async Task Refresh_means_now_or_not_at_all(string path, bool isRefresh)
    {
        await using var registry = await NpmMirror.Testing.FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new NpmMirror.Testing.FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        Assert.Equal(isRefresh, (await mirror.TextAsync(path)).Contains("\"status\":\"OK\"", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("yes")]
    [InlineData("2")]
    [InlineData("1&refresh=1")]
    public async Task Another_word_for_refresh_is_refused(string value)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms?refresh=" + value);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("refresh is 1 or nothing", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Claim("Errors are readable, have a `reason`, and an invalid request is refused with a message",
        With =
        [
            nameof(Errors_have_the_reason_that_clients_of_couchdb_read),
            nameof(An_invalid_request_is_refused_with_a_message),
            nameof(Refresh_means_now_or_not_at_all),
            nameof(Another_word_for_refresh_is_refused),
        ],
        Red = "`RegistryErrors` writes no `reason`: the second was red; `RefusedHead` refuses nothing: the third; `RefreshEndpoint` takes every word for now, or does not know `0`: the last two")]
    [Theory]
    [InlineData("no'such", "no'such")]
    [InlineData("-/v1/it's&<b>", "it's&\\u003cb\\u003e")]
    [InlineData("-/v1/%C3%BCber", "\u00fcber")]
    public async Task Errors_are_readable_in_a_terminal(string path, string words)
    {
        await using var mirror = await ServedMirror.StartAsync(configure: OnAList);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync(path);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains(words, text, StringComparison.Ordinal);
        JsonDocument.Parse(text).Dispose();
    }

    [Theory]
    [InlineData("unknown")]
    [InlineData("_local/x")]
    [InlineData("gone")]
    [InlineData("%zz")]
    public async Task Errors_have_the_reason_that_clients_of_couchdb_read(string path)
    {
        await using var mirror = await ServedMirror.StartAsync(configure: OnAList);
        await mirror.PutAsync("gone", Documents.Of("gone"));
        await mirror.RemoveAsync("gone");
        var answer = await mirror.RawGetAsync("/npm/" + path);
        using var json = JsonDocument.Parse(answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
        Assert.NotEqual("", json.RootElement.GetProperty("error").GetString());
        Assert.Equal(json.RootElement.GetProperty("error").GetString(), json.RootElement.GetProperty("reason").GetString());
    }

    [Theory]
    [InlineData("/npm/ms%00", "localhost")]
    [InlineData("/npm/%00?x", "localhost")]
    [InlineData("/npm/ms", "local host")]
    [InlineData("/npm/ms", "localhost:port")]
    [InlineData("/npm/ms", "localhost/x")]
    [InlineData("/npm/ms", "[::1")]
    [InlineData("/npm/ms", "user@localhost")]
    public async Task An_invalid_request_is_refused_with_a_message(string target, string host)
    {
        await using var mirror = await ServedMirror.StartAsync();
        var answer = await mirror.RawAsync($"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
        Assert.Contains("not valid", json.RootElement.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    private static void OnAList(MirrorOptions options)
    {
        // A package that is not on the list is not fetched: the upstream is a dead one here.
        options.Metadata = MetadataMode.Listed;
        options.List.Add("other");
    }

    [Claim("npm is told that there are no log-ins here before it asks for a password",
        With = [$"{nameof(Clients.NpmCommandTests)}.{nameof(Clients.NpmCommandTests.Logging_in_is_refused_before_a_password_is_asked_for)}"],
        Red = "`RegistryEndpoints` answers a login with 405: the first was red")]
    [Fact]
    public async Task Npm_is_told_at_once_that_there_are_no_log_ins()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/npm/-/v1/login") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        using var answer = await mirror.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotImplemented, answer.StatusCode);
        Assert.Contains("read-only mirror", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }
}
