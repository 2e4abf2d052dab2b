using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;

namespace NpmMirror.Upstream;

/// <summary>
/// The tries of one request that no caller repeats: a transient failure is retried, five tries in all, ever later and never before the upstream's
/// Retry-After. Each wait is logged, and the last failure says how often it was tried.
/// </summary>
internal sealed partial class BoundedRetry(TimeProvider time, ILogger logger)
{
    internal const int TriesMax = 5;

    /// <summary>A server that asks for a longer wait is not waited for: a later run may try it.</summary>
    internal static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(10);

    private readonly Backoff _backoff = new(TimeSpan.FromSeconds(1), LongestWait, Random.Shared);
    private readonly long _startedAt = time.GetTimestamp();

    /// <summary>Asks until there is an answer.</summary>
    /// <exception cref="MirrorException">A lasting failure, or a transient one in all five tries.</exception>
    internal async Task<T> RunAsync<T>(Func<Task<T>> ask, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await ask();
            }
            catch (MirrorException failure) when (failure.IsTransient)
            {
                await WaitAsync(failure, cancellationToken);
            }
        }
    }

    /// <summary>Waits after one more failure.</summary>
    /// <exception cref="MirrorException">It was asked often enough, or is not to be asked for long.</exception>
    internal async Task WaitAsync(MirrorException failure, CancellationToken cancellationToken)
    {
        if (failure.RetryAfter is { } asked && asked > LongestWait)
        {
            throw GivenUp(failure, $"It asks for a pause of {asked.TotalMinutes:0} minutes.");
        }

        var wait = _backoff.Next(failure.RetryAfter);
        if (_backoff.Failures == TriesMax)
        {
            throw GivenUp(failure, $"It was asked {TriesMax} times within {time.GetElapsedTime(_startedAt).TotalSeconds:0} s.");
        }

        LogWaiting(wait.TotalSeconds, _backoff.Failures + 1, TriesMax, failure.Message);
        await Task.Delay(wait, time, cancellationToken);
    }

    private static MirrorException GivenUp(MirrorException failure, FormattableString why) =>
        new(failure.Fault, $"{failure.Message} {FormattableString.Invariant(why)}", isTransient: true, failure.RetryAfter, failure);

    [LoggerMessage(EventIds.Upstream + 20, LogLevel.Warning, "Asking again in {Seconds:0.0} s, try {Try} of {Tries}: {Reason}")]
    private partial void LogWaiting(double seconds, int @try, int tries, string reason);
}
