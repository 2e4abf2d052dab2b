using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Operations;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Pages;

/// <summary>Hands requests to the page, where there is one, by names of this mirror only; programs get the answers that they get without it.</summary>
internal sealed class PageEndpoint(IRegistryPage? page, PublicAddresses addresses, HomeEndpoint home, IReadOnlyList<string> mounts)
{
    /// <summary>Answers the page's root: as HTML for people, and as <see cref="HomeEndpoint"/> does for programs.</summary>
    internal Task HomeAsync(HttpContext context, Origin origin, string target) =>
        page is not null && IsForPeople(context) ? HandleAsync(context, [], origin, target) : home.HomeAsync(context, origin);

    /// <summary>Whether the page answers at its root below a root mount, where a package has the same address.</summary>
    internal bool IsForPage(HttpContext context) => page is not null && IsForPeople(context);

    /// <summary>Answers a path of the page.</summary>
    internal async Task HandleAsync(HttpContext context, IReadOnlyList<string> path, Origin origin, string target)
    {
        if (page is null)
        {
            await home.OutsideAsync(context, origin);
            return;
        }

        if (addresses.Find(context, origin, mounts[0].TrimEnd('/')) is not { } registry)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status421MisdirectedRequest, PublicAddresses.Refusal(origin));
            return;
        }

        // A client whose registry is set to the root asks for a package of that name.
        if (path is ["packages" or "setup" or "package", ..] && context.Request.Headers.Accept.ToString() is var accept && accept.Contains("json", StringComparison.OrdinalIgnoreCase) && !IsForPeople(context))
        {
            await home.OutsideAsync(context, origin);
            return;
        }

        if (UpFrom(target, path.Count) is not { } up)
        {
            // Relative addresses begin at the last slash.
            context.Response.StatusCode = StatusCodes.Status308PermanentRedirect;
            context.Response.Headers.Location = "./" + LastSegment(target) + "/";
            return;
        }

        // The state of a mirror is nothing for pages of other sites, whatever counts for packages.
        context.Response.Headers.Remove("Access-Control-Allow-Origin");
        await page.HandleAsync(context, new PageRequest(path, up, registry));
    }

    /// <summary>The way from a request's path to the page's root; null if the root itself was asked for without the slash at its end.</summary>
    /// <param name="target">The request's target.</param>
    /// <param name="depth">How many segments it has below the root.</param>
    internal static string? UpFrom(string target, int depth)
    {
        var path = RouteParser.PathOf(target);
        var (slashes, segments) = (0, 0);
        for (var i = 0; i < path.Length; i++)
        {
            slashes += path[i] == '/' ? 1 : 0;
            segments += path[i] != '/' && (i == 0 || path[i - 1] == '/') ? 1 : 0;
        }

        var up = slashes - 1 - (segments - depth);
        return up < 0 ? null : up == 0 ? "./" : string.Concat(Enumerable.Repeat("../", up));
    }

    private static bool IsForPeople(HttpContext context) => context.Request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase);

    private static string LastSegment(string target)
    {
        var path = RouteParser.PathOf(target);
        return path[(path.LastIndexOf('/') + 1)..].ToString();
    }
}
