using System.Runtime.CompilerServices;
using NpmMirror.Feeds;

namespace NpmMirror.Tests.Following;

/// <summary>A feed of which each request gives one page.</summary>
internal sealed class PagedFeed : IChangeFeed
{
    private readonly List<ChangeRow> _rows = [];

    internal int Reads => Since.Count;

    internal List<long> Since { get; } = [];

    internal int PageRows { get; set; } = 1;

    /// <summary>Where a page says that it ends, when not at its last row.</summary>
    internal Func<ChangeRow, Sequence>? LastOf { get; set; }

    /// <summary>Thrown instead of answering, while set.</summary>
    internal MirrorException? Trouble { get; set; }

    /// <summary>The rows of each page that cannot be read.</summary>
    internal IReadOnlyList<string> Skipped { get; set; } = [];

    public string Location => "feed";

    public TimeSpan IdleDelay => TimeSpan.FromMinutes(1);

    public long LateSequences { get; set; } = 1000;

    internal static Sequence At(long number) => new($"{number}");

    internal static ChangeRow Row(long number) => new(At(number), $"p{number}", "1-a", false);

    internal void Add(long from, long to)
    {
        for (var number = from; number <= to; number++)
        {
            _rows.Add(Row(number));
        }
    }

    public Task<FeedInfo> GetInfoAsync(CancellationToken cancellationToken) => throw new InvalidOperationException();

    public async IAsyncEnumerable<ChangesPage> ReadAsync(Sequence since, Action? onAccepted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        Since.Add(since.Number!.Value);
        if (Trouble is not null)
        {
            throw Trouble;
        }

        var rows = _rows.Where(row => row.Sequence.Number > since.Number).Take(PageRows).ToList();
        var last = rows.Count == 0 ? since : LastOf?.Invoke(rows[^1]) ?? rows.MaxBy(row => row.Sequence.Number)!.Sequence;
        yield return new ChangesPage(rows, last, IsAtHead: rows.Count == 0 || (LastOf is null && PageRows > 1)) { Skipped = Skipped };
    }

    public IAsyncEnumerable<ListedPackage> ListAllAsync(CancellationToken cancellationToken) => AsyncEnumerable.Empty<ListedPackage>();
}
