using System.Text.Json;

namespace NpmMirror.Upstream;

/// <summary>
/// Registries whose feed lives on another host: <c>known-feeds.json</c>, a list of <c>{"domain": …, "feed": …}</c>, used only when the
/// operator's own upstream is of that domain.
/// </summary>
internal static class KnownFeeds
{
    private static readonly JsonSerializerOptions Web = new(JsonSerializerDefaults.Web);

    /// <summary>The pairings shipped.</summary>
    internal static IReadOnlyList<KnownFeed> Shipped { get; } = Load();

    /// <summary>The feed of a registry, or null.</summary>
    internal static Uri? Find(IReadOnlyList<KnownFeed> feeds, Uri upstream)
    {
        var host = upstream.IdnHost;
        var known = feeds.FirstOrDefault(feed =>
            host.Equals(feed.Domain, StringComparison.OrdinalIgnoreCase) || host.EndsWith("." + feed.Domain, StringComparison.OrdinalIgnoreCase));
        return known is null ? null : new Uri(known.Feed);
    }

    private static List<KnownFeed> Load()
    {
        using var file = typeof(KnownFeeds).Assembly.GetManifestResourceStream("known-feeds.json")!;
        return JsonSerializer.Deserialize<List<KnownFeed>>(file, Web)!;
    }
}

/// <summary>One pairing: registries of this domain have their feed there.</summary>
internal sealed record KnownFeed(string Domain, string Feed);
