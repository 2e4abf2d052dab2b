using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace NpmMirror.Tests;

/// <summary>
/// Ends the processes that tests started when the test program ends in any way. All children inherit a mark in their environment; a small shell waits until
/// the pipe from this process closes, which a kill -9 closes too, and then ends all that carry the mark.
/// </summary>
internal static class TestChildren
{
    /// <summary>The variable that marks them.</summary>
    internal const string Variable = "TEST_RUN_OF";

    // A signal from the terminal reaches the whole group, and this one has to be the last.
    private const string Script = """
        trap '' INT TERM HUP
        cat >/dev/null
        for file in $(grep -lsa -- "$1" /proc/[0-9]*/environ); do
          process=${file#/proc/}
          kill -9 "${process%/environ}" 2>/dev/null
        done
        """;

    // Held: the pipe closes with this process, and not before.
    private static Process? _reaper;

    /// <summary>The variables that children inherit even in a new environment: the mark, and others for a whole run.</summary>
    internal static IEnumerable<(string Name, string Value)> Inherited() =>
        from System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables()
        where ((string)variable.Key).StartsWith("TEST_", StringComparison.Ordinal)
        select ((string)variable.Key, (string)variable.Value!);

    [ModuleInitializer]
    internal static void Watch()
    {
        // A test program below another one is ended by that.
        if (Environment.GetEnvironmentVariable(Variable) is not null || !OperatingSystem.IsLinux())
        {
            return;
        }

        var mark = Guid.NewGuid().ToString("N");
        var start = new ProcessStartInfo("/bin/sh", ["-c", Script, "sh", $"{Variable}={mark}"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        _reaper = Process.Start(start);
        Environment.SetEnvironmentVariable(Variable, mark);
    }
}
