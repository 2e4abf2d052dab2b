using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Options;

namespace NpmMirror.AspNetCore.Operations;

/// <summary>
/// The rule for requests that change state: with a token, only its bearer; without one, only a program on this machine. A request that any proxy
/// passed on is from elsewhere, and so is one that a web page made in a browser on this machine.
/// </summary>
internal sealed class AdminAccess(MirrorOptions options, PublicAddresses addresses)
{
    private static readonly string[] ForwardingHeaders = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-IP", "Forwarded", "Via"];

    // Empty without a token: no hash equals it.
    private readonly byte[] _tokenHash = string.IsNullOrEmpty(options.Admin.Token) ? [] : SHA256.HashData(Encoding.UTF8.GetBytes(options.Admin.Token));

    /// <summary>Whether administrators have a token.</summary>
    internal bool HasToken => _tokenHash.Length > 0;

    /// <summary>Null when the request is allowed, else why not.</summary>
    internal string? Refusal(HttpContext context)
    {
        var authorization = context.Request.Headers.Authorization.ToString();
        if (authorization.Length > 0)
        {
            // If Authorization is sent it must be right, even from loopback.
            return IsToken(authorization) ? null : "The Authorization header is not Bearer with the token of the option admin.token.";
        }

        if (_tokenHash.Length > 0)
        {
            return "Only an administrator may do this, from this machine too: send the token of the option admin.token as Authorization: Bearer.";
        }

        return IsFromHere(context)
            ? null
            : "Only an administrator may do this: ask from the mirror's own machine, or send the token of the option admin.token as Authorization: Bearer.";
    }

    /// <summary>
    /// The same of a form of the mirror's own page, which brings the token in a field. The caller has checked that a page of this mirror sent it, so that its
    /// <c>Origin</c> is no reason.
    /// </summary>
    internal string? RefusalOfForm(HttpContext context, string token) =>
        _tokenHash.Length > 0 ? (IsTokenText(token) ? null : "The token is not that of the option admin.token.")
        : IsFromHere(context, isOwnPage: true) ? null
        : "Only an administrator may do this: open the page on the mirror's own machine, or set the option admin.token and give the token here.";

    private bool IsToken(string authorization)
    {
        const string Bearer = "Bearer ";
        return authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) && IsTokenText(authorization[Bearer.Length..].Trim());
    }

    // Hashes of equal length: neither the time nor the length tells how much was right.
    private bool IsTokenText(string token) => CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(token)), _tokenHash);

    private bool IsFromHere(HttpContext context, bool isOwnPage = false)
    {
        var headers = context.Request.Headers;
        if (context.Connection.RemoteIpAddress is not { } peer || !IPAddress.IsLoopback(peer) || (headers.ContainsKey("Origin") && !isOwnPage))
        {
            return false;
        }

        if (headers.TryGetValue("Sec-Fetch-Site", out var site) && site.ToString() is not ("none" or "same-origin"))
        {
            return false;
        }

        foreach (var header in ForwardingHeaders)
        {
            if (headers.ContainsKey(header))
            {
                return false;
            }
        }

        // A foreign name that was made to resolve to this machine (DNS rebinding) comes with that name.
        var host = headers.Host.ToString();
        return host.Length == 0 || addresses.IsAllowed(context.Connection.LocalIpAddress, host);
    }
}
