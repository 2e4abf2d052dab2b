using Microsoft.AspNetCore.Http;
using NpmMirror.Options;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore.Routing;

/// <summary>
/// Whether web pages of other sites may read answers below the mount. With credentials for the upstream the mirror shows content that is not
/// public, and any page opened in a browser near the mirror could send it elsewhere.
/// </summary>
internal sealed class CrossOriginPolicy(bool isAllowed)
{
    private const string Anybody = "*";
    private const int PreflightMaxAgeSeconds = 86_400;

    /// <summary>Lines of an answer's head.</summary>
    internal string Lines { get; } = isAllowed ? $"Access-Control-Allow-Origin: {Anybody}\r\n" : "";

    internal static CrossOriginPolicy Of(MirrorOptions options, RegistryClient upstream) =>
        new(options.CrossOrigin == CrossOriginMode.Always || (options.CrossOrigin == CrossOriginMode.Auto && upstream.IsAnonymous));

    /// <summary>The header, where pages may read the answer.</summary>
    internal void Write(IHeaderDictionary headers)
    {
        if (isAllowed)
        {
            headers.AccessControlAllowOrigin = Anybody;
        }
    }

    /// <summary>Answers <c>OPTIONS</c>, which browsers ask before some requests.</summary>
    internal Task AnswerOptionsAsync(HttpContext context, string methods)
    {
        var headers = context.Response.Headers;
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        headers.Allow = methods + ", OPTIONS";
        if (isAllowed)
        {
            headers.AccessControlAllowOrigin = Anybody;
            headers.AccessControlAllowMethods = methods;
            headers.AccessControlAllowHeaders = Anybody;
            headers.AccessControlMaxAge = PreflightMaxAgeSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        return Task.CompletedTask;
    }
}
