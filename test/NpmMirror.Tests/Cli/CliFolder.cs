namespace NpmMirror.Tests.Cli;

/// <summary>A temporary folder that goes with the test.</summary>
internal sealed class CliFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("npm-mirror-cli-").FullName;

    public string Write(string name, string text)
    {
        var path = System.IO.Path.Combine(Path, name);
        File.WriteAllText(path, text);
        return path;
    }

    public string Below(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
