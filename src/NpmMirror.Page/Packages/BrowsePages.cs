using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.Hosting;
using NpmMirror.Searching;

namespace NpmMirror.Page.Packages;

/// <summary>The page of all packages held: by name, and by what is searched for.</summary>
internal sealed class BrowsePages(Mirror mirror)
{
    private const int Shown = 50;
    private const int QueryMaxChars = 214;

    /// <summary>The page that a request asks for.</summary>
    internal async Task<BrowseModel> FindAsync(HttpContext context, PageRequest request)
    {
        var query = context.Request.Query["q"].ToString().Trim();
        query = query.Length > QueryMaxChars ? query[..QueryMaxChars] : query;
        var after = PackageName.TryParse(context.Request.Query["after"].ToString(), out var name) ? name : (PackageName?)null;
        var frame = new PageFrame("Packages", request.Up, "packages", request.Registry, query);
        if (mirror.Search is { } search)
        {
            try
            {
                var answer = query.Length == 0 ? await search.BrowseAsync("", after, Shown, context.RequestAborted) : await search.FindAsync(new SearchQuery { Text = query, Size = Shown }, context.RequestAborted);
                return new BrowseModel(frame, [.. answer.Hits.Select(PackageHit.Of)], query.Length == 0 && answer.Hits.Count == Shown ? answer.Hits[^1].Name.Value : null, BuildingOf(search));
            }
            catch (MirrorException failure) when (failure.Fault is MirrorFault.BadInput or MirrorFault.StoreUnavailable)
            {
                return new BrowseModel(frame, [], null, Words.Plain(failure.Message));
            }
        }

        return await ListAsync(frame, query, after, context.RequestAborted);
    }

    private static string? BuildingOf(IPackageSearch search) => search.State.Phase == SearchPhase.Building ? $"The index is being built: {Words.Count(search.State.Packages)} packages are in it so far." : null;

    /// <summary>Without an index: by the beginning of names.</summary>
    private async Task<BrowseModel> ListAsync(PageFrame frame, string query, PackageName? after, CancellationToken cancellationToken)
    {
        var from = after is { } last ? last.Value + "\0" : query;
        var names = await mirror.Visibility.ListMarksAsync(from, isHidden: false, cancellationToken)
            .TakeWhile(mark => mark.Name.Value.StartsWith(query, StringComparison.Ordinal)).Take(Shown).Select(mark => mark.Name).ToListAsync(cancellationToken);
        return new BrowseModel(frame, [.. names.Select(name => new PackageHit(name, null, null, null, false))], names.Count == Shown ? names[^1].Value : null, null);
    }
}

/// <summary>What the page of all packages shows.</summary>
/// <param name="Frame">The frame; its query is the one that was asked.</param>
/// <param name="Hits">The packages.</param>
/// <param name="Next">Where the next page begins after; null on the last.</param>
/// <param name="Note">What else to know.</param>
internal sealed record BrowseModel(PageFrame Frame, IReadOnlyList<PackageHit> Hits, string? Next, string? Note)
{
    internal string? NextLink => Next is null ? null : $"{Frame.Up}packages?q={Uri.EscapeDataString(Frame.Query)}&after={Uri.EscapeDataString(Next)}";
}

/// <summary>A package in a list. The texts are a stranger's.</summary>
internal sealed record PackageHit(PackageName Name, string? Version, string? Description, DateTimeOffset? PublishedAt, bool IsDeprecated)
{
    internal static PackageHit Of(SearchHit hit) => new(
        hit.Name, hit.Version is { } version ? Words.Plain(version, 60) : null, hit.Description is { } description ? Words.Plain(description, 300) : null, hit.PublishedAt, hit.Deprecated is not null);
}
