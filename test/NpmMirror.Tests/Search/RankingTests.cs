namespace NpmMirror.Tests.Search;

/// <summary>The order of what is found.</summary>
public sealed class RankingTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A search finds packages of just that name first, then those whose names begin with it, then those with the words in their names, then those with the words in description or keywords",
        With =
        [
            nameof(Deprecated_packages_come_after_equally_good_matches),
            nameof(Among_equal_matches_those_come_first_that_most_depend_on),
            nameof(A_package_that_gains_dependents_comes_before_others_at_once),
            nameof(The_exact_name_can_be_taken_its_first_place),
        ],
        Red = "`Finding.Ranked` orders the kinds of matches ascending: red; `Finding.RankOf` ignores deprecation: the first of these; `IndexWriter.Regrade` does nothing: the third")]
    [Fact]
    public async Task The_better_the_place_of_a_match_the_earlier_it_comes()
    {
        await using var bench = await SearchBench.StartAsync(
            SearchBench.Package("my-query-parser"),
            SearchBench.Package("parser"),
            SearchBench.Package("parserific"),
            SearchBench.Package("words", "Splits text for a parser"),
            SearchBench.Package("tokens", keywords: ["parser"]),
            SearchBench.Package("unrelated", "Nothing of the kind"));
        var names = await bench.NamesAsync("parser");
        Assert.Equal(["parser", "parserific", "my-query-parser"], names[..3]);
        Assert.Equal(["tokens", "words"], names[3..].Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Deprecated_packages_come_after_equally_good_matches()
    {
        var users = Enumerable.Range(0, 300).Select(i => SearchBench.Package($"user-{i}", dependencies: ["cli-a"]));
        await using var bench = await SearchBench.StartAsync([SearchBench.Package("cli-a", "A cli with everything", deprecated: "use cli-b"), SearchBench.Package("cli-b"), .. users]);
        Assert.Equal(["cli-b", "cli-a"], await bench.NamesAsync("cli"));
        Assert.Equal("use cli-b", (await bench.FindAsync("cli-a")).Hits[0].Deprecated);
    }

    [Fact]
    public async Task Among_equal_matches_those_come_first_that_most_depend_on()
    {
        await using var bench = await SearchBench.StartAsync(
            SearchBench.Package("log-a"),
            SearchBench.Package("log-b"),
            SearchBench.Package("user-1", dependencies: ["log-b"]),
            SearchBench.Package("user-2", dependencies: ["log-b"]));
        Assert.Equal(["log-b", "log-a"], await bench.NamesAsync("log"));
        Assert.Equal(2, (await bench.FindAsync("log-b")).Hits[0].Dependents);
    }

    [Fact]
    public async Task A_package_that_gains_dependents_comes_before_others_at_once()
    {
        await using var bench = await SearchBench.StartAsync(SearchBench.Package("log-a"), SearchBench.Package("log-b"), SearchBench.Package("user"));
        Assert.Equal(["log-a", "log-b"], await bench.NamesAsync("log"));
        await bench.ChangeAsync(SearchBench.Package("user", dependencies: ["log-b"]));
        Assert.Equal(["log-b", "log-a"], await bench.NamesAsync("log"));
        await bench.RemoveAsync("user");
        Assert.Equal(["log-a", "log-b"], await bench.NamesAsync("log"));
        Assert.Equal(0, (await bench.FindAsync("log-b")).Hits[0].Dependents);
    }

    [Fact]
    public async Task The_exact_name_can_be_taken_its_first_place()
    {
        await using var bench = await SearchBench.StartAsync(SearchBench.Package("test"), SearchBench.Package("test-known"), SearchBench.Package("user", dependencies: ["test-known"]));
        Assert.Equal(["test", "test-known"], await bench.NamesAsync("test"));
        Assert.Equal(["test-known", "test"], await bench.NamesAsync("test boost-exact:false"));
    }

    [Fact]
    public async Task Weights_decide_among_equal_matches()
    {
        var now = TimeProvider.System.GetUtcNow();
        await using var bench = await SearchBench.StartAsync(
            SearchBench.Package("date-good", "Does everything with dates", keywords: ["date"], publishedAt: now.AddYears(-15)),
            SearchBench.Package("date-new", version: "0.1.0", publishedAt: now));
        Assert.Equal("date-good", (await bench.NamesAsync("date", weights: new(1, 0, 0)))[0]);
        Assert.Equal("date-new", (await bench.NamesAsync("date", weights: new(0, 0, 1)))[0]);
        Assert.Equal("date-new", (await bench.NamesAsync("date quality-weight:0 popularity-weight:0 maintenance-weight:5"))[0]);
    }

    [Fact]
    public async Task Pages_follow_each_other_without_gaps_and_have_one_total()
    {
        var packages = Enumerable.Range(0, 1_300).Select(i => SearchBench.Package($"pack-{i:0000}", i % 2 == 0 ? "paged" : "paged things")).ToArray();
        await using var bench = await SearchBench.StartAsync(packages);
        var seen = new List<string>();
        for (var from = 0; from < 1_300; from += 250)
        {
            var page = await bench.FindAsync("paged", 400, from);
            Assert.Equal(1_300, page.Total);
            seen.AddRange(SearchBench.NamesOf(page));
        }

        Assert.Equal(packages.Select(package => package.Hit.Name.Value), seen.Order(StringComparer.Ordinal));
        var beyond = await bench.FindAsync("paged", 20, 5_000);
        Assert.Equal((0, 1_300), (beyond.Hits.Count, beyond.Total));
    }
}
