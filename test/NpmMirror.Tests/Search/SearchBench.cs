using NpmMirror.Log;
using NpmMirror.Search;
using NpmMirror.Searching;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Search;

/// <summary>An index with a few packages in it, for queries.</summary>
internal sealed class SearchBench : IAsyncDisposable
{
    private static readonly IndexMark Built = new(new LogHead(LogPosition.Zero, ChainHash.Genesis), "hidden", Built: null);
    private readonly TempFolder _folder = new();
    private readonly SqliteSearchIndex _index;

    private SearchBench() => _index = new SqliteSearchIndex(_folder.Path, TimeProvider.System);

    internal SqliteSearchIndex Index => _index;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>An index of these packages, built as a mirror builds one.</summary>
    internal static async Task<SearchBench> StartAsync(params IndexedPackage[] packages)
    {
        var bench = new SearchBench();
        await bench._index.OpenAsync(Cancelled);
        await bench._index.ClearAsync(Built with { Built = "" }, Cancelled);
        var sorted = packages.OrderBy(package => package.Hit.Name).ToList();
        if (sorted.Count > 0)
        {
            await bench._index.WriteAsync([.. sorted.Select(package => new IndexChange(package.Hit.Name, package))], Built with { Built = sorted[^1].Hit.Name.Value }, Cancelled);
        }

        await bench._index.CompleteAsync(Built, Cancelled);
        return bench;
    }

    /// <summary>A package that has nothing but what is given.</summary>
    internal static IndexedPackage Package(string name, string? description = null, string version = "1.0.0", string[]? keywords = null, string? author = null, string[]? maintainers = null, string[]? dependencies = null, string? deprecated = null, DateTimeOffset? publishedAt = null) => new()
    {
        Hit = new SearchHit
        {
            Name = PackageName.Parse(name),
            Version = version,
            Description = description,
            Keywords = keywords ?? [],
            Author = author is null ? null : new SearchPerson(author, null),
            Maintainers = [.. (maintainers ?? []).Select(one => new SearchPerson(one, null))],
            Deprecated = deprecated,
            PublishedAt = publishedAt,
        },
        Dependencies = dependencies ?? [],
    };

    /// <summary>Writes changes as they come from the log.</summary>
    internal Task ChangeAsync(params IndexedPackage[] packages) => _index.WriteAsync([.. packages.Select(package => new IndexChange(package.Hit.Name, package))], Built, Cancelled);

    /// <summary>Takes packages out, as when the log tells of their removal.</summary>
    internal Task RemoveAsync(params string[] names) => _index.WriteAsync([.. names.Select(name => new IndexChange(PackageName.Parse(name), null))], Built, Cancelled);

    internal async Task<SearchAnswer> FindAsync(string text, int size = SearchQuery.SizeUsual, int from = 0, SearchWeights? weights = null) =>
        await _index.FindAsync(new SearchQuery { Text = text, Size = size, From = from, Weights = weights ?? SearchWeights.Usual }, Cancelled);

    /// <summary>The names of what is found, in order.</summary>
    internal async Task<string[]> NamesAsync(string text, int size = SearchQuery.SizeUsual, int from = 0, SearchWeights? weights = null) => NamesOf(await FindAsync(text, size, from, weights));

    internal static string[] NamesOf(SearchAnswer answer) => [.. answer.Hits.Select(hit => hit.Name.Value)];

    public async ValueTask DisposeAsync()
    {
        await _index.DisposeAsync();
        _folder.Dispose();
    }
}
