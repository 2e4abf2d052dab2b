using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Forwarding;

/// <summary>
/// Answers for small documents of the registry beside the packuments, its signing keys and its attestations: asked for upstream,
/// kept once seen, and served from the kept copy when the upstream is away. A 404 is passed on and not kept.
/// </summary>
internal sealed class KeptDocuments(IKeptTable documents, PackageVisibility visibility, KeptAttestations kept, Forwarder forwarder, TimeProvider time)
{
    private const string KeysPath = "/-/npm/v1/keys";
    private const int KeysMaxBytes = 4 * 1024 * 1024;

    private static readonly TimeSpan FreshFor = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private volatile FreshKeys? _freshKeys;

    /// <summary>Answers <c>{m}/-/npm/v1/keys</c>: keys are added and expire, so the upstream is asked first, but not for every client.</summary>
    internal async Task KeysAsync(HttpContext context)
    {
        if (_freshKeys is { } fresh && time.GetElapsedTime(fresh.At) < FreshFor)
        {
            await WriteAsync(context, fresh.Body);
            return;
        }

        var known = await documents.FindKeptAsync(KeysPath, context.RequestAborted);
        try
        {
            using var answer = await forwarder.AskAsync(ForwardedService.Keys, HttpMethod.Get, KeysPath, null, Timeout, context.RequestAborted);
            _freshKeys = answer.IsOk && answer.Body.Length <= KeysMaxBytes ? new FreshKeys(time.GetTimestamp(), answer.Body.ToArray()) : null;
            if (_freshKeys is { } seen && known?.Span.SequenceEqual(seen.Body) != true)
            {
                await KeepAsync(() => documents.KeepAsync(KeysPath, seen.Body, CancellationToken.None).AsTask());
            }

            await answer.WriteAsync(context, time);
        }
        catch (MirrorException) when (known is not null)
        {
            await WriteAsync(context, known.Value);
        }
    }

    /// <summary>Answers <c>{m}/-/npm/v1/attestations/{pkg}@{version}</c>: attestations do not change, and are asked for once.</summary>
    internal async Task AttestationsAsync(HttpContext context, PackageName package, string version)
    {
        if (await visibility.FindAsync(package, context.RequestAborted) is { } hidden)
        {
            await RegistryErrors.WriteAsync(context, hidden.Status, hidden.Reason);
            return;
        }

        if (await kept.FindAsync(package, version, context.RequestAborted) is { } known)
        {
            await WriteAsync(context, known);
            return;
        }

        using var answer = await forwarder.AskAsync(ForwardedService.Attestations, HttpMethod.Get, KeptAttestations.PathOf(package, version), null, Timeout, context.RequestAborted);
        if (answer.IsOk)
        {
            await KeepAsync(() => kept.KeepAsync(package, version, answer.Body, CancellationToken.None));
        }

        await answer.WriteAsync(context, time);
    }

    private static Task WriteAsync(HttpContext context, ReadOnlyMemory<byte> body) => RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, body);

    private static async Task KeepAsync(Func<Task> keep)
    {
        try
        {
            await keep();
        }
        catch (MirrorException e) when (e.Fault is MirrorFault.StoreReadOnly or MirrorFault.StoreUnavailable)
        {
            // The client gets its answer; the next request is another chance to keep it.
        }
    }

    private sealed record FreshKeys(long At, byte[] Body);
}
