using System.Net;
using System.Text.Json.Nodes;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Testing;

/// <summary>The fake upstream as people use it: its command line and its control routes, and its messages about faults.</summary>
public sealed class FakeUpstreamProgramTests : IAsyncLifetime
{
    private readonly FakeClock _clock = new();
    private readonly HttpClient _client = new();
    private FakeRegistry _registry = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _registry = await FakeRegistry.StartAsync(time: _clock, cancellationToken: Token);

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _registry.DisposeAsync();
    }

    [Claim("`fake-upstream` names the fault of an option or a request and a right value; its rules hold for bodies of every route; its changes begin and end while it runs",
        With =
        [
            nameof(A_wrong_request_is_told_the_right_one),
            nameof(Changes_that_happen_by_themselves_are_begun_and_stopped_while_it_runs),
            $"{nameof(FakeBodyKnobTests)}.{nameof(FakeBodyKnobTests.A_body_is_cut_after_so_many_bytes)}",
            $"{nameof(FakeBodyKnobTests)}.{nameof(FakeBodyKnobTests.One_byte_of_a_body_is_another_one)}",
            $"{nameof(FakeBodyKnobTests)}.{nameof(FakeBodyKnobTests.A_body_comes_as_slowly_as_the_rule_says)}",
            $"{nameof(FakeBodyKnobTests)}.{nameof(FakeBodyKnobTests.A_compressed_body_is_cut_in_half_with_a_length_that_fits)}",
        ],
        Red = "a fault is not told: the first was red; the damaged byte stays what it was: the fifth")]
    [Theory]
    [InlineData("--pakages 3", "“--pakages” is not an option; there are --dir, --lazy, --prepare, --packages,")]
    [InlineData("--packages many", "--packages is “many”; give a whole number.")]
    [InlineData("--port=99999", "--port is “99999”; give a whole number from 0 to 65535.")]
    [InlineData("--feed --lazy", "--feed has no value; give couchdb, npm or none.")]
    [InlineData("--feed=couch", "--feed is “couch”; give couchdb, npm or none.")]
    [InlineData("--sequences 1", "--sequences is “1”; give number, text or array.")]
    [InlineData("--dir /not/there", "--dir is “/not/there”; give a folder that is there.")]
    [InlineData("--late-rows 2", "--late-rows is “2”; give a number from 0 to 1.")]
    [InlineData("--late-rows-max 10", "--late-rows-max is “10”; give a duration such as 30s, 5m, 1.5h or 00:05:00.")]
    [InlineData("--seed x", "--seed is “x”; give a whole number.")]
    [InlineData("--lazy=no", "--lazy takes no value.")]
    [InlineData("ms", "“ms” is not an option;")]
    public void A_wrong_option_is_named_with_its_right_values(string line, string fault)
    {
        var arguments = FakeUpstreamArguments.Read([.. line.Split(' '), "--changes=-1"]);
        Assert.Contains(arguments.Faults, told => told.StartsWith(fault, StringComparison.Ordinal));
        Assert.Equal("--changes is “-1”; give a number from 0 to 1000.", arguments.Faults[^1]);
    }

    [Fact]
    public void Options_are_read_as_help_tells_them()
    {
        var arguments = FakeUpstreamArguments.Read(["--packages", "3", "--port=80", "--feed=npm", "--sequences", "array", "--changes", "0.5", "--lazy", "--late-rows=0.1", "--late-rows-max", "6h", "--lagging-max=00:10:00", "--seed=7"]);
        Assert.Empty(arguments.Faults);
        Assert.Equal((3, 80, FakeFeedDialect.NpmPaged, FakeSequenceStyle.Array, 0.5, true), (arguments.PackageCount, arguments.Port, arguments.Feed, arguments.Sequences, arguments.ChangesPerSecond, arguments.IsLazy));
        var mishaps = new FakeMishaps();
        Assert.All(arguments.Mishaps, given => Assert.True(given.Mishap.TrySet(mishaps, given.Value)));
        Assert.Equal((0.1, TimeSpan.FromHours(6), TimeSpan.FromMinutes(10), 7), (mishaps.LateRows, mishaps.LateRowsMax, mishaps.LaggingMax, mishaps.Seed));
        Assert.All(arguments.Mishaps, given => Assert.Contains(given.Mishap.Flag, FakeUpstreamProgram.Usage, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("nonsense", "{}", "There is no control “nonsense”; /-/fake/ is followed by state, requests, document, rules,")]
    [InlineData("reset", """{"first":"a"}""", "first is \"a\"; give a whole number.")]
    [InlineData("reset", "x", "The body is no JSON object; give {} at least.")]
    [InlineData("jump", """{"by":1.5}""", "by is 1.5; give a whole number.")]
    [InlineData("knobs", """{"feed":"Couch"}""", "feed is \"Couch\"; give None or CouchDb or NpmPaged.")]
    [InlineData("knobs", """{"hasGzipp":true}""", "There is no “hasGzipp”; there are isFullOnly,")]
    [InlineData("mishaps", """{"lateRowsMax":"10"}""", "lateRowsMax is \"10\"; give a duration such as")]
    [InlineData("mishaps", """{"troubles":2}""", "troubles is 2; give a number from 0 to 1.")]
    [InlineData("rules", """{"path":"/a","statuss":404}""", "There is no “statuss”; there are path,")]
    [InlineData("rules", """{"path":"/a","status":"no"}""", "status is \"no\"; give a whole number.")]
    [InlineData("life", """{"perSecond":-1}""", "perSecond is -1; give a number from 0 to 1000.")]
    [InlineData("publish", """{"name":"ms"}""", "version is not there; give a text.")]
    [InlineData("maintainers", """{"name":"ms","maintainers":[1]}""", "maintainers is [1]; give an array of texts.")]
    [InlineData("unpublish", """{"name":"ms"}""", "There is no package ms; publish it first.")]
    [InlineData("delete", """{"name":"ms"}""", "There is no package ms; publish it first.")]
    [InlineData("reset", """{"sequence":7}""", "There is no “sequence” in reset; there are first, databaseId.")]
    public async Task A_wrong_request_is_told_the_right_one(string what, string body, string error)
    {
        var (status, answer) = await PostAsync(what, body);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.StartsWith(error, (string?)answer["error"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rules_and_mishaps_are_set_by_the_words_of_the_page()
    {
        await PostAsync("rules", """{"path":"/a","method":"GET","timesMax":2,"headerDelay":"30s","framing":"Chunked","cutAfterBytes":7,"headers":{"X-A":"b"},"retryAfter":"0"}""");
        await PostAsync("mishaps", """{"lateRows":0.5,"lateRowsMax":"10m","seed":3}""");
        var rule = Assert.Single(_registry.Knobs.Rules);
        Assert.Equal(("/a", "GET", 2, TimeSpan.FromSeconds(30), FakeFraming.Chunked, 7, "b", "0"), (rule.Path, rule.Method, rule.TimesMax, rule.HeaderDelay, rule.Framing, rule.CutAfterBytes, rule.Headers["X-A"], rule.RetryAfter));
        Assert.Equal((0.5, TimeSpan.FromMinutes(10), 3), (_registry.Knobs.Mishaps.LateRows, _registry.Knobs.Mishaps.LateRowsMax, _registry.Knobs.Mishaps.Seed));
    }

    [Fact]
    public async Task Seconds_to_wait_may_be_written_as_a_number()
    {
        await PostAsync("rules", """{"path":"/a","status":429,"retryAfter":7}""");
        Assert.Equal("7", Assert.Single(_registry.Knobs.Rules).RetryAfter);
    }

    [Fact]
    public async Task Changes_that_happen_by_themselves_are_begun_and_stopped_while_it_runs()
    {
        await PostAsync("life", """{"perSecond":2}""");
        _clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(10, _registry.Life.ChangeCount);
        var (_, answer) = await PostAsync("life", """{"perSecond":0}""");
        _clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal((10, 10), ((int)answer["changes"]!, _registry.Life.ChangeCount));
    }

    private async Task<(HttpStatusCode Status, JsonNode Answer)> PostAsync(string what, string body)
    {
        using var response = await _client.PostAsync(new Uri(_registry.Url, $"-/fake/{what}"), new StringContent(body), Token);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(Token))!);
    }
}
