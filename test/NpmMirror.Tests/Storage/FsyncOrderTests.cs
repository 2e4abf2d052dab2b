using System.Text.RegularExpressions;
using NpmMirror.Testing;
using NpmMirror.Tests.Cli;

namespace NpmMirror.Tests.Storage;

/// <summary>
/// kill -9 cannot show the order in which the program asks the kernel to make blobs durable. The system calls of a real
/// <c>sync</c> are read back from strace.
/// </summary>
public sealed partial class FsyncOrderTests
{
    private const int Packages = 8;

    // -y writes the path after each descriptor; -s keeps paths whole. The log's file comes last.
    private static readonly string[] Strace =
        ["strace", "-f", "-y", "-s", "4096", "-e", "trace=mkdir,mkdirat,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat", "-e", "signal=none", "-o"];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("Each blob's file is synced after its last byte and before its rename, and its folder after the rename",
        Red = "FileBlobWriter.CommitAsync does not flush the file, or FileBlobStore.Publish does not sync the folder")]
    [Trait("Duration", "long")]
    [Fact]
    public async Task Every_blob_is_synced_before_its_rename_and_its_folder_after()
    {
        Assert.SkipUnless(TestTools.Has("strace"), TestTools.Missing("strace"));
        using var folder = new TestFolder();
        var calls = await TraceSyncAsync(folder.Path);
        var renames = calls.Where(call => call.Name.StartsWith("rename", StringComparison.Ordinal) && call.Paths.Count == 2 && call.Paths[0].EndsWith(".part", StringComparison.Ordinal)).ToList();
        Assert.Equal(Packages, renames.Count);
        foreach (var rename in renames)
        {
            var (file, blob) = (rename.Paths[0], rename.Paths[1]);
            var written = calls.Where(call => call.Name == "pwrite64" && call.IsOn(file)).ToList();
            Assert.NotEmpty(written);
            Assert.True(
                calls.Any(call => IsSync(call) && call.IsOn(file) && call.BeganAt > written.Max(write => write.EndedAt) && call.EndedAt < rename.BeganAt),
                $"{file} was not synced between its last byte and its rename.");
            Assert.True(
                calls.Any(call => IsSync(call) && call.IsOn(Path.GetDirectoryName(blob)!) && call.BeganAt > rename.EndedAt),
                $"The folder of {blob} was not synced after the rename.");
        }
    }

    [Claim("New folders of blobs are synced into their parents before a blob is put there",
        Red = "DurableFolders.Create does not sync the parent")]
    [Trait("Duration", "long")]
    [Fact]
    public async Task A_new_folder_of_blobs_is_synced_in_its_parent_before_it_gets_a_blob()
    {
        Assert.SkipUnless(TestTools.Has("strace"), TestTools.Missing("strace"));
        using var folder = new TestFolder();
        var calls = await TraceSyncAsync(folder.Path);
        var blobs = Path.Combine(folder.Path, "data", "blobs");
        var made = calls.Where(call => call.Name.StartsWith("mkdir", StringComparison.Ordinal) && call.Paths[0].StartsWith(blobs, StringComparison.Ordinal) && !call.Paths[0].EndsWith("unfinished", StringComparison.Ordinal)).ToList();
        // The root, and two levels for each blob.
        Assert.InRange(made.Count, 1 + Packages, 1 + (2 * Packages));
        foreach (var mkdir in made)
        {
            var first = calls.First(call => call.Name.StartsWith("rename", StringComparison.Ordinal) && call.Paths.Count == 2 && call.Paths[1].StartsWith(mkdir.Paths[0], StringComparison.Ordinal));
            Assert.True(
                calls.Any(call => IsSync(call) && call.IsOn(Path.GetDirectoryName(mkdir.Paths[0])!) && call.BeganAt > mkdir.EndedAt && call.EndedAt < first.BeganAt),
                $"{mkdir.Paths[0]} was not synced into its parent before its first blob.");
        }
    }

    [Claim("A folder of blobs that is there already is synced into its parent all the same: another may have made it and died before that",
        Red = "`DurableFolders.Create` leaves out folders that exist, or syncs new ones only: red each")]
    [Fact]
    public async Task A_folder_that_another_made_is_synced_before_it_gets_a_blob()
    {
        Assert.SkipUnless(TestTools.Has("strace"), TestTools.Missing("strace"));
        using var folder = new TestFolder();
        await SyncAsync(folder.Path, []);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(folder.Path, "data"), "*", SearchOption.AllDirectories))
        {
            File.Delete(file);
        }

        var calls = await TraceSyncAsync(folder.Path);
        var renames = calls.Where(call => call.Name.StartsWith("rename", StringComparison.Ordinal) && call.Paths.Count == 2 && call.Paths[0].EndsWith(".part", StringComparison.Ordinal)).ToList();
        Assert.Equal(Packages, renames.Count);
        foreach (var rename in renames)
        {
            var inner = Path.GetDirectoryName(Path.GetDirectoryName(rename.Paths[1]))!;
            Assert.All([inner, Path.GetDirectoryName(inner)!], above => Assert.Contains(calls, call => IsSync(call) && call.IsOn(above) && call.EndedAt < rename.BeganAt));
        }
    }

    [Claim("A backup's database is synced before its rename, and its folder after",
        Red = "`SqliteBackup` does not flush the file, or does not sync the folder; `Backup` does not sync it after its rename")]
    [Trait("Duration", "long")]
    [Fact]
    public async Task A_backup_is_synced_before_its_rename_and_its_folder_after()
    {
        Assert.SkipUnless(TestTools.Has("strace"), TestTools.Missing("strace"));
        using var folder = new TestFolder();
        await SyncAsync(folder.Path, []);
        var log = Path.Combine(folder.Path, "backup.log");
        var copy = Path.Combine(folder.Path, "copy");
        await RunAsync([.. Strace, log], folder.Path, ["backup", copy, $"--data={Path.Combine(folder.Path, "data")}"]);
        var calls = SystemCall.ReadAll(await File.ReadAllLinesAsync(log, Cancelled));
        var renames = calls.Where(call => call.Name.StartsWith("rename", StringComparison.Ordinal) && call.Paths.Count == 2 && call.Paths[1].StartsWith(Path.Combine(copy, "npm-mirror"), StringComparison.Ordinal)).ToList();
        Assert.Equal(["npm-mirror.sqlite.next", "npm-mirror.sqlite"], renames.Select(rename => Path.GetFileName(rename.Paths[1])));
        var written = calls.Where(call => call.Name == "pwrite64" && call.IsOn(renames[0].Paths[0])).ToList();
        // The folder of tarballs comes later, and is synced into the same folder.
        var blobs = calls.First(call => call.Name.StartsWith("mkdir", StringComparison.Ordinal) && call.Paths[0].StartsWith(Path.Combine(copy, "blobs"), StringComparison.Ordinal));
        Assert.Contains(calls, call => IsSync(call) && call.IsOn(renames[0].Paths[0]) && call.BeganAt > written.Max(write => write.EndedAt) && call.EndedAt < renames[0].BeganAt);
        Assert.Contains(calls, call => IsSync(call) && call.IsOn(copy) && call.BeganAt > renames[0].EndedAt && call.EndedAt < blobs.BeganAt);
        Assert.Contains(calls, call => IsSync(call) && call.IsOn(copy) && call.BeganAt > renames[1].EndedAt);
    }

    private static bool IsSync(SystemCall call) => call.Name is "fsync" or "fdatasync";

    private static async Task<List<SystemCall>> TraceSyncAsync(string folder)
    {
        var log = Path.Combine(folder, "strace.log");
        await SyncAsync(folder, [.. Strace, log]);
        return SystemCall.ReadAll(await File.ReadAllLinesAsync(log, Cancelled));
    }

    /// <summary>Mirrors some packages into the folder's <c>data</c>.</summary>
    private static async Task SyncAsync(string folder, string[] below)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        for (var i = 0; i < Packages; i++)
        {
            registry.Publish(new FakePackage($"package-{i}").Version("1.0.0", version => version.PaddingBytes = 100_000));
        }

        await RunAsync(below, folder, ["sync", $"--upstream={registry.Url}", $"--feed={registry.FeedUrl}", $"--data={Path.Combine(folder, "data")}", "--metadata=all", "--tarballs=eager"]);
    }

    private static async Task RunAsync(string[] below, string folder, string[] arguments)
    {
        await using var process = below is [] ? CliProcess.Start(folder, arguments) : CliProcess.StartBelow(below, folder, arguments);
        var code = await process.WaitForExitAsync(seconds: 180);
        Assert.True(code == 0, $"{arguments[0]} ended with {code}\n{process.Output}\n{process.Errors}");
    }

    /// <summary>A system call: two lines where another thread came in between, so it has a begin and an end.</summary>
    private sealed partial record SystemCall(string Name, IReadOnlyList<string> Paths, string? Descriptor, int BeganAt, int EndedAt)
    {
        public bool IsOn(string path) => Descriptor == path;

        /// <summary>The calls that succeeded, by their end.</summary>
        public static List<SystemCall> ReadAll(string[] lines)
        {
            var calls = new List<SystemCall>();
            var begun = new Dictionary<string, (string Text, int At)>(StringComparer.Ordinal);
            for (var at = 0; at < lines.Length; at++)
            {
                if (Line().Match(lines[at]) is not { Success: true } line)
                {
                    continue;
                }

                var (thread, text, beganAt) = (line.Groups["thread"].Value, line.Groups["text"].Value, at);
                if (text.EndsWith("<unfinished ...>", StringComparison.Ordinal))
                {
                    begun[thread] = (text[..^"<unfinished ...>".Length], at);
                    continue;
                }

                if (Resumed().Match(text) is { Success: true } resumed)
                {
                    (var start, beganAt) = begun[thread];
                    text = start + text[resumed.Length..];
                }

                if (Call().Match(text) is { Success: true } call)
                {
                    var arguments = call.Groups["arguments"].Value;
                    // The bytes that are written are no paths.
                    var paths = call.Groups["name"].Value == "pwrite64" ? [] : Quoted().Matches(arguments).Select(match => match.Groups["path"].Value).ToList();
                    calls.Add(new SystemCall(call.Groups["name"].Value, paths, First().Match(arguments) is { Success: true } first ? first.Groups["path"].Value : null, beganAt, at));
                }
            }

            return calls;
        }

        [GeneratedRegex(@"^(?<thread>\d+) +(?<text>.+)$")]
        private static partial Regex Line();

        [GeneratedRegex(@"^<\.\.\. \w+ resumed>")]
        private static partial Regex Resumed();

        [GeneratedRegex(@"^(?<name>\w+)\((?<arguments>.*)\)\s+= \d+", RegexOptions.Singleline)]
        private static partial Regex Call();

        [GeneratedRegex("\"(?<path>/[^\"]*)\"")]
        private static partial Regex Quoted();

        [GeneratedRegex(@"^\d+<(?<path>[^>]*)>")]
        private static partial Regex First();
    }
}
