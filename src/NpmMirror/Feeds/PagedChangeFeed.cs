using System.Runtime.CompilerServices;
using NpmMirror.Upstream;

namespace NpmMirror.Feeds;

/// <summary>
/// The dialect of npm's replication service since 2025: nothing but <c>since</c> and <c>limit</c>, any other parameter is refused.
/// The head is reached when a page is not full; only then is there something to wait for.
/// </summary>
internal sealed class PagedChangeFeed : IChangeFeed
{
    /// <summary>The longest page the service gives.</summary>
    public const int LimitMax = 10_000;

    // The service numbers this many rows in a day and a bit (169,000 in August 2026); rows are known to come late by hours.
    private const long SequencesPerDay = 200_000;

    private readonly FeedRequests _requests;
    private readonly FeedOptions _options;

    /// <summary>Creates the feed; nothing is asked yet.</summary>
    public PagedChangeFeed(RegistryClient client, Uri location, FeedOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.PageRows, LimitMax);
        _requests = new FeedRequests(client, FeedRequests.Normalize(location), options);
        _options = options;
    }

    /// <inheritdoc/>
    public string Location => _requests.Location;

    /// <inheritdoc/>
    public TimeSpan IdleDelay => _options.PollDelay;

    /// <inheritdoc/>
    public long LateSequences => SequencesPerDay;

    /// <inheritdoc/>
    public Task<FeedInfo> GetInfoAsync(CancellationToken cancellationToken) => _requests.GetInfoAsync(cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChangesPage> ReadAsync(Sequence since, Action? onAccepted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var answer = await _requests.OpenChangesAsync(since, $"&limit={_options.PageRows}", _options.Timeout, isEndless: false, cancellationToken);
        onAccepted?.Invoke();
        var pipe = FeedRequests.Pipe(answer);
        try
        {
            await foreach (var page in ChangesReader.ReadPagesAsync(pipe, since, _options.PageRows, answer.Url, cancellationToken))
            {
                yield return page;
            }
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<ChangeRow>> ReadRowsAsync(Sequence since, int rowsMax, CancellationToken cancellationToken) => _requests.ReadRowsAsync(since, rowsMax, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<ChangeRow>> ReadNewestAsync(int rowsMax, CancellationToken cancellationToken) => _requests.ReadNewestAsync(rowsMax, cancellationToken);

    /// <inheritdoc/>
    public Task<bool?> IsListedAsync(string id, CancellationToken cancellationToken) => _requests.IsListedAsync(id, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<ListedPackage> ListAllAsync(CancellationToken cancellationToken) => _requests.ListAllAsync(cancellationToken);
}
