using System.Net;
using NpmMirror.Testing;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.Cli;

/// <summary><c>serve</c> starts and serves held packages after any first answer of the upstream.</summary>
public sealed class HostileStartTests : IAsyncLifetime
{
    private const string Json = "Content-Type: application/json\r\n";

    private readonly TestFolder _folder = new();

    public ValueTask InitializeAsync() => FillAsync();

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Claim("`serve` starts and serves held packages after any first answer of the upstream, and following begins later",
        With = [$"{nameof(Following.RegistryMirrorTests)}.{nameof(Following.RegistryMirrorTests.Following_begins_after_a_look_that_failed_in_an_unknown_way)}"],
        Red = "`FollowAsync` catches MirrorExceptions only: the second was red")]
    [Trait("Duration", "long")]
    [Theory]
    [InlineData(503, Json + "Retry-After: NaN\r\n", "{}")]
    [InlineData(200, Json + "Retry-After: 9999-12-31T23:59:59.9999999Z\r\n", """{"update_seq":"\ud800","db_name":"\udc00","engine":"\ud800"}""")]
    [InlineData(302, "Location: http://127.0.0.1:99999/\r\n", "")]
    [InlineData(200, Json + "Content-Encoding: br\r\n", "this is not br, and never was")]
    public async Task Serves_held_packages_after_any_first_answer_of_the_upstream(int status, string headers, string body)
    {
        await using var upstream = new LoopbackPeer(_ => LoopbackPeer.Answer(status, body, headers));
        await using var mirror = CliProcess.Start(_folder.Path, ["serve", $"--upstream={upstream.Url}", "--listen=http://127.0.0.1:0"]);
        var address = (await mirror.WaitForOutputAsync("Serving ")).Split(' ')[1];
        // The probe and the look for a circle.
        await Eventually.Async(() => upstream.Requests.Count >= 2);
        using var client = new HttpClient();
        using var answer = await client.GetAsync(new Uri($"{address}held"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await mirror.SignalAsync("TERM");
        Assert.Equal(0, await mirror.WaitForExitAsync(30));
        Assert.DoesNotContain("Unhandled", mirror.Errors, StringComparison.OrdinalIgnoreCase);
    }

    private async ValueTask FillAsync()
    {
        await using var upstream = await FakeRegistry.StartAsync();
        upstream.Publish(new FakePackage("held").Version("1.0.0"));
        await using var filling = CliProcess.Start(_folder.Path, ["sync", $"--upstream={upstream.Url}", "--feed=none", "held"]);
        Assert.Equal(0, await filling.WaitForExitAsync(60));
    }
}
