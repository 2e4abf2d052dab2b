using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore;

/// <summary>
/// Answers for small documents of the registry beside the packuments, its signing keys and its attestations: asked for upstream,
/// kept once seen, and served from what is kept when the upstream is away. A 404 is passed on and not kept.
/// </summary>
internal sealed class KeptDocuments(IMetadataStore store, RegistryClient client, TimeProvider time)
{
    private const int KeptMaxBytes = 4 * 1024 * 1024;

    private static readonly TimeSpan FreshFor = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private volatile FreshKeys? _freshKeys;

    /// <summary>Answers <c>{m}/-/npm/v1/keys</c>: keys are added and expire, so the upstream is asked first, but not for every client.</summary>
    internal async Task KeysAsync(HttpContext context)
    {
        const string Path = "/-/npm/v1/keys";
        if (_freshKeys is { } fresh && time.GetElapsedTime(fresh.At) < FreshFor)
        {
            await WriteAsync(context, fresh.Body);
            return;
        }

        var kept = await store.GetCursorAsync(KeyOf(Path), context.RequestAborted);
        try
        {
            var answer = await AskAsync(Path, kept, context.RequestAborted);
            _freshKeys = answer.IsOk ? new FreshKeys(time.GetTimestamp(), answer.Body) : null;
            await RegistryErrors.WriteJsonAsync(context, answer.Status, answer.Body);
        }
        catch (MirrorException) when (kept is not null)
        {
            await WriteAsync(context, Encoding.UTF8.GetBytes(kept));
        }
    }

    /// <summary>Answers <c>{m}/-/npm/v1/attestations/{pkg}@{version}</c>: what was attested stays so, and is not asked for twice.</summary>
    internal async Task AttestationsAsync(HttpContext context, PackageName package, string version)
    {
        var path = $"/-/npm/v1/attestations/{package.UrlSegment}@{Uri.EscapeDataString(version)}";
        if (await store.GetCursorAsync(KeyOf(path), context.RequestAborted) is { } kept)
        {
            await WriteAsync(context, Encoding.UTF8.GetBytes(kept));
            return;
        }

        var answer = await AskAsync(path, null, context.RequestAborted);
        await RegistryErrors.WriteJsonAsync(context, answer.Status, answer.Body);
    }

    private static string KeyOf(string path) => "kept:" + path;

    private static Task WriteAsync(HttpContext context, byte[] body) => RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, body);

    private async Task<UpstreamAnswer> AskAsync(string path, string? kept, CancellationToken cancellationToken)
    {
        var answer = await UpstreamAnswer.AskAsync(client, HttpMethod.Get, path, null, Timeout, time, cancellationToken);
        if (answer.IsOk && answer.Body.Length <= KeptMaxBytes && IsObject(answer.Body))
        {
            await KeepAsync(KeyOf(path), kept, Encoding.UTF8.GetString(answer.Body));
        }

        return answer;
    }

    private async Task KeepAsync(string key, string? kept, string text)
    {
        if (string.Equals(text, kept, StringComparison.Ordinal))
        {
            return;
        }

        try
        {
            await store.SetCursorAsync(key, text, CancellationToken.None);
        }
        catch (MirrorException e) when (e.Fault is MirrorFault.StoreReadOnly or MirrorFault.StoreUnavailable)
        {
            // The client gets its answer; the next one that asks brings another chance to keep it.
        }
    }

    private static bool IsObject(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private sealed record FreshKeys(long At, byte[] Body);
}
