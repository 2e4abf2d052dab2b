using System.Net.Http.Headers;
using System.Text.Json;

namespace NpmMirror.Upstream;

/// <summary>The meaning of the upstream's failures here: one sentence, whether to retry, and when.</summary>
internal static class UpstreamFailures
{
    private static readonly TimeSpan OfflineRetry = TimeSpan.FromMinutes(5);

    /// <summary>The failure of a request on a mirror that its operator set offline.</summary>
    /// <param name="missing">The item that a client asked for and the mirror does not hold; null if none is missing.</param>
    internal static MirrorException Offline(string? missing = null) => new(
        MirrorFault.UpstreamUnavailable,
        missing is null ? "This mirror is offline (offline=true): it serves what it holds and sends no requests." : $"{missing} is not held here, and this mirror is offline (offline=true): it sends no requests.",
        isTransient: false,
        OfflineRetry);

    private const int ReasonMaxBytes = 16 * 1024;

    /// <summary>An address without its possible secrets: user, password and query.</summary>
    internal static string Where(Uri url) => url.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped);

    internal static MirrorException Unavailable(Uri url, string what, Exception? inner = null, TimeSpan? retryAfter = null) =>
        new(MirrorFault.UpstreamUnavailable, $"The upstream at {Where(url)} {what}.", isTransient: true, retryAfter, inner);

    internal static MirrorException TimedOut(Uri url, string what) => Unavailable(url, what, new TimeoutException());

    internal static MirrorException BrokenOff(Uri url, Exception? inner = null) => Unavailable(url, "broke off its answer", inner);

    internal static MirrorException Malformed(Uri url, string what, bool isTransient = true, Exception? inner = null) =>
        new(MirrorFault.UpstreamMalformed, $"The upstream's answer from {Where(url)} {what}.", isTransient, inner: inner);

    internal static MirrorException TooLarge(Uri url, long limitBytes) =>
        new(MirrorFault.TooLarge, $"The upstream's answer from {Where(url)} is longer than the {limitBytes} bytes allowed; raise packumentMaxBytes or tarballMaxBytes if it is wanted.");

    /// <summary>The failure that a status code means which is neither success, nor 304, nor absence.</summary>
    internal static MirrorException OfStatus(UpstreamResponse response, string? reason, TimeProvider timeProvider)
    {
        var status = (int)response.Message.StatusCode;
        var said = reason is null ? $"answered {status}" : $"answered {status} ({reason})";
        var retryAfter = RetryAfter(response.Message, timeProvider);
        return status switch
        {
            401 or 407 => new MirrorException(MirrorFault.UpstreamRefused, $"The upstream at {Where(response.Url)} {said}: check the credentials that npm is configured with for this address."),
            // More often about a quarantine or a licence check than about missing credentials: the reason, if there is one, tells.
            403 => new MirrorException(MirrorFault.UpstreamRefused, $"The upstream at {Where(response.Url)} {said}: it refuses what was asked for, or the credentials that this mirror has for it from npm's configuration.") { RefusedStatus = status },
            429 => new MirrorException(MirrorFault.UpstreamBusy, $"The upstream at {Where(response.Url)} {said}: too many requests.", isTransient: true, retryAfter),
            508 => new MirrorException(MirrorFault.Configuration, $"The upstream at {Where(response.Url)} {said}: its own upstream leads back here; point one of the mirrors elsewhere."),
            408 or 425 or >= 500 => Unavailable(response.Url, said, retryAfter: retryAfter),
            // Length, size, expectation, host, protocol, headers and range: this mirror's own request, and not that of its client.
            411 or 413 or 416 or 417 or 421 or 426 or 431 => new MirrorException(MirrorFault.UpstreamMalformed, $"The upstream at {Where(response.Url)} {said}: it does not take the requests of this mirror; is its address right?"),
            >= 400 => new MirrorException(MirrorFault.UpstreamMalformed, $"The upstream at {Where(response.Url)} {said}.") { RefusedStatus = status },
            _ => Malformed(response.Url, $"has the unexpected status {status}{(reason is null ? "" : $" ({reason})")}", isTransient: false),
        };
    }

    /// <summary>How long the other side asked to wait; null if it did not say or not understandably.</summary>
    internal static TimeSpan? RetryAfter(HttpResponseMessage response, TimeProvider timeProvider) =>
        HeaderValues.Wait(FirstOf(response.Headers, "Retry-After"), timeProvider.GetUtcNow());

    /// <summary>A header as it came, the first of several; null if it is absent.</summary>
    internal static string? FirstOf(HttpHeaders headers, string name)
    {
        if (headers.NonValidated.TryGetValues(name, out var values))
        {
            foreach (var value in values)
            {
                return value;
            }
        }

        return null;
    }

    /// <summary>The body's reason for the failure, shortened; null for HTML, nothing, or anything else that is not for reading.</summary>
    internal static async Task<string?> ReadReasonAsync(UpstreamResponse response, TimeSpan timeout, TimeProvider timeProvider, CancellationToken cancellationToken) =>
        (await ReadExplanationAsync(response, timeout, timeProvider, cancellationToken)).Reason;

    /// <summary>The reason, and another npm-mirror's notice of a removal.</summary>
    internal static async Task<(string? Reason, RemovalNotice? Notice)> ReadExplanationAsync(UpstreamResponse response, TimeSpan timeout, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        if (IsHtml(response.Message))
        {
            return default;
        }

        var buffer = new byte[ReasonMaxBytes];
        var length = 0;
        try
        {
            await using var body = UpstreamBody.Open(response, new BodyLimits(ReasonMaxBytes, timeout), isFile: false, timeProvider);
            while (length < buffer.Length && await body.ReadAsync(buffer.AsMemory(length), cancellationToken) is var read and > 0)
            {
                length += read;
            }

            using var document = JsonDocument.Parse(buffer.AsMemory(0, length));
            var root = document.RootElement;
            return (Reason(root), root.ValueKind == JsonValueKind.Object ? RemovalNotice.Of(root) : null);
        }
        // Half a surrogate pair is an InvalidOperationException to the reader.
        catch (Exception exception) when (exception is MirrorException or JsonException or InvalidOperationException)
        {
            // The status was the message; an unreadable explanation does not change it.
            return default;
        }
    }

    internal static bool IsHtml(HttpResponseMessage response) =>
        response.Content.Headers.TryGetValues("Content-Type", out var types) && types.Any(type => type.Contains("html", StringComparison.OrdinalIgnoreCase));

    private static string? Reason(JsonElement root)
    {
        if (root.ValueKind == JsonValueKind.String)
        {
            return MirrorException.Quote(root.GetString());
        }

        if (root.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in (ReadOnlySpan<string>)["reason", "error", "message"])
            {
                if (root.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String)
                {
                    return MirrorException.Quote(value.GetString());
                }
            }
        }

        return null;
    }
}
