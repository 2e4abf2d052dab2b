using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Cli;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;

namespace NpmMirror.Tests.Cli;

/// <summary>The targets that a backup may replace, and its report of a damaged source; the way by hand.</summary>
public sealed class BackupTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Claim("A backup replaces only an earlier backup that the mirror's log continues",
        With = [nameof(A_file_that_is_no_readable_backup_is_not_replaced)],
        Red = "`BackupCommand` does not compare the earlier head: the first was red")]
    [Fact]
    public async Task A_backup_replaces_only_an_earlier_state_of_this_mirror()
    {
        await FillAsync("data", "a");
        File.Copy(_folder.File("data/npm-mirror.sqlite"), _folder.File("earlier/npm-mirror.sqlite"));
        await FillAsync("data", "b");
        await FillAsync("other", "c", "d", "e");
        Assert.Equal(0, (await BackUpAsync("data")).Code);

        var good = await File.ReadAllBytesAsync(_folder.File("copy/npm-mirror.sqlite"), Token);
        foreach (var data in (string[])["earlier", "other"])
        {
            var (code, errors) = await BackUpAsync(data);
            Assert.Equal(3, code);
            Assert.Contains("copy holds the backup of another mirror, or of a later state of this one", Assert.Single(errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
            Assert.Equal([_folder.File("copy/npm-mirror.sqlite")], Directory.EnumerateFileSystemEntries(_folder.File("copy")));
            Assert.Equal(good, await File.ReadAllBytesAsync(_folder.File("copy/npm-mirror.sqlite"), Token));
        }

        await FillAsync("data", "f");
        Assert.Equal(0, (await BackUpAsync("data")).Code);
        Assert.Equal(9, await PositionInAsync(_folder.File("copy/npm-mirror.sqlite")));
    }

    [Claim("`backup --json`",
        Red = "`backup` writes words in spite of `--json`, or `Backup` counts no tarball")]
    [Fact]
    public async Task Json_tells_the_copied_counts_and_the_target()
    {
        await FillAsync("data", "a");
        var hex = Convert.ToHexStringLower(SHA512.HashData("bytes"u8));
        await File.WriteAllTextAsync(_folder.File($"data/blobs/{hex[..2]}/{hex[2..4]}/{hex}"), "bytes", Token);
        var (code, output, _) = await CliProcess.RunAsync(_folder.Path, ["backup", "copy", "--json", $"--data={_folder.File("data")}"]);
        Assert.Equal(0, code);
        using var report = JsonDocument.Parse(output);
        Assert.Equal(_folder.File("copy"), report.RootElement.GetProperty("folder").GetString());
        Assert.Equal((1, 5), (report.RootElement.GetProperty("tarballsCopied").GetInt32(), report.RootElement.GetProperty("bytesCopied").GetInt64()));
        Assert.StartsWith("sqlite:", report.RootElement.GetProperty("location").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_no_readable_backup_is_not_replaced()
    {
        await FillAsync("data", "a");
        await File.WriteAllTextAsync(_folder.File("copy/npm-mirror.sqlite"), "precious", Token);
        var (code, errors) = await BackUpAsync("data");
        Assert.Equal(3, code);
        Assert.Contains("cannot be read as an earlier backup", errors, StringComparison.Ordinal);
        Assert.Equal("precious", await File.ReadAllTextAsync(_folder.File("copy/npm-mirror.sqlite"), Token));
    }

    [Claim("A backup of a damaged source tells which file is damaged",
        Red = "`SqliteFaults.IsDamage` is false")]
    [Fact]
    public async Task A_damaged_source_is_told_as_such()
    {
        await FillAsync("data", [.. Enumerable.Range(0, 200).Select(i => $"p{i}")]);
        await using (var file = File.OpenWrite(_folder.File("data/npm-mirror.sqlite")))
        {
            file.Position = file.Length / 2;
            await file.WriteAsync(new byte[file.Length / 2], Token);
        }

        var (code, errors) = await BackUpAsync("data");
        Assert.Equal(3, code);
        Assert.Contains($"{_folder.File("data/npm-mirror.sqlite")} is damaged", Assert.Single(errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    [Claim("The commands for a backup by hand work as they are documented, the first time and later",
        Red = "docs/storage.md copies the new database over the earlier one instead of moving it")]
    [Fact]
    public async Task The_commands_for_a_backup_by_hand_work_the_first_time_and_later()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(TestTools.Root, "docs/storage.md"), Token);
        var lines = page[page.IndexOf("By hand", StringComparison.Ordinal)..].Split('\n').SkipWhile(line => !line.StartsWith("    ", StringComparison.Ordinal)).TakeWhile(line => line.StartsWith("    ", StringComparison.Ordinal)).ToList();
        Assert.Equal("    npm-mirror serve --data=backup", lines[^1]);
        for (var run = 1; run <= 2; run++)
        {
            await FillAsync("npm-mirror-data", $"p{run}");
            await File.WriteAllTextAsync(_folder.File($"npm-mirror-data/blobs/a{run}/bc/tarball"), "bytes", Token);
            using var shell = Process.Start(new ProcessStartInfo("bash", ["-e", "-c", string.Join('\n', lines[..^1])]) { WorkingDirectory = _folder.Path })!;
            await shell.WaitForExitAsync(Token);
            Assert.Equal(0, shell.ExitCode);
            Assert.Equal(3 * run, await PositionInAsync(_folder.File("backup/npm-mirror.sqlite")));
            Assert.Equal(run, Directory.EnumerateFiles(_folder.File("backup/blobs"), "*", SearchOption.AllDirectories).Count());
            Assert.Equal(["backup/blobs", "backup/npm-mirror.sqlite"], Directory.EnumerateFileSystemEntries(_folder.File("backup")).Select(path => Path.GetRelativePath(_folder.Path, path)).Order());
        }
    }

    [Claim("A tarball that is stored while a backup runs is whole in the copy or absent from it",
        Red = "`Backup` copies the tarballs before the store")]
    [Fact]
    public async Task A_tarball_stored_during_a_backup_is_whole_in_the_copy_or_absent()
    {
        await using var store = new SqliteStore(_folder.File("data/npm-mirror.sqlite"), TimeProvider.System);
        await store.OpenAsync(Token);
        var blobs = new HookedBlobs(new FileBlobStore(_folder.File("data"), NullLogger<FileBlobStore>.Instance));
        await StoreTarballAsync(store, blobs, "before");
        blobs.AfterList = async _ => await StoreTarballAsync(store, blobs, "meanwhile");

        var target = new FileBlobStore(_folder.File("copy"), NullLogger<FileBlobStore>.Instance);
        Assert.Equal(1, (await new Backup(store, store.Backup, blobs, target, _folder.File("copy")).RunAsync(Token)).Copied);
        await using var copy = new SqliteStore(_folder.File("copy/npm-mirror.sqlite"), TimeProvider.System);
        await copy.OpenAsync(Token);
        Assert.NotNull(await copy.Tarballs.FindTarballAsync(PackageName.Parse("before"), "t.tgz", Token));
        foreach (var name in (string[])["before", "meanwhile"])
        {
            var row = await copy.Tarballs.FindTarballAsync(PackageName.Parse(name), "t.tgz", Token);
            Assert.True(row is null || await target.ExistsAsync(row.Sha512, Token), $"The copy knows the tarball of {name} and does not have it.");
        }
    }

    [Fact]
    public async Task A_mirror_that_holds_nothing_yet_is_copied_twice_and_led_on_from()
    {
        await using var store = new SqliteStore(_folder.File("data/npm-mirror.sqlite"), TimeProvider.System);
        await store.OpenAsync(Token);
        var blobs = new HookedBlobs(new FileBlobStore(_folder.File("data"), NullLogger<FileBlobStore>.Instance));
        using var target = new FileBlobStore(_folder.File("copy"), NullLogger<FileBlobStore>.Instance);
        var backup = new Backup(store, store.Backup, blobs, target, _folder.File("copy"));
        await backup.RunAsync(Token);
        Assert.Equal(0, await PositionInAsync(_folder.File("copy/npm-mirror.sqlite")));
        await StoreTarballAsync(store, blobs, "a");
        Assert.Equal((1, 1L), ((await backup.RunAsync(Token)).Copied, await CountTarballsAsync()));
        Assert.Equal(0, (await backup.RunAsync(Token)).Copied);

        async Task<long> CountTarballsAsync()
        {
            await using var copy = new SqliteStore(_folder.File("copy/npm-mirror.sqlite"), TimeProvider.System);
            await copy.OpenAsync(Token);
            return (await copy.CountAsync(Token)).Tarballs;
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_backup_omits_a_tarball_that_went_and_tells_of_one_that_was_cut(bool isGone)
    {
        await using var store = new SqliteStore(_folder.File("data/npm-mirror.sqlite"), TimeProvider.System);
        await store.OpenAsync(Token);
        var files = new FileBlobStore(_folder.File("data"), NullLogger<FileBlobStore>.Instance);
        var blobs = new HookedBlobs(files);
        await StoreTarballAsync(store, blobs, "a");
        var path = Directory.EnumerateFiles(_folder.File("data/blobs"), "*", SearchOption.AllDirectories).Single(file => Path.GetFileName(file).Length == 128);
        blobs.BeforeOpen = _ =>
        {
            if (isGone)
            {
                File.Delete(path);
            }
            else
            {
                File.WriteAllText(path, "cut");
            }

            return ValueTask.CompletedTask;
        };
        var backup = new Backup(store, store.Backup, blobs, new FileBlobStore(_folder.File("copy"), NullLogger<FileBlobStore>.Instance), _folder.File("copy"));
        if (isGone)
        {
            Assert.Equal((0, 0L), await backup.RunAsync(Token));
            return;
        }

        Assert.Contains("is damaged; the backup stopped there", (await Assert.ThrowsAsync<MirrorException>(() => backup.RunAsync(Token))).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.File("copy/npm-mirror.sqlite")));
    }

    [Claim("A backup ends and tells the tarball whose bytes end before their length",
        Red = "`Backup` reads on at the end of the bytes, for ever")]
    [Fact]
    public async Task A_backup_tells_of_a_tarball_that_ends_early()
    {
        await using var store = new SqliteStore(_folder.File("data/npm-mirror.sqlite"), TimeProvider.System);
        await store.OpenAsync(Token);
        var blobs = new HookedBlobs(new FileBlobStore(_folder.File("data"), NullLogger<FileBlobStore>.Instance)) { Opened = reader => new LongerReader(reader) };
        await StoreTarballAsync(store, blobs, "a");
        var backup = new Backup(store, store.Backup, blobs, new FileBlobStore(_folder.File("copy"), NullLogger<FileBlobStore>.Instance), _folder.File("copy"));
        Assert.Contains("is damaged; the backup stopped there", (await Assert.ThrowsAsync<MirrorException>(() => backup.RunAsync(Token).WaitAsync(TimeSpan.FromSeconds(60), Token))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_cannot_be_written_is_refused()
    {
        await FillAsync("data", "a");
        await File.WriteAllTextAsync(_folder.File("file"), "", Token);
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["backup", "file/copy", "--data=data"]);
        Assert.Equal(3, code);
        Assert.Contains("The folder file/copy cannot be written", Assert.Single(errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    private static async Task StoreTarballAsync(SqliteStore store, HookedBlobs blobs, string name)
    {
        await using var writer = await blobs.CreateAsync(Token);
        await writer.AppendAsync(Encoding.UTF8.GetBytes(name), Token);
        var row = new TarballRow { Package = PackageName.Parse(name), File = "t.tgz", Version = "1.0.0", State = TarballState.Held, Sha512 = await writer.CommitAsync(Token), SizeBytes = name.Length };
        Assert.True(await store.Tarballs.PutTarballAsync(row, Token));
    }

    private async Task FillAsync(string data, params string[] packages)
    {
        await using var store = new SqliteStore(_folder.File($"{data}/npm-mirror.sqlite"), TimeProvider.System);
        await store.OpenAsync(Token);
        await Task.WhenAll(packages.Select(name => store.Packages.CommitAsync(SecondProcess.Commit(name), Token).AsTask()));
    }

    private async Task<(int Code, string Errors)> BackUpAsync(string data)
    {
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["backup", "copy", $"--data={data}"]);
        return (code, errors);
    }

    private static async Task<long> PositionInAsync(string copy)
    {
        await using var store = new SqliteStore(copy, TimeProvider.System);
        return store.Backup.ReadHeadOf(copy).Position.Value;
    }

    /// <summary>Tells one byte more than there are, and begins with zeros: the missing byte is not made up.</summary>
    private sealed class LongerReader(BlobReader inner) : BlobReader
    {
        public override long LengthBytes => inner.LengthBytes + 1;

        public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var read = await inner.ReadAsync(offset, buffer, cancellationToken);
            buffer.Span[0] ^= (byte)read;
            return read;
        }

        public override ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
