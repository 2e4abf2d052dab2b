using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Hosting;

/// <summary>Tells operators of pauses in requests to the upstream: in the log, in a metric, and in the store for <c>status</c>, which is another process.</summary>
internal sealed partial class PauseWatch(INoteTable notes, RegistryClient upstream, Meter meter, TimeProvider time, ILogger<PauseWatch> logger) : BackgroundService
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    private readonly Gauge<double> _left = meter.CreateGauge<double>("npm_mirror.upstream.pause_left", "s", "How much longer no requests are sent to the upstream, by purpose; 0: no pause");

    // Null: the notes of an earlier process have not been read yet.
    private IReadOnlyList<NotedPause>? _noted;

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            using var timer = new PeriodicTimer(LookEvery, time);
            do
            {
                await LookAsync(stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The end of the watch; a pause that is noted tells its own end.
        }
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        List<NotedPause> current = [.. upstream.Pauses.List().Select(pause => new NotedPause(pause.Host, pause.Purpose, now + pause.Left, pause.Reason))];
        Measure(current, now);
        try
        {
            _noted ??= await NotedPause.ReadAsync(notes, cancellationToken);
            if (_noted.Count == current.Count && _noted.Zip(current).All(pair => pair.First.IsSameAs(pair.Second)))
            {
                return;
            }

            await NotedPause.WriteAsync(notes, current, cancellationToken);
            foreach (var begun in current.Where(pause => !_noted.Any(pause.IsSameAs)))
            {
                LogPaused(begun.Host, begun.Words, begun.Until, begun.Reason);
            }

            _noted = current;
        }
        catch (MirrorException)
        {
            // The store is in trouble, which others tell; the next look tries again.
        }
    }

    private void Measure(List<NotedPause> current, DateTimeOffset now)
    {
        foreach (var purpose in current.Concat(_noted ?? []).Select(pause => pause.Purpose).Distinct())
        {
            var left = current.Where(pause => pause.Purpose == purpose).Select(pause => (pause.Until - now).TotalSeconds).DefaultIfEmpty(0).Max();
            _left.Record(left, Telemetry.Tag("purpose", purpose.ToString()));
        }
    }

    [LoggerMessage(EventIds.Mirror + 70, LogLevel.Warning, "{Host} is not asked for {Purpose} until {Until:u}: {Reason}; everything else goes on")]
    private partial void LogPaused(string host, string purpose, DateTimeOffset until, string reason);
}
