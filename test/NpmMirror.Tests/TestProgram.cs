using System.Runtime.InteropServices;

namespace NpmMirror.Tests;

/// <summary>The program that tests start: the native one that <c>test.sh</c> has just built and names, else the one that was built together with the tests.</summary>
internal static class TestProgram
{
    private static readonly string? Native = Environment.GetEnvironmentVariable("NPM_MIRROR_TEST_PROGRAM") is { Length: > 0 } path ? path : null;

    /// <summary>The command line that runs it on the .NET runtime, with the runtime's own host and not the one of the PATH that a test gives the program.</summary>
    public static IReadOnlyList<string> Managed { get; } =
        [Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../../dotnet")), Path.Combine(AppContext.BaseDirectory, "npm-mirror.dll")];

    /// <summary>The command line that runs it.</summary>
    public static IReadOnlyList<string> Command { get; } = Native is null ? Managed : [Native];

    /// <summary>Whether it is native.</summary>
    public static bool IsNative => Native is not null;
}
