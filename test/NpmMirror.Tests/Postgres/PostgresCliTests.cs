using NpmMirror.Testing;
using NpmMirror.Tests.Cli;

namespace NpmMirror.Tests.Postgres;

/// <summary>The program with its metadata in a PostgreSQL server.</summary>
[Trait("Duration", "long")]
public sealed class PostgresCliTests(SharedPostgres shared) : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private FakeRegistry _upstream = null!;
    private string _location = "";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _location = (await shared.GetAsync()).Location(PostgresServer.NewSchema());
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("2.1.3"));
        _upstream.Publish(new FakePackage("@types/node").Version("1.0.0"));
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A sync fills a PostgreSQL server, and two that serve from it show each other's changes",
        With = [nameof(The_held_bytes_are_told_and_checked)])]
    [Fact]
    public async Task A_sync_fills_a_server_and_two_serve_from_it()
    {
        var (code, output, errors) = await RunAsync("sync", $"--upstream={_upstream.Url}", "--metadata=all");
        Assert.True(code == 0, errors);
        Assert.StartsWith("2 changed, 0 unchanged, 0 removed, 0 failed", output, StringComparison.Ordinal);

        // Each from a folder of its own: what they share is the server.
        using var second = new TestFolder();
        await using var one = Start(_folder, "serve", $"--upstream={_upstream.Url}", "--listen=http://127.0.0.1:0");
        await using var other = Start(second, "serve", $"--upstream={_upstream.Url}", "--listen=http://127.0.0.1:0");
        using var client = new HttpClient();
        string[] bases = [await AddressAsync(one), await AddressAsync(other)];
        foreach (var address in bases)
        {
            Assert.Contains("\"2.1.3\"", await client.GetStringAsync($"{address}ms", Cancellation), StringComparison.Ordinal);
            Assert.NotEmpty(await client.GetByteArrayAsync($"{address}ms/-/ms-2.1.3.tgz", Cancellation));
            Assert.Contains("\"1.0.0\"", await client.GetStringAsync($"{address}@types%2fnode", Cancellation), StringComparison.Ordinal);
        }

        // What one of them fetches the other serves, from its memory too.
        _upstream.PublishVersion("ms", "2.1.4");
        foreach (var address in bases)
        {
            await Eventually.Async(async () => (await client.GetStringAsync($"{address}ms", Cancellation)).Contains("\"2.1.4\"", StringComparison.Ordinal));
        }

        foreach (var mirror in (CliProcess[])[one, other])
        {
            await mirror.SignalAsync("TERM");
            Assert.Equal(0, await mirror.WaitForExitAsync());
            Assert.DoesNotContain(Uri.EscapeDataString(PostgresServer.Password), mirror.Output + mirror.Errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_held_bytes_are_told_and_checked()
    {
        Assert.Equal(0, (await RunAsync("sync", $"--upstream={_upstream.Url}", "--metadata=all", "--tarballs=eager")).Code);
        foreach (var (command, part) in ((string, string)[])[("verify", "2 log rows, 2 documents"), ("status", "postgres://127.0.0.1"), ("removed", ""), ("gc", "")])
        {
            var (code, output, errors) = await RunAsync(command);
            Assert.True(code == 0, errors);
            Assert.Contains(part, output, StringComparison.Ordinal);
        }
    }

    [Claim("A store on a server knows its upstream as a folder does: it is asked where none is named, and another one is refused",
        Red = "`MirrorBuilder` recalls the upstream of folders only: a sync from the other registry brought its packages")]
    [Fact]
    public async Task A_store_on_a_server_knows_its_upstream()
    {
        Assert.Equal(0, (await RunAsync("sync", $"--upstream={_upstream.Url}", "--metadata=all")).Code);
        await using var other = await FakeRegistry.StartAsync(cancellationToken: Cancellation);
        other.Publish(new FakePackage("of-another").Version("1.0.0"));
        var (code, output, errors) = await RunAsync("sync", "of-another", $"--upstream={other.Url}");
        Assert.True(code == 2, output + errors);
        Assert.Contains("takes nothing from", errors, StringComparison.Ordinal);
        Assert.Equal(0, other.Requests.CountOf("/of-another"));

        _upstream.PublishVersion("ms", "2.1.4");
        (code, output, errors) = await RunAsync("sync", "ms");
        Assert.True(code == 0, output + errors);
        Assert.StartsWith("1 changed", output, StringComparison.Ordinal);
    }

    [Claim("A command that looks at a mirror says that there is none where the name of a schema is misspelt", Red = "`Setup.OpenExistingStoreAsync` takes any store that opens: `verify` had no findings")]
    [Theory]
    [InlineData("status")]
    [InlineData("verify")]
    [InlineData("gc")]
    [InlineData("removed")]
    public async Task A_misspelt_schema_is_no_mirror(string command)
    {
        var (code, output, errors) = await RunAsync(command);
        Assert.True(code == 3, output + errors);
        Assert.StartsWith("There is no mirror in postgres://", Assert.Single(errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_password_ends_the_start_in_one_sentence_without_it()
    {
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, ["status"], ("NPM_MIRROR__STORE__ENGINE", _location.Replace("%401@", "%402@", StringComparison.Ordinal)));
        Assert.Equal((2, ""), (code, output));
        Assert.Contains("does not let the user “npm” in", Assert.Single(errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.DoesNotContain("%402", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_settings_are_shown_without_the_password()
    {
        var (code, output, _) = await RunAsync("config");
        Assert.Equal(0, code);
        Assert.Contains("postgres://", output, StringComparison.Ordinal);
        Assert.DoesNotContain("%401", output, StringComparison.Ordinal);
    }

    private static async Task<string> AddressAsync(CliProcess mirror)
    {
        var line = await mirror.WaitForOutputAsync("Serving ");
        return line["Serving ".Length..].Split(' ')[0];
    }

    private CliProcess Start(TestFolder folder, params string[] arguments) => CliProcess.Start(folder.Path, arguments, ("NPM_MIRROR__STORE__ENGINE", _location));

    private Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments) => CliProcess.RunAsync(_folder.Path, arguments, ("NPM_MIRROR__STORE__ENGINE", _location));
}
