using System.Globalization;

namespace NpmMirror.Tests.Postgres;

/// <summary>The programs of one version of PostgreSQL. The programs that only ask a server are always the system's.</summary>
/// <param name="Folder">Where they are.</param>
/// <param name="Libraries">The folder of their libraries, where that is none of the system's.</param>
internal sealed record PostgresPrograms(string Folder, string? Libraries = null)
{
    // Names the folder of others than Debian's newest.
    private const string Variable = "TEST_POSTGRES";
    private const string Debian = "/usr/lib/postgresql";

    /// <summary>Those of the system; null if there are none.</summary>
    internal static PostgresPrograms? OfTheSystem { get; } = FindOfTheSystem();

    /// <summary>Those of PostgreSQL 18, which ./test.sh installs; null if they are not there.</summary>
    internal static PostgresPrograms? OfVersion18 { get; } = TestTools.Has("postgres-18") ? Beside(TestTools.Command("postgres-18")[0]) : null;

    internal string Path(string program) => System.IO.Path.Combine(Folder, program);

    /// <summary>What the programs run with.</summary>
    internal Dictionary<string, string> Environment()
    {
        var environment = Usual();
        if (Libraries is not null)
        {
            environment["LD_LIBRARY_PATH"] = Libraries;
        }

        return environment;
    }

    internal static Dictionary<string, string> Usual() => new() { ["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin", ["LC_ALL"] = "C.UTF-8" };

    private static PostgresPrograms Beside(string postgres)
    {
        var folder = System.IO.Path.GetDirectoryName(postgres)!;
        return new PostgresPrograms(folder, System.IO.Path.Combine(folder, "../lib"));
    }

    // Debian keeps each version's programs apart from PATH.
    private static PostgresPrograms? FindOfTheSystem()
    {
        if (System.Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
        {
            return new PostgresPrograms(named);
        }

        var versions = Directory.Exists(Debian) ? Directory.GetDirectories(Debian).OrderByDescending(folder => int.TryParse(System.IO.Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var version) ? version : 0).Select(folder => System.IO.Path.Combine(folder, "bin")) : [];
        return versions.Concat((System.Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator)).FirstOrDefault(folder => File.Exists(System.IO.Path.Combine(folder, "initdb"))) is { } found ? new PostgresPrograms(found) : null;
    }
}
