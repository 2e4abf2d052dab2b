using System.Collections.Concurrent;
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
    private const int FreshMax = 1024;

    private static readonly TimeSpan FreshFor = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, (long At, byte[] Body)> _fresh = new(StringComparer.Ordinal);

    /// <summary>Answers <c>{m}/-/npm/v1/keys</c>: keys are added and expire, so the upstream is asked first.</summary>
    internal Task KeysAsync(HttpContext context) => AnswerAsync(context, "/-/npm/v1/keys", isImmutable: false);

    /// <summary>Answers <c>{m}/-/npm/v1/attestations/{pkg}@{version}</c>: what was attested stays so.</summary>
    internal Task AttestationsAsync(HttpContext context, PackageName package, string version) =>
        AnswerAsync(context, $"/-/npm/v1/attestations/{package.UrlPath}@{Uri.EscapeDataString(version)}", isImmutable: true);

    private async Task AnswerAsync(HttpContext context, string path, bool isImmutable)
    {
        var key = "kept:" + path;
        if (_fresh.TryGetValue(key, out var fresh) && time.GetElapsedTime(fresh.At) < FreshFor)
        {
            await RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, fresh.Body);
            return;
        }

        var kept = await store.GetCursorAsync(key, context.RequestAborted);
        if (kept is not null && isImmutable)
        {
            await WriteKeptAsync(context, key, kept);
            return;
        }

        UpstreamAnswer answer;
        try
        {
            answer = await UpstreamAnswer.AskAsync(client, HttpMethod.Get, path, null, Timeout, time, context.RequestAborted);
        }
        catch (MirrorException) when (kept is not null)
        {
            await RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, Encoding.UTF8.GetBytes(kept));
            return;
        }

        if (answer.IsOk)
        {
            await KeepAsync(key, kept, answer.Body);
        }

        await RegistryErrors.WriteJsonAsync(context, answer.Status, answer.Body);
    }

    private Task WriteKeptAsync(HttpContext context, string key, string kept)
    {
        var body = Encoding.UTF8.GetBytes(kept);
        Remember(key, body);
        return RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, body);
    }

    private async Task KeepAsync(string key, string? kept, byte[] body)
    {
        if (body.Length > KeptMaxBytes || !IsObject(body))
        {
            return;
        }

        Remember(key, body);
        var text = Encoding.UTF8.GetString(body);
        if (!string.Equals(text, kept, StringComparison.Ordinal))
        {
            try
            {
                await store.SetCursorAsync(key, text, CancellationToken.None);
            }
            catch (MirrorException e) when (e.Fault is MirrorFault.StoreReadOnly or MirrorFault.StoreUnavailable)
            {
                // The client gets its answer; the next one that asks brings another chance to keep it.
            }
        }
    }

    private void Remember(string key, byte[] body)
    {
        if (_fresh.Count >= FreshMax)
        {
            _fresh.Clear();
        }

        _fresh[key] = (time.GetTimestamp(), body);
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
}
