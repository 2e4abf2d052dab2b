using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;

namespace NpmMirror.Tarballs;

/// <summary>
/// Records which client was served which tarball, in batches after the answers: no request waits for it, and if the store cannot
/// keep up, entries are dropped and counted.
/// </summary>
internal sealed partial class TarballUsage : IAsyncDisposable
{
    private const int WaitingMax = 10_000;
    private static readonly TimeSpan BatchEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BatchWaitMax = TimeSpan.FromSeconds(5);

    private readonly ITarballTable _rows;
    private readonly TimeProvider _time;
    private readonly ILogger<TarballUsage> _logger;
    private readonly Channel<Entry> _entries;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _loop;
    private long _dropped;

    /// <summary>Starts the writing.</summary>
    public TarballUsage(ITarballTable rows, TimeProvider time, ILogger<TarballUsage> logger)
    {
        (_rows, _time, _logger) = (rows, time, logger);
        _entries = Channel.CreateBounded<Entry>(
            new BoundedChannelOptions(WaitingMax) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true },
            _ => Interlocked.Increment(ref _dropped));
        _loop = Task.Run(WriteAsync);
    }

    /// <summary>Entries that were lost because the store was slower than the clients, or could not be written.</summary>
    public long DroppedCount => Interlocked.Read(ref _dropped);

    /// <summary>Notes that a client was served a tarball. Never waits.</summary>
    public void Record(PackageName package, string file, string client) => _entries.Writer.TryWrite(new Entry(package, file, client, _time.GetUtcNow()));

    /// <summary>Writes the noted records and stops.</summary>
    public async ValueTask DisposeAsync()
    {
        _entries.Writer.TryComplete();
        await _stopping.CancelAsync();
        await _loop;
        _stopping.Dispose();
    }

    private async Task WriteAsync()
    {
        while (await _entries.Reader.WaitToReadAsync(CancellationToken.None))
        {
            try
            {
                // A pause gathers a batch; the last one, at the end, is not waited for.
                await Task.Delay(BatchEvery, _time, _stopping.Token);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
            }

            await WriteBatchAsync();
        }
    }

    private async Task WriteBatchAsync()
    {
        var served = new Dictionary<(PackageName, string), DateTimeOffset>();
        var accesses = new Dictionary<(PackageName Package, string File, string Client, DateOnly Day), long>();
        var count = 0;
        for (; count < WaitingMax && _entries.Reader.TryRead(out var entry); count++)
        {
            served[(entry.Package, entry.File)] = entry.At;
            var key = (entry.Package, entry.File, entry.Client, DateOnly.FromDateTime(entry.At.UtcDateTime));
            accesses[key] = accesses.GetValueOrDefault(key) + 1;
        }

        using var limit = new CancellationTokenSource(BatchWaitMax, _time);
        try
        {
            await _rows.StampServedAsync([.. served.Select(file => new TarballServed(file.Key.Item1, file.Key.Item2, file.Value))], limit.Token);
            await _rows.RecordAccessAsync([.. accesses.Select(access => new TarballAccess(access.Key.Package, access.Key.File, access.Key.Client, access.Key.Day, access.Value))], limit.Token);
        }
        catch (Exception trouble) when (trouble is MirrorException or OperationCanceledException or ObjectDisposedException)
        {
            Interlocked.Add(ref _dropped, count);
            LogDropped(count, trouble.Message);
        }
    }

    private readonly record struct Entry(PackageName Package, string File, string Client, DateTimeOffset At);

    [LoggerMessage(EventIds.Mirror + 220, LogLevel.Debug, "{Count} notes of served tarballs could not be written: {Problem}")]
    private partial void LogDropped(int count, string problem);
}
