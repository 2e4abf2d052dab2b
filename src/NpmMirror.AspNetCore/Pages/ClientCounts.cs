using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Pages;

/// <summary>
/// Which clients ask for what, since the process started: for the page. Only requests that the server parses are counted; a repeated one is answered from memory, where a
/// count would cost a part of the answer. Clients choose these names: there is a limit to how many are kept.
/// </summary>
internal sealed class ClientCounts
{
    private const int NamesMax = 2_000;
    private const int KindsMax = 100;
    private const int KindMaxChars = 40;
    private const string Others = "others";

    private readonly ConcurrentDictionary<string, long> _kinds = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _packages = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _misses = new(StringComparer.Ordinal);

    /// <summary>Counts a request that was answered.</summary>
    internal void Count(HttpContext context, RegistryRoute route)
    {
        var package = route switch
        {
            RegistryRoute.Packument packument => packument.Package,
            RegistryRoute.Manifest manifest => manifest.Package,
            RegistryRoute.Tarball tarball => tarball.Package,
            _ => default,
        };
        if (package == default)
        {
            return;
        }

        Add(_kinds, KindOf(context.Request.Headers.UserAgent.ToString()), KindsMax);
        Add(context.Response.StatusCode is StatusCodes.Status404NotFound ? _misses : _packages, package.Value, NamesMax);
    }

    /// <summary>The largest counts of each, largest first.</summary>
    internal ClientSums Largest(int most) => new(Largest(_kinds, most), Largest(_packages, most), Largest(_misses, most));

    /// <summary>The first product of a <c>User-Agent</c>: <c>npm/11.19.1</c>.</summary>
    internal static string KindOf(string userAgent)
    {
        var end = userAgent.IndexOf(' ');
        var product = end < 0 ? userAgent : userAgent[..end];
        return product.Length is > 0 and <= KindMaxChars && product.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '-' or '_' or '+') ? product : Others;
    }

    private static void Add(ConcurrentDictionary<string, long> counts, string name, int max)
    {
        if (counts.Count >= max && !counts.ContainsKey(name))
        {
            // A newcomer takes the place of those that were asked for once; names that were asked for often stay.
            if (max == KindsMax)
            {
                name = Others;
            }
            else
            {
                foreach (var (rare, count) in counts)
                {
                    if (count <= 1)
                    {
                        counts.TryRemove(rare, out _);
                    }
                    else
                    {
                        counts.TryUpdate(rare, count / 2, count);
                    }
                }

                if (counts.Count >= max)
                {
                    return;
                }
            }
        }

        counts.AddOrUpdate(name, 1, static (_, count) => count + 1);
    }

    private static List<KeyValuePair<string, long>> Largest(ConcurrentDictionary<string, long> counts, int most) => [.. counts.OrderByDescending(one => one.Value).ThenBy(one => one.Key, StringComparer.Ordinal).Take(most)];
}

/// <summary>The largest counts of clients.</summary>
/// <param name="Kinds">Kinds and versions of clients.</param>
/// <param name="Packages">Packages that were asked for.</param>
/// <param name="Misses">Packages that were asked for and are not there.</param>
internal sealed record ClientSums(IReadOnlyList<KeyValuePair<string, long>> Kinds, IReadOnlyList<KeyValuePair<string, long>> Packages, IReadOnlyList<KeyValuePair<string, long>> Misses);
