using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore;

/// <summary>An upstream's answer to a forwarded request, read whole: what may be passed on, and what is trouble.</summary>
/// <param name="Status">The status code: 2xx, or a 4xx that says something about the request.</param>
/// <param name="Body">The JSON, as sent.</param>
internal sealed record UpstreamAnswer(int Status, byte[] Body)
{
    private const int BodyMaxBytes = 16 * 1024 * 1024;

    private static readonly TimeSpan BodyGrace = TimeSpan.FromMilliseconds(500);

    internal bool IsOk => Status == StatusCodes.Status200OK;

    /// <summary>Asks the upstream.</summary>
    /// <exception cref="MirrorException">No answer in time, or one that is not for clients: 5xx, 429, HTML.</exception>
    internal static async Task<UpstreamAnswer> AskAsync(
        RegistryClient client, HttpMethod method, string pathAndQuery, HttpContent? content, TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken)
    {
        if (client.IsAway)
        {
            throw Away("The upstream registry cannot be reached at the moment; try again later.");
        }

        // The client's own time-out comes first, so that it learns that the upstream is away; this one ends a body that trickles.
        using var deadline = new CancellationTokenSource(timeout + BodyGrace, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            using var response = await client.ForwardAsync(method, pathAndQuery, content, timeout, either.Token);
            var status = (int)response.StatusCode;
            var isJson = response.Content.Headers.ContentType?.MediaType is { } type && type.EndsWith("json", StringComparison.OrdinalIgnoreCase);
            if (!isJson && response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.Gone)
            {
                // A registry without this service. "Try again later" would make clients try for minutes.
                return new UpstreamAnswer(StatusCodes.Status404NotFound, Encoding.UTF8.GetBytes($$"""{"error":"The upstream registry does not offer this: it answered {{status}}."}"""));
            }

            if (response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden || status is < 200 or >= 500)
            {
                throw Away($"The upstream registry answered {status}; try again later.");
            }

            if (!isJson)
            {
                throw Away($"The upstream registry answered {status} without JSON; try again later.");
            }

            return new UpstreamAnswer(status, await ReadAsync(response.Content, either.Token));
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw Away($"The upstream registry did not answer within {timeout.TotalSeconds:0} s; try again later.");
        }
    }

    private static async Task<byte[]> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        await using var body = await content.ReadAsStreamAsync(cancellationToken);
        return await BoundedBody.ReadAsync(body, BodyMaxBytes, cancellationToken)
            ?? throw new MirrorException(MirrorFault.TooLarge, $"The upstream registry's answer is longer than {BodyMaxBytes} bytes; ask for less.");
    }

    private static MirrorException Away(string message) => new(MirrorFault.UpstreamUnavailable, message, isTransient: true);
}
