namespace NpmMirror.Tests.Cli;

/// <summary>A folder without a mirror, as when a disk is not mounted: commands for held packages say so and make nothing.</summary>
public sealed class NoMirrorTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Claim("Commands for held packages make nothing without a mirror, as on a disk that is not mounted, and say so, exit 3; no good backup is replaced by an empty one",
        Red = "`RequireExistingStore` looks for the folder, not for the store")]
    [Theory]
    [InlineData("status")]
    [InlineData("verify")]
    [InlineData("verify", "--repair")]
    [InlineData("removed")]
    [InlineData("gc", "--delete")]
    [InlineData("reconcile")]
    [InlineData("backup", "copy")]
    public async Task A_command_for_held_packages_refuses_an_empty_folder(params string[] arguments)
    {
        var data = _folder.Folder("unmounted");
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, [.. arguments, "--data=unmounted", "--upstream=http://127.0.0.1:9/"]);
        Assert.Equal((3, ""), (code, output));
        Assert.Equal($"There is no mirror in {data}, no npm-mirror.sqlite; see that its disk is mounted, name its folder with data, or let npm-mirror serve make one.\n", errors);
        Assert.Equal([data], Directory.EnumerateFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories));
    }
}
