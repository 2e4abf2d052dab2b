using System.Runtime.CompilerServices;
using NpmMirror.Options;
using NpmMirror.Upstream;

namespace NpmMirror.Feeds;

/// <summary>
/// A feed that can wait: CouchDB, pouchdb-server, another npm-mirror. Until its head was reached it is read by plain pages, which
/// answer at once; from there on the upstream answers when something changed (longpoll), or keeps sending (continuous).
/// </summary>
internal sealed class LiveChangeFeed : IChangeFeed
{
    private readonly FeedRequests _requests;
    private readonly FeedOptions _options;
    private Sequence? _head;

    /// <summary>Creates the feed; nothing is asked yet.</summary>
    public LiveChangeFeed(RegistryClient client, Uri location, FeedOptions options)
    {
        _requests = new FeedRequests(client, FeedRequests.Normalize(location), options);
        _options = options;
    }

    /// <inheritdoc/>
    public string Location => _requests.Location;

    /// <inheritdoc/>
    public TimeSpan IdleDelay => _options.Mode == FeedMode.Poll ? _options.PollDelay : TimeSpan.Zero;

    /// <inheritdoc/>
    public Task<FeedInfo> GetInfoAsync(CancellationToken cancellationToken) => _requests.GetInfoAsync(cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<ChangesPage> ReadAsync(Sequence since, Action? onAccepted, CancellationToken cancellationToken)
    {
        var mode = since == _head ? _options.Mode : FeedMode.Poll;
        // The connection may have been lost: the head is only known again from a page.
        _head = null;
        return mode == FeedMode.Continuous
            ? ReadContinuousAsync(since, onAccepted, cancellationToken)
            : ReadPagesAsync(since, mode == FeedMode.Longpoll, onAccepted, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<ChangeRow>> ReadRowsAsync(Sequence since, int rowsMax, CancellationToken cancellationToken) => _requests.ReadRowsAsync(since, rowsMax, cancellationToken);

    /// <inheritdoc/>
    public Task<string?> ReadLogHashAsync(long position, CancellationToken cancellationToken) => _requests.ReadLogHashAsync(position, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<ChangeRow>> ReadNewestAsync(int rowsMax, CancellationToken cancellationToken) => _requests.ReadNewestAsync(rowsMax, cancellationToken);

    /// <inheritdoc/>
    public Task<bool?> IsListedAsync(string id, CancellationToken cancellationToken) => _requests.IsListedAsync(id, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<ListedPackage> ListAllAsync(CancellationToken cancellationToken) => _requests.ListAllAsync(cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<ListedPackage> ListRemovedAsync(CancellationToken cancellationToken) => _requests.ListRemovedAsync(cancellationToken);

    private async IAsyncEnumerable<ChangesPage> ReadPagesAsync(Sequence since, bool isWaiting, Action? onAccepted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var wait = isWaiting ? $"&feed=longpoll&heartbeat={HeartbeatMilliseconds}" : "";
        await using var answer = await _requests.OpenChangesAsync(since, $"&limit={_options.PageRows}{wait}", isWaiting ? _options.Heartbeat * 4 : _options.Timeout, isEndless: isWaiting, cancellationToken);
        onAccepted?.Invoke();
        var pipe = FeedRequests.Pipe(answer);
        try
        {
            await foreach (var page in ChangesReader.ReadPagesAsync(pipe, since, _options.PageRows, answer.Url, cancellationToken))
            {
                _head = page.IsAtHead ? page.LastSequence : null;
                yield return page;
            }
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }

    private async IAsyncEnumerable<ChangesPage> ReadContinuousAsync(Sequence since, Action? onAccepted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var answer = await _requests.OpenChangesAsync(since, $"&feed=continuous&heartbeat={HeartbeatMilliseconds}", _options.Heartbeat * 4, isEndless: true, cancellationToken);
        onAccepted?.Invoke();
        var pipe = FeedRequests.Pipe(answer);
        try
        {
            await foreach (var page in ChangesReader.ReadLinesAsync(pipe, since, answer.Url, cancellationToken))
            {
                yield return page;
            }
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }

    private long HeartbeatMilliseconds => (long)_options.Heartbeat.TotalMilliseconds;
}
