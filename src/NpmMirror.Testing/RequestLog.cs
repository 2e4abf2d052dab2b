using System.IO.Enumeration;

namespace NpmMirror.Testing;

/// <summary>The requests a server got, in order of arrival; the oldest are forgotten when there are too many.</summary>
public sealed class RequestLog
{
    private readonly Lock _lock = new();
    private readonly Queue<RecordedRequest> _requests = new();
    private TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>How many requests are remembered.</summary>
    public int RequestsMax { get; set; } = 100_000;

    /// <summary>How many requests ever arrived.</summary>
    public long TotalCount { get; private set; }

    /// <summary>The remembered requests as they are now.</summary>
    public IReadOnlyList<RecordedRequest> All => Snapshot();

    /// <summary>How many of the remembered requests asked for a path (decoded; <c>*</c> and <c>?</c> are wildcards).</summary>
    public int CountOf(string path, string method = "GET") => Snapshot().Count(request => request.Method == method && FileSystemName.MatchesSimpleExpression(path, request.Path, ignoreCase: false));

    /// <summary>The last request for a path, or null.</summary>
    public RecordedRequest? Last(string path) => Snapshot().FindLast(request => FileSystemName.MatchesSimpleExpression(path, request.Path, ignoreCase: false));

    /// <summary>Forgets all.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            _requests.Clear();
        }
    }

    /// <summary>Waits until a request fits, one that already came counts.</summary>
    public async Task<RecordedRequest> WaitForAsync(Predicate<RecordedRequest> fits, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task arrived;
            lock (_lock)
            {
                if (_requests.FirstOrDefault(request => fits(request)) is { } found)
                {
                    return found;
                }

                arrived = _arrived.Task;
            }

            await arrived.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Notes a request.</summary>
    public void Add(RecordedRequest request)
    {
        TaskCompletionSource arrived;
        lock (_lock)
        {
            TotalCount++;
            _requests.Enqueue(request);
            while (_requests.Count > RequestsMax)
            {
                _requests.Dequeue();
            }

            arrived = _arrived;
            _arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        arrived.TrySetResult();
    }

    private List<RecordedRequest> Snapshot()
    {
        lock (_lock)
        {
            return [.. _requests];
        }
    }
}
