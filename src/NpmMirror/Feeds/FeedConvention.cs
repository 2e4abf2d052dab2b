namespace NpmMirror.Feeds;

/// <summary>
/// Where the public registry's convention puts a feed: that of <c>registry.{domain}</c> is at <c>replicate.{domain}/registry/</c>. Both names
/// must belong to one owner, so the domain must be a registered one: not a single label, and not a suffix like <c>co.uk</c>,
/// below which another owner could have the other name.
/// </summary>
internal static class FeedConvention
{
    private const string Registry = "registry";
    private const string Replicate = "replicate";

    /// <summary>Below a country's domain, second labels up to this length are mostly the registry's own: co, com, gov, gouv. A registry with such a short name needs the feed's address in `feed`.</summary>
    private const int SuffixLabelMaxChars = 4;

    /// <summary>The feed's address by the convention; null for an upstream that it does not cover: an address, this machine, another name, a registry below a path.</summary>
    internal static Uri? FeedOf(Uri upstream)
    {
        if (upstream.HostNameType != UriHostNameType.Dns || upstream.AbsolutePath != "/")
        {
            return null;
        }

        var labels = upstream.IdnHost.TrimEnd('.').ToLowerInvariant().Split('.');
        if (labels[0] != Registry || !IsRegistered(labels[1..]))
        {
            return null;
        }

        return new UriBuilder(upstream.Scheme, string.Join('.', [Replicate, .. labels[1..]]), upstream.Port, "/registry/").Uri;
    }

    /// <summary>Whether a feed belongs to an upstream: it is on the same host, or where the convention has it.</summary>
    internal static bool IsOwn(Uri upstream, Uri feed) =>
        feed.IdnHost.Equals(upstream.IdnHost, StringComparison.OrdinalIgnoreCase)
        || feed.IdnHost.Equals(FeedOf(new Uri(upstream.GetLeftPart(UriPartial.Authority)))?.IdnHost, StringComparison.OrdinalIgnoreCase);

    private static bool IsRegistered(string[] domain) => domain switch
    {
        { Length: < 2 } or [.., "localhost"] => false,
        [{ Length: <= SuffixLabelMaxChars }, { Length: 2 }] => false,
        _ => Array.TrueForAll(domain, label => label.Length > 0),
    };
}
