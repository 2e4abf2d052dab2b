using NpmMirror.Hosting;

namespace NpmMirror.Search;

/// <summary>Adds search to a mirror.</summary>
public static class SearchMirrors
{
    /// <summary>Keeps a search index of the packages held, in <c>search.db</c> of the data folder, whatever engine holds them.</summary>
    public static MirrorBuilder UseSqliteSearch(this MirrorBuilder mirror)
    {
        ArgumentNullException.ThrowIfNull(mirror);
        return mirror.UseSearch((dataFolder, time) => new SqliteSearchIndex(dataFolder, time));
    }
}
