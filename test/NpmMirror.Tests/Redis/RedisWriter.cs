using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>Writes one package after the other, and keeps the names of those that were acknowledged.</summary>
internal sealed class RedisWriter : IAsyncDisposable
{
    private readonly IMetadataStore _store;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<string> _acknowledged = [];
    private readonly Task _writing;

    internal RedisWriter(IMetadataStore store)
    {
        _store = store;
        _writing = Task.Run(WriteAsync);
    }

    /// <summary>Waits until so many more packages were acknowledged.</summary>
    internal async Task WaitForMoreAsync(int packages)
    {
        var before = Count();
        await Eventually.Async(() => Count() >= before + packages);
    }

    /// <summary>Stops, and looks for each acknowledged package in its place, in the list and in the log, once.</summary>
    internal async Task AssertNothingLostAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync();
        await _writing;
        while (await _store.Log.NumberEventsAsync(cancellationToken) > 0)
        {
            // More may wait.
        }

        foreach (var name in _acknowledged)
        {
            Assert.NotNull(await _store.Packages.ReadAsync(PackageName.Parse(name), cancellationToken));
        }

        var listed = await _store.Packages.ListAsync(null, false, cancellationToken).Select(row => row.Name.Value).ToListAsync(cancellationToken);
        Assert.Subset(listed.ToHashSet(), _acknowledged.ToHashSet());
        var rows = await _store.Log.ReadLogAsync(LogPosition.Zero, cancellationToken).ToListAsync(cancellationToken);
        Assert.Subset(rows.Select(row => row.Package.Value).ToHashSet(), _acknowledged.ToHashSet());
        Assert.Equal(rows.Count, rows.Select(row => row.Package).Distinct().Count());
        var hash = ChainHash.Genesis;
        foreach (var row in rows)
        {
            hash = ChainHash.Next(hash, row);
            Assert.Equal(hash, row.Hash);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _writing;
        _stop.Dispose();
    }

    private async Task WriteAsync()
    {
        for (var i = 0; !_stop.IsCancellationRequested; i++)
        {
            try
            {
                if ((await _store.Packages.CommitAsync(RedisTroubleTests.NewCommit($"p{i}", 0, events: 1), CancellationToken.None)).IsCommitted)
                {
                    lock (_acknowledged)
                    {
                        _acknowledged.Add($"p{i}");
                    }
                }
            }
            catch (MirrorException e) when (e.IsTransient)
            {
                // Nothing was acknowledged.
            }
        }
    }

    private int Count()
    {
        lock (_acknowledged)
        {
            return _acknowledged.Count;
        }
    }
}
