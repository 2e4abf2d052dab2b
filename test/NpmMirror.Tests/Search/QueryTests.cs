namespace NpmMirror.Tests.Search;

/// <summary>What a query's text means, whatever a stranger writes.</summary>
public sealed class QueryTests : IAsyncLifetime
{
    private SearchBench _bench = null!;

    public async ValueTask InitializeAsync() => _bench = await SearchBench.StartAsync(
        SearchBench.Package("glob", "Match files", keywords: ["files", "match"], author: "Ann Lee", maintainers: ["ann", "bob"]),
        SearchBench.Package("globby", "Match files, promised", "0.4.0", keywords: ["files", "promise"], author: "Bob", maintainers: ["bob"], dependencies: ["glob"]),
        SearchBench.Package("@acme/glob", "Match acme files", keywords: ["acme"], maintainers: ["cy"], dependencies: ["glob"]),
        SearchBench.Package("@acme/tool", "A tool", maintainers: ["cy"], deprecated: "use glob"),
        SearchBench.Package("JSONStream", "Streams of objects"),
        SearchBench.Package("is", "Tests of types"),
        SearchBench.Package("dependency-user", dependencies: ["jsonstream", "JSONStream"]),
        SearchBench.Package("lodash.merge", "Deep and 合并对象 and Ünïcode"));

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Claim("Searches take npm's qualifiers: `author:`, `maintainer:`, `keywords:` with or, and, not, `scope:`, `package:`, `is:`, `not:`",
        With = [nameof(Scopes_and_names_are_found_as_people_type_them), nameof(Keywords_of_a_list_are_alternatives)],
        Red = "`Expression` leaves `Required` out: all cases with one were red")]
    [Theory]
    [InlineData("author:bob", "globby")]
    [InlineData("author:\"ann lee\"", "glob")]
    [InlineData("maintainer:bob", "glob", "globby")]
    [InlineData("maintainer:BOB promised", "globby")]
    [InlineData("keywords:files", "glob", "globby")]
    [InlineData("keywords:acme,promise", "@acme/glob", "globby")]
    [InlineData("keywords:files+promise", "globby")]
    [InlineData("keywords:files,-promise", "glob")]
    [InlineData("scope:acme", "@acme/glob", "@acme/tool")]
    [InlineData("scope:@acme glob", "@acme/glob")]
    [InlineData("scope:acme not:deprecated", "@acme/glob")]
    [InlineData("scope:acme is:deprecated", "@acme/tool")]
    [InlineData("is:unstable", "globby")]
    [InlineData("glob not:unstable", "@acme/glob", "glob")]
    [InlineData("is:insecure")]
    [InlineData("match not:insecure", "@acme/glob", "glob", "globby")]
    [InlineData("package:glob", "glob")]
    [InlineData("package:no-such")]
    [InlineData("package:glob scope:acme")]
    public async Task A_qualifier_finds_just_its_packages(string text, params string[] expected)
    {
        var answer = await _bench.FindAsync(text);
        Assert.Equal(expected.Order(StringComparer.Ordinal), SearchBench.NamesOf(answer).Order(StringComparer.Ordinal));
        Assert.Equal(expected.Length, answer.Total);
    }

    [Theory]
    [InlineData("@acme/", "@acme/glob", "@acme/tool")]
    [InlineData("@acme/gl", "@acme/glob")]
    [InlineData("@", "@acme/glob", "@acme/tool")]
    [InlineData("jsonstream", "JSONStream")]
    [InlineData("jsonst", "JSONStream")]
    [InlineData("too", "@acme/tool")]
    [InlineData("is", "is")]
    [InlineData("lodash merge", "lodash.merge")]
    [InlineData("lodashmerge", "lodash.merge")]
    [InlineData("合并", "lodash.merge")]
    [InlineData("ünïcode", "lodash.merge")]
    [InlineData("dependency", "dependency-user")]
    public async Task Scopes_and_names_are_found_as_people_type_them(string text, params string[] expected) =>
        Assert.Equal(expected.Order(StringComparer.Ordinal), (await _bench.NamesAsync(text)).Order(StringComparer.Ordinal));

    [Fact]
    public async Task Keywords_of_a_list_are_alternatives() =>
        Assert.Equal(["@acme/glob", "glob", "globby"], (await _bench.NamesAsync("keywords:acme,files,no-such")).Order(StringComparer.Ordinal));

    [Claim("No text of a search reaches the full-text engine as syntax, and none makes it fail",
        Red = "`Expression.Quoted` leaves the quotes out: 11 cases were red")]
    [Theory]
    [InlineData("\"")]
    [InlineData("glob\" OR \"is")]
    [InlineData("glob OR is")]
    [InlineData("glob AND NOT is")]
    [InlineData("NEAR(glob is, 5)")]
    [InlineData("terms:glob")]
    [InlineData("{terms} : glob")]
    [InlineData("^glob")]
    [InlineData("glob*")]
    [InlineData("glob + files")]
    [InlineData("-glob")]
    [InlineData("'; DROP TABLE words; --")]
    [InlineData("(((((((((((((((((((((((")]
    [InlineData("keywords:\"a\" OR \"b\"")]
    [InlineData("keywords:,,,-,+,")]
    [InlineData("scope:\"\"\" scope:*")]
    [InlineData("author:f:any")]
    [InlineData("not:")]
    [InlineData("a\0b")]
    [InlineData("\ud800 \udc00 glob\ud800")]
    [InlineData("%_%")]
    [InlineData("\u202egolb ‮ \u001b[31m")]
    public async Task Hostile_text_is_only_text(string text)
    {
        var answer = await _bench.FindAsync(text);
        Assert.InRange(answer.Hits.Count, 0, 3);
    }

    [Fact]
    public async Task Endless_text_costs_no_more_than_long_text()
    {
        var answer = await _bench.FindAsync(string.Join(' ', Enumerable.Range(0, 200_000).Select(i => $"keywords:{i} word{i} not:{i}")));
        Assert.Equal(0, answer.Total);
        Assert.Empty(await _bench.NamesAsync(new string('g', 1_000_000)));
        Assert.Empty(await _bench.NamesAsync("scope:" + new string('"', 100_000)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("\t\r\n")]
    public async Task Text_that_asks_for_nothing_is_refused(string text) =>
        Assert.Equal(MirrorFault.BadInput, (await Assert.ThrowsAsync<MirrorException>(() => _bench.FindAsync(text))).Fault);

    [Fact]
    public async Task A_page_holds_250_at_most_and_none_if_none_are_asked_for()
    {
        await using var bench = await SearchBench.StartAsync([.. Enumerable.Range(0, 300).Select(i => SearchBench.Package($"many-{i}"))]);
        Assert.Equal((250, 300), (await bench.FindAsync("many", 9_999) is var most ? (most.Hits.Count, most.Total) : default));
        Assert.Equal((0, 300), (await bench.FindAsync("many", 0) is var none ? (none.Hits.Count, none.Total) : default));
        Assert.Equal((0, 300), (await bench.FindAsync("many", 20, int.MaxValue) is var beyond ? (beyond.Hits.Count, beyond.Total) : default));
    }

    [Fact]
    public async Task Browsing_gives_names_in_order_page_by_page()
    {
        var cancelled = TestContext.Current.CancellationToken;
        var first = await _bench.Index.BrowseAsync("glob", null, 1, cancelled);
        Assert.Equal(2, first.Total);
        Assert.Equal(["glob"], SearchBench.NamesOf(first));
        Assert.Equal(["globby"], SearchBench.NamesOf(await _bench.Index.BrowseAsync("glob", first.Hits[0].Name, 5, cancelled)));
        var all = await _bench.Index.BrowseAsync("", null, 250, cancelled);
        Assert.Equal(8, all.Total);
        Assert.Equal(all.Hits.Select(hit => hit.Name).Order(), all.Hits.Select(hit => hit.Name));
    }

    [Fact]
    public async Task Dependents_are_listed_of_names_in_their_own_case()
    {
        var cancelled = TestContext.Current.CancellationToken;
        var found = await _bench.Index.ListDependentsAsync(PackageName.Parse("glob"), 0, 20, cancelled);
        Assert.Equal(2, found.Total);
        Assert.Equal(["@acme/glob", "globby"], SearchBench.NamesOf(found).Order(StringComparer.Ordinal));
        Assert.Single((await _bench.Index.ListDependentsAsync(PackageName.Parse("glob"), 1, 20, cancelled)).Hits);
        Assert.Equal(["dependency-user"], SearchBench.NamesOf(await _bench.Index.ListDependentsAsync(PackageName.Parse("JSONStream"), 0, 20, cancelled)));
        Assert.Empty((await _bench.Index.ListDependentsAsync(PackageName.Parse("jsonStream"), 0, 20, cancelled)).Hits);
    }
}
