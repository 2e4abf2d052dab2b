namespace NpmMirror.Upstream;

/// <summary>
/// What names an upstream in stored rows: its URL and, where a feed told one, its database's name behind a <c>#</c>. A process that follows
/// no feed does not know the latter, so an identity without it may be that of any life of the database.
/// </summary>
internal static class UpstreamIdentity
{
    internal static string Of(Uri baseUrl, string? databaseId)
    {
        var url = baseUrl.AbsoluteUri.TrimEnd('/');
        return databaseId is null ? url : $"{url}#{databaseId}";
    }

    /// <summary>True for the same URL and the same life of its database: their revs have one order.</summary>
    internal static bool IsSame(string? left, string? right) => left is not null && right is not null && Split(left) == Split(right);

    /// <summary>True for the same URL, unless both name a life of its database and not the same one: equal revs mean equal documents.</summary>
    internal static bool CouldBeSame(string? left, string? right)
    {
        if (left is null || right is null)
        {
            return false;
        }

        var (leftUrl, leftDatabase) = Split(left);
        var (rightUrl, rightDatabase) = Split(right);
        return leftUrl == rightUrl && (leftDatabase is null || rightDatabase is null || leftDatabase == rightDatabase);
    }

    private static (string Url, string? Database) Split(string identity)
    {
        var end = identity.IndexOf('#', StringComparison.Ordinal);
        return end < 0 ? (identity.TrimEnd('/'), null) : (identity[..end].TrimEnd('/'), identity[(end + 1)..]);
    }
}
