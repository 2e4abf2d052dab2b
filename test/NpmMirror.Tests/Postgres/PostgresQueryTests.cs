using System.Text.RegularExpressions;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Postgres;

/// <summary>The examples of docs/postgresql.md, each run as it stands there, by a reader who may see the views and nothing else.</summary>
[Trait("Duration", "long")]
public sealed partial class PostgresQueryTests(QueriedPostgres queried) : IClassFixture<QueriedPostgres>
{
    public static TheoryData<string, string> Examples =>
    [
        .. File.ReadLines(QueriedPostgres.Page).Where(line => line.StartsWith("select ", StringComparison.Ordinal)).Select(line => line.Split("-- →", 2)).Select(parts => (parts[0].Trim(), parts[1].Trim())),
    ];

    public static TheoryData<string> Questions => [.. Examples.Select(row => row.Data.Item1).Where(query => !query.Contains("count(*)", StringComparison.Ordinal))];

    [Claim("Packages and versions in PostgreSQL are found by name, keyword, maintainer, license, dist-tag, version, dependency and date, as the page of examples says, by a reader who may see the views alone",
        With = [nameof(Has_an_index_for_each_question), nameof(Shows_the_views_and_no_table_to_a_reader)],
        Red = "no index over `license`: its question was red")]
    [Theory]
    [MemberData(nameof(Examples))]
    public async Task Finds_the_results_that_the_page_gives(string query, string values)
    {
        var found = await queried.ReadAsync(query);
        Assert.Equal(values, string.Join(", ", found.Select(row => row.Split('|')[0])));
    }

    [Theory]
    [MemberData(nameof(Questions))]
    public async Task Has_an_index_for_each_question(string query)
    {
        // Tables of a few rows are faster read whole; what the planner could do is what counts.
        var plan = string.Join('\n', await queried.ReadAsync($"set enable_seqscan = off; explain {query}"));
        Assert.False(WholeTable().IsMatch(plan), plan);
    }

    [Fact]
    public async Task Shows_the_views_and_no_table_to_a_reader()
    {
        foreach (var table in (string[])["packages", "package_versions", "package_words", "documents", "log", "notes"])
        {
            Assert.Equal("f", Assert.Single(await queried.ReadAsync($"select has_table_privilege('{table}', 'select')")));
        }

        Assert.Equal("5", Assert.Single(await queried.ReadAsync("select count(*) from npm_packages where is_current")));
    }

    [GeneratedRegex(@"Seq Scan|Index Only Scan using \w+_pkey on packages p\b(?!.*Index Cond)")]
    private static partial Regex WholeTable();
}

/// <summary>A store with the packages of the examples, and a reader of its views.</summary>
public sealed class QueriedPostgres(SharedPostgres shared) : IAsyncLifetime
{
    internal static readonly string Page = Path.Combine(TestTools.Root, "docs/postgresql.md");
    private readonly string _schema = PostgresServer.NewSchema();
    private PostgresServer _server = null!;

    private string Reader => $"reader_of_{_schema}";

    public async ValueTask InitializeAsync()
    {
        _server = await shared.GetAsync();
        await using var store = _server.Create(_schema, TimeProvider.System);
        await store.OpenAsync(CancellationToken.None);
        await QueriedPackages.FillAsync(store, CancellationToken.None);

        // As the page says it, in this test's names.
        var text = await File.ReadAllTextAsync(Page);
        var start = text.IndexOf("create role reporter", StringComparison.Ordinal);
        var grants = text[start..text.IndexOf("```", start, StringComparison.Ordinal)];
        await _server.RunAsync(grants.Replace("npm_mirror", _schema, StringComparison.Ordinal).Replace("reporter", Reader, StringComparison.Ordinal));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    internal Task<string[]> ReadAsync(string query) => _server.RunAsync($"set role {Reader}; {query}", _schema);
}
