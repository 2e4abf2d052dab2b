using System.Text;
using Microsoft.AspNetCore.Http;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore.Forwarding;

/// <summary>Forwards requests that only the upstream can answer, and passes on only its JSON: any other answer is trouble, which clients get as a 503.</summary>
internal sealed class Forwarder(RegistryClient client, ByteBudget budget, TimeProvider time)
{
    private const int BodyMaxBytes = 16 * 1024 * 1024;

    /// <summary>Asks, and waits no longer than <paramref name="timeout"/> for the whole answer.</summary>
    /// <exception cref="MirrorException">No answer in time, or one that is not for clients: a redirect, 204, 401, 429, 5xx, HTML, cut JSON.</exception>
    internal async Task<UpstreamAnswer> AskAsync(ForwardedService service, HttpMethod method, string pathAndQuery, HttpContent? content, TimeSpan timeout, CancellationToken cancellationToken)
    {
        RefuseWhileAway(service.Purpose);
        using var deadline = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            using var response = await client.ForwardAsync(service.Purpose, method, pathAndQuery, content, timeout, either.Token);
            return await ReadAsync(service, response, either.Token);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && (deadline.IsCancellationRequested || exception is MirrorException { InnerException: TimeoutException }))
        {
            client.Transport.NoteTimedOut(client.BaseUrl, service.Purpose, timeout);
            throw Trouble(service.Purpose == RequestPurpose.InstallAudit
                ? $"The upstream registry did not answer the audit within {Seconds(timeout)}, and an install waits no longer for it: nothing is known about vulnerabilities; npm audit waits longer."
                : $"The upstream registry did not answer within {Seconds(timeout)}; try again later.");
        }
    }

    private static string Seconds(TimeSpan timeout) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{timeout.TotalSeconds:0.#} s");

    private void RefuseWhileAway(RequestPurpose purpose)
    {
        if (client.IsAway)
        {
            throw Trouble("The upstream registry cannot be reached at the moment; try again later.");
        }

        if (client.Pauses.Find(client.BaseUrl, purpose) is { } pause)
        {
            throw new MirrorException(MirrorFault.UpstreamBusy, $"The upstream registry is not asked for this at the moment, because {pause.Reason}; try again later.", isTransient: true, pause.Left);
        }
    }

    private async Task<UpstreamAnswer> ReadAsync(ForwardedService service, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var status = (int)response.StatusCode;
        var isSuccess = status is 200 or 201 or 203;
        // 401 and 403 are about this mirror's credentials, not about the client's.
        if (!isSuccess && status is < 400 or 401 or 403 or 407 or 408 or 425 or 429 or >= 500)
        {
            throw Trouble($"The upstream registry answered {status}; try again later.", UpstreamFailures.RetryAfter(response, time));
        }

        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var document = await RawDocument.ReadAsync(stream, budget, BodyMaxBytes, BudgetUse.Forwarding, cancellationToken)
            ?? throw new MirrorException(MirrorFault.TooLarge, $"The upstream registry's answer is longer than {BodyMaxBytes} bytes; ask for less.");
        var body = WithoutByteOrderMark(document.BytesMemory);
        if (isSuccess ? service.IsAnswer(body.Span) : ForwardedService.IsJson(body.Span))
        {
            return new UpstreamAnswer(status, body, document);
        }

        document.Dispose();
        if (status is 404 or 405 or 410)
        {
            // A registry without this service. "Try again later" would make clients try for minutes.
            return new UpstreamAnswer(StatusCodes.Status404NotFound, Encoding.UTF8.GetBytes($$"""{"error":"The upstream registry does not offer this: it answered {{status}}."}"""), null);
        }

        throw Trouble($"The upstream registry answered {status} with something else than was asked for; try again later.");
    }

    private static ReadOnlyMemory<byte> WithoutByteOrderMark(ReadOnlyMemory<byte> body) =>
        body.Span.StartsWith(Encoding.UTF8.Preamble) ? body[Encoding.UTF8.Preamble.Length..] : body;

    private static MirrorException Trouble(string message, TimeSpan? retryAfter = null) =>
        new(MirrorFault.UpstreamUnavailable, message, isTransient: true, retryAfter < RequestPauses.Longest ? retryAfter : null);
}
