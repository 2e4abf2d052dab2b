using System.Diagnostics;

namespace NpmMirror.NpmSettings;

/// <summary>Where npm would look for its configuration: environment, folders, and npm itself.</summary>
internal sealed record NpmSurroundings
{
    private const int AnswerMaxChars = 64 * 1024;

    /// <summary>A variable of the environment, or null; names as written.</summary>
    public required Func<string, string?> Variable { get; init; }

    /// <summary>All names of the environment.</summary>
    public required IReadOnlyList<string> VariableNames { get; init; }

    /// <summary>The user's folder, in which <c>.npmrc</c> lies.</summary>
    public required string HomeFolder { get; init; }

    /// <summary>The folder under which npm is installed, in which <c>etc/npmrc</c> lies; null when unknown.</summary>
    public string? Prefix { get; init; }

    /// <summary>Asks npm for a setting; null when npm is not there.</summary>
    public required Func<string, CancellationToken, Task<string?>> AskNpmAsync { get; init; }

    /// <summary>Those of this process.</summary>
    public static NpmSurroundings OfThisProcess(TimeProvider time)
    {
        var names = Environment.GetEnvironmentVariables().Keys.Cast<string>().ToList();
        return new NpmSurroundings
        {
            Variable = Environment.GetEnvironmentVariable,
            VariableNames = names,
            HomeFolder = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile),
            Prefix = FindPrefix(Environment.GetEnvironmentVariable),
            AskNpmAsync = (setting, cancellationToken) => AskAsync(OperatingSystem.IsWindows() ? "npm.cmd" : "npm", setting, TimeSpan.FromSeconds(30), time, cancellationToken),
        };
    }

    internal static async Task<string?> AskAsync(string npm, string setting, TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(npm, ["config", "get", setting])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            // Not the folder we were started in: a project's own .npmrc is not this mirror's configuration.
            WorkingDirectory = Path.GetTempPath(),
        };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Exception exception) when (exception is System.ComponentModel.Win32Exception or FileNotFoundException)
        {
            return null;
        }

        using (process)
        using (var deadline = new CancellationTokenSource(timeout, time))
        using (var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken))
        {
            try
            {
                process.StandardInput.Close();
                process.ErrorDataReceived += static (_, _) => { };
                process.BeginErrorReadLine();
                var answer = new char[AnswerMaxChars];
                var length = await process.StandardOutput.ReadBlockAsync(answer, either.Token);
                await process.WaitForExitAsync(either.Token);
                return process.ExitCode == 0 ? new string(answer, 0, length).Trim() : null;
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                cancellationToken.ThrowIfCancellationRequested();
                throw new MirrorException(MirrorFault.Configuration, $"`npm config get {setting}` did not answer within {timeout.TotalSeconds:0} s; give --upstream URL.");
            }
        }
    }

    /// <summary>As npm finds it: the folder above the one that node lies in.</summary>
    private static string? FindPrefix(Func<string, string?> variable)
    {
        foreach (var folder in (variable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            var node = Path.Combine(folder, OperatingSystem.IsWindows() ? "node.exe" : "node");
            if (File.Exists(node))
            {
                var file = File.ResolveLinkTarget(node, returnFinalTarget: true)?.FullName ?? node;
                var bin = new DirectoryInfo(Path.GetDirectoryName(file)!);
                bin = bin.ResolveLinkTarget(returnFinalTarget: true) as DirectoryInfo ?? bin;
                return OperatingSystem.IsWindows() ? bin.FullName : bin.Parent?.FullName;
            }
        }

        return null;
    }
}
