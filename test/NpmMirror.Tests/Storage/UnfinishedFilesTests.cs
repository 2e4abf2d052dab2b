using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

/// <summary>Many processes share the folder of unfinished files: each deletes files of dead ones, and none of living ones.</summary>
public sealed class UnfinishedFilesTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string Unfinished => _folder.File("unfinished");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_begun_file_stays_while_others_look_for_leftovers()
    {
        Directory.CreateDirectory(Unfinished);
        using var stop = new CancellationTokenSource();
        var others = Enumerable.Range(0, 2).Select(_ => Task.Run(
            () =>
            {
                using var other = Files();
                while (!stop.IsCancellationRequested)
                {
                    other.RemoveLeftovers(isDryRun: false);
                }
            },
            TestContext.Current.CancellationToken)).ToList();
        for (var i = 0; i < 300; i++)
        {
            using var own = Files();
            var path = own.NextPath();
            await File.WriteAllTextAsync(path, "living", TestContext.Current.CancellationToken);
            using var third = Files();
            third.RemoveLeftovers(isDryRun: false);
            Assert.True(File.Exists(path), $"At try {i} the file of a living process was taken away.");
            Assert.True(File.Exists(Path.Combine(Unfinished, Path.GetFileName(path).Split('-')[0] + ".owner")));
            File.Delete(path);
        }

        await stop.CancelAsync();
        await Task.WhenAll(others);
    }

    [Fact]
    public async Task Many_may_delete_files_of_dead_processes_at_once()
    {
        Directory.CreateDirectory(Unfinished);
        var removed = 0;
        for (var i = 0; i < 50; i++)
        {
            await File.WriteAllTextAsync(Path.Combine(Unfinished, $"dead{i}-1.part"), "half", TestContext.Current.CancellationToken);
        }

        await Parallel.ForEachAsync(Enumerable.Range(0, 4), TestContext.Current.CancellationToken, (_, _) =>
        {
            using var files = Files();
            Interlocked.Add(ref removed, files.RemoveLeftovers(isDryRun: false).Count);
            return ValueTask.CompletedTask;
        });
        Assert.InRange(removed, 50, 200);
        Assert.Empty(Directory.EnumerateFiles(Unfinished));
    }

    [Fact]
    public async Task A_dry_run_counts_files_of_dead_processes_and_deletes_none()
    {
        Directory.CreateDirectory(Unfinished);
        await File.WriteAllTextAsync(Path.Combine(Unfinished, "dead.owner"), "", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(Unfinished, "dead-1.part"), "half", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(Unfinished, "dead-2.part"), "longer", TestContext.Current.CancellationToken);
        using var files = Files();
        Assert.Equal(new UnfinishedBlobs(2, 10), files.RemoveLeftovers(isDryRun: true));
        Assert.Equal(3, Directory.EnumerateFiles(Unfinished).Count());
        Assert.Equal(new UnfinishedBlobs(2, 10), files.RemoveLeftovers(isDryRun: false));
        Assert.Empty(Directory.EnumerateFiles(Unfinished));
        Assert.Equal(default, files.RemoveLeftovers(isDryRun: false));
    }

    [Claim("A process keeps the mark of what it has begun, with each file that it begins after it and when its disk was away for a while",
        Red = "`UnfinishedFiles.NextPath` takes a new mark for each file, or while the folder is away: red each")]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task All_that_a_living_process_has_begun_stays(bool isAwayMeanwhile)
    {
        using var own = Files();
        var first = own.NextPath();
        await File.WriteAllTextAsync(first, "living", TestContext.Current.CancellationToken);
        if (isAwayMeanwhile)
        {
            Directory.Move(Unfinished, Unfinished + ".away");
            Assert.Throws<DirectoryNotFoundException>(own.NextPath);
            Directory.Move(Unfinished + ".away", Unfinished);
        }

        var second = own.NextPath();
        await File.WriteAllTextAsync(second, "living", TestContext.Current.CancellationToken);
        using var other = Files();
        foreach (var isDryRun in new[] { true, false })
        {
            Assert.Equal(default, other.RemoveLeftovers(isDryRun));
        }

        Assert.NotEqual(first, second);
        Assert.True(File.Exists(first) && File.Exists(second));
    }

    [Fact]
    public void Nothing_is_begun_after_the_end()
    {
        var files = Files();
        files.NextPath();
        files.Dispose();
        files.Dispose();
        Assert.Throws<ObjectDisposedException>(files.NextPath);
        Assert.Empty(Directory.EnumerateFiles(Unfinished));
    }

    [Theory]
    [InlineData(0, false, false)]
    [InlineData(1, false, true)]
    [InlineData(2, false, true)]
    [InlineData(2, true, false)]
    public async Task Only_a_takedown_is_logged(int left, bool isDryRun, bool isLogged)
    {
        Directory.CreateDirectory(Unfinished);
        for (var i = 0; i < left; i++)
        {
            await File.WriteAllTextAsync(Path.Combine(Unfinished, $"dead-{i}.part"), "half", TestContext.Current.CancellationToken);
        }

        var log = new CollectedLog();
        using var files = new UnfinishedFiles(Unfinished, new DurableFolders(_folder.Path), log.For<UnfinishedFilesTests>());
        files.RemoveLeftovers(isDryRun);
        Assert.Equal(isLogged ? 1 : 0, log.Lines.Count(line => line.Contains($"Removed {left} unfinished files", StringComparison.Ordinal)));
        Assert.Equal(isLogged ? 1 : 0, log.Lines.Count);
    }

    [Fact]
    public void A_folder_that_went_is_not_made_anew_however_often_it_is_asked_for()
    {
        using var files = Files();
        files.NextPath();
        Directory.Delete(Unfinished, recursive: true);
        for (var i = 0; i < 3; i++)
        {
            Assert.Throws<DirectoryNotFoundException>(files.NextPath);
        }

        Assert.False(Directory.Exists(Unfinished));
        Assert.Equal(default, files.RemoveLeftovers(isDryRun: false));
    }

    private UnfinishedFiles Files() => new(Unfinished, new DurableFolders(_folder.Path), NullLogger.Instance);
}
