using NpmMirror.Hosting;

namespace NpmMirror.Postgres;

/// <summary>PostgreSQL among the engines of a mirror.</summary>
public static class PostgresMirrors
{
    /// <summary>Adds the engine that keeps metadata in a PostgreSQL server.</summary>
    public static MirrorBuilder UsePostgres(this MirrorBuilder mirror) => mirror.AddEngine(new PostgresEngine());
}
