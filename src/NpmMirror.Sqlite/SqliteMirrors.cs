using NpmMirror.Hosting;

namespace NpmMirror.Sqlite;

/// <summary>The embedded engine among the engines of a mirror.</summary>
public static class SqliteMirrors
{
    /// <summary>Adds the embedded engine, which is the default where the options name none.</summary>
    public static MirrorBuilder UseSqlite(this MirrorBuilder mirror) => mirror.AddEngine(new SqliteEngine());
}
