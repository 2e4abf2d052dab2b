namespace NpmMirror.Upstream;

/// <summary>
/// The name of an upstream in stored rows: its URL and, if a feed told one, its database's name, as text with a <c>#</c> between. A process that follows
/// no feed does not know the latter, so an identity without it may be that of any life of the database.
/// </summary>
/// <param name="Url">The address, without a trailing slash.</param>
/// <param name="DatabaseId">The name of the database's life; null if none is known.</param>
internal readonly record struct UpstreamIdentity(string Url, string? DatabaseId)
{
    /// <summary>The identity of a registry.</summary>
    public static UpstreamIdentity Of(Uri baseUrl, string? databaseId)
    {
        ArgumentNullException.ThrowIfNull(baseUrl);
        return new(baseUrl.AbsoluteUri.TrimEnd('/'), databaseId);
    }

    /// <summary>Reads stored text.</summary>
    public static UpstreamIdentity Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var end = text.IndexOf('#', StringComparison.Ordinal);
        return end < 0 ? new(text.TrimEnd('/'), null) : new(text[..end].TrimEnd('/'), text[(end + 1)..]);
    }

    /// <summary>True for the same URL and the same life of its database: their revs have one order.</summary>
    public bool IsSame(string? stored) => stored is not null && this == Parse(stored);

    /// <summary>True for the same URL, unless both name a life of its database and not the same one: equal revs mean equal documents.</summary>
    public bool CouldBeSame(string? stored)
    {
        if (stored is null)
        {
            return false;
        }

        var (url, databaseId) = Parse(stored);
        return Url == url && (DatabaseId is null || databaseId is null || DatabaseId == databaseId);
    }

    /// <summary>The text for a row.</summary>
    public override string ToString() => DatabaseId is null ? Url : $"{Url}#{DatabaseId}";
}
