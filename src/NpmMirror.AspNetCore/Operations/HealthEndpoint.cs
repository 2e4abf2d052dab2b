using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore.Operations;

/// <summary>
/// Answers <c>/health/live</c> and <c>/health/ready</c>. Ready means that the stores can be read and written; an upstream that is away
/// is no reason to send clients elsewhere: a mirror serves without it.
/// </summary>
internal sealed class HealthEndpoint(IMetadataStore store, IBlobStore? blobs, TimeProvider time)
{
    // Each check writes: probes of many balancers share one.
    private static readonly TimeSpan LookAgainAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LookAtMost = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private Task<string?>? _look;
    private long _lookedAt;

    internal static Task LiveAsync(HttpContext context) => RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, "{\"status\":\"live\"}"u8.ToArray());

    internal async Task ReadyAsync(HttpContext context)
    {
        if (await ReasonAsync().WaitAsync(context.RequestAborted) is { } reason)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, reason, TimeSpan.FromSeconds(5));
            return;
        }

        await RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, "{\"status\":\"ready\"}"u8.ToArray());
    }

    private Task<string?> ReasonAsync()
    {
        lock (_lock)
        {
            if (_look is null || (_look.IsCompleted && time.GetElapsedTime(_lookedAt) >= LookAgainAfter))
            {
                _lookedAt = time.GetTimestamp();
                _look = LookAsync();
            }

            return _look;
        }
    }

    private async Task<string?> LookAsync()
    {
        using var deadline = new CancellationTokenSource(LookAtMost, time);
        try
        {
            return await store.CheckWritableAsync(deadline.Token) ?? (blobs is null ? null : await blobs.CheckWritableAsync(deadline.Token));
        }
        catch (OperationCanceledException)
        {
            return $"The store did not answer within {LookAtMost.TotalSeconds:0} s.";
        }
        catch (ObjectDisposedException)
        {
            return "The store is closed.";
        }
        catch (MirrorException e)
        {
            return e.Message;
        }
    }
}
