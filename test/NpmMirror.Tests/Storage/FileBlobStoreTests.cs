using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

[Claim("The contract of blob stores holds for files and memory",
    With =
    [
        nameof(Gives_back_a_blob_under_its_sha512),
        $"{nameof(MemoryBlobStoreTests)}.{nameof(MemoryBlobStoreTests.Gives_back_a_blob_under_its_sha512)}",
        nameof(Gives_back_bytes_that_came_in_pieces_of_any_memory),
        $"{nameof(MemoryBlobStoreTests)}.{nameof(MemoryBlobStoreTests.Gives_back_bytes_that_came_in_pieces_of_any_memory)}",
    ],
    Red = "the file's writer writes, or its reader reads, at the beginning each time: the third was red; the one in memory keeps the whole buffer: the last")]
public sealed class FileBlobStoreTests : BlobStoreContract
{
    private readonly string _root = Directory.CreateTempSubdirectory("npm-mirror-blobs-").FullName;

    private string Unfinished => Path.Combine(_root, "blobs", "unfinished");

    protected override ValueTask<IBlobStore> CreateStoreAsync() => ValueTask.FromResult<IBlobStore>(new FileBlobStore(_root, NullLogger<FileBlobStore>.Instance));

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_root, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Claim("Blobs are named by their hash alone, never by package or version (never-again 18)",
        With = [$"{nameof(AspNetCore.TarballServingTests)}.{nameof(AspNetCore.TarballServingTests.Dots_name_no_file)}"],
        Red = "`FileBlobStore.PathOf` adds `.tgz`: the first was red")]
    [Fact]
    public async Task Names_files_by_their_hash_alone()
    {
        var hex = (await PutAsync("bytes")).Hex;
        Assert.Equal("bytes", await File.ReadAllTextAsync(Path.Combine(_root, "blobs", hex[..2], hex[2..4], hex), Cancelled));
        await using var blob = await Store.OpenAsync(Digest.FromHex(hex), Cancelled);
        Assert.Equal(Path.Combine(_root, "blobs", hex[..2], hex[2..4], hex), blob!.FilePath);
    }

    [Fact]
    public async Task Creates_and_lists_nothing_before_the_first_write()
    {
        Assert.Empty(await Store.ListAsync(Cancelled).ToListAsync(Cancelled));
        Assert.Empty(await Store.ListCondemnedAsync(Cancelled).ToListAsync(Cancelled));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_root));
    }

    [Claim("Nothing is visible or left before the commit",
        Red = "FileBlobWriter.DisposeAsync does not delete what was not published")]
    [Fact]
    public async Task Leaves_no_temporary_file()
    {
        await PutAsync("kept");
        await (await Store.CreateAsync(Cancelled)).DisposeAsync();
        Assert.Null(await Store.CheckWritableAsync(Cancelled));
        Assert.Empty(Directory.EnumerateFiles(Unfinished, "*.part"));
        ((IDisposable)Store).Dispose();
        Assert.Empty(Directory.EnumerateFiles(Unfinished));
    }

    [Claim("Blobs whose disk was away are written again when it is back, and never into its empty mount point",
        With = [nameof(Goes_on_when_its_disk_comes_back_as_it_was_before)],
        Red = "`DurableFolders` does not look whether a folder that it knows is there, or `UnfinishedFiles` whether its mark is: the second was red; it makes its folder anew: the first")]
    [Fact]
    public async Task Goes_on_when_its_disk_comes_back()
    {
        var before = await PutAsync("before");
        var blobs = Path.Combine(_root, "blobs");
        Directory.Move(blobs, blobs + ".away");
        Assert.Null(await Store.OpenAsync(before, Cancelled));
        foreach (var isMountPoint in new[] { false, true })
        {
            // An unmounted disk leaves an empty folder: files written there are lost when it is mounted again.
            var e = await Assert.ThrowsAsync<MirrorException>(async () => await Store.CreateAsync(Cancelled));
            Assert.Equal(MirrorFault.StoreReadOnly, e.Fault);
            Assert.Contains("mount its disk again", e.Message, StringComparison.Ordinal);
            Assert.NotNull(await Store.CheckWritableAsync(Cancelled));
            if (!isMountPoint)
            {
                Directory.CreateDirectory(blobs);
            }
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(blobs));
        Directory.Delete(blobs);
        Directory.Move(blobs + ".away", blobs);
        Assert.NotNull(await Store.OpenAsync(before, Cancelled));
        await PutAsync("after");
        Assert.Null(await Store.CheckWritableAsync(Cancelled));
    }

    [Fact]
    public async Task Goes_on_when_its_disk_comes_back_as_it_was_before()
    {
        var first = await PutAsync("one");
        var folder = Path.Combine(_root, "blobs", first.Hex[..2]);
        // An older state of the disk: folders that were made since are not there, nor is the mark of this process.
        Directory.Delete(folder, recursive: true);
        foreach (var mark in Directory.EnumerateFiles(Unfinished))
        {
            File.Delete(mark);
        }

        Assert.Equal(first, await PutAsync("one"));
        Assert.NotNull(await Store.OpenAsync(first, Cancelled));
        Assert.Equal([".owner"], Directory.EnumerateFiles(Unfinished).Select(Path.GetExtension));
    }

    [Claim("Several processes share the folder: leftovers of dead ones are deleted, work of live ones stays",
        Red = "the mark file is not locked (FileShare.ReadWrite), or RemoveLeftovers is not called")]
    [Fact]
    public async Task Deletes_files_of_a_dead_process_and_none_of_a_live_one()
    {
        // A dead process leaves its mark and its files; no lock is on the mark any more.
        Directory.CreateDirectory(Unfinished);
        await File.WriteAllTextAsync(Path.Combine(Unfinished, "dead.owner"), "", Cancelled);
        await File.WriteAllTextAsync(Path.Combine(Unfinished, "dead-1.part"), "half", Cancelled);
        await File.WriteAllTextAsync(Path.Combine(Unfinished, "unmarked-1.part"), "half", Cancelled);
        using var live = new FileBlobStore(_root, NullLogger<FileBlobStore>.Instance);
        await using var writer = await live.CreateAsync(Cancelled);
        await writer.AppendAsync("alive"u8.ToArray(), Cancelled);
        Assert.Equal([".owner", ".part"], Directory.EnumerateFiles(Unfinished).Select(Path.GetExtension).Order());

        await PutAsync("another process");
        Assert.Single(Directory.EnumerateFiles(Unfinished, "*.part"));
        Assert.Equal(HashOf("alive"), await writer.CommitAsync(Cancelled));
    }

    [Claim("A blob that the disk damaged is mended by the next download",
        With = [$"{nameof(Tarballs.TarballDownloadsTests)}.{nameof(Tarballs.TarballDownloadsTests.A_blob_that_was_cut_on_disk_is_fetched_again_and_mended)}"],
        Red = "Publish keeps an existing file, or OpenHeldAsync does not compare the length with the row's")]
    [Fact]
    public async Task Mends_a_blob_that_the_disk_damaged()
    {
        var hex = (await PutAsync("bytes")).Hex;
        var path = Path.Combine(_root, "blobs", hex[..2], hex[2..4], hex);
        await File.WriteAllTextAsync(path, "byt", Cancelled);
        await PutAsync("bytes");
        Assert.Equal("bytes", await File.ReadAllTextAsync(path, Cancelled));
    }

    [Fact]
    public async Task Lists_only_blobs()
    {
        await PutAsync("blob");
        await File.WriteAllTextAsync(Path.Combine(_root, "blobs", "README"), "not ours", Cancelled);
        await using var writer = await Store.CreateAsync(Cancelled);
        Assert.Single(await Store.ListAsync(Cancelled).ToListAsync(Cancelled));
    }

    [Fact]
    public async Task Lists_no_file_of_deeper_folders()
    {
        var kept = await PutAsync("blob");
        var hex = HashOf("aside").Hex;
        // A copy that an operator put aside is no blob: it cannot be found under its hash.
        var aside = Directory.CreateDirectory(Path.Combine(_root, "blobs", hex[..2], hex[2..4], "aside")).FullName;
        await File.WriteAllTextAsync(Path.Combine(aside, hex), "aside", Cancelled);
        Assert.Equal(kept, (await Store.ListAsync(Cancelled).SingleAsync(Cancelled)).Sha512);
    }

    [Fact]
    public async Task Lists_no_file_that_is_gone_when_its_turn_comes()
    {
        var folder = Directory.CreateDirectory(Path.Combine(_root, "blobs", "00", "00")).FullName;
        for (var i = 0; i < 10; i++)
        {
            await File.WriteAllTextAsync(Path.Combine(folder, $"{i}".PadLeft(128, '0')), "", Cancelled);
        }

        var seen = 0;
        await foreach (var blob in Store.ListAsync(Cancelled))
        {
            seen++;
            foreach (var file in Directory.EnumerateFiles(folder))
            {
                File.Delete(file);
            }
        }

        Assert.Equal(1, seen);
    }

    [Theory]
    [InlineData(127, 'a')]
    [InlineData(128, 'z')]
    [InlineData(128, 'A')]
    public async Task Files_with_other_names_are_no_blobs_and_not_condemned(int length, char first)
    {
        var name = first + new string('a', length - 1);
        var kept = await PutAsync("blob");
        var condemned = await Store.CondemnAsync(await PutAsync("gone"), Cancelled);
        await File.WriteAllTextAsync(Path.Combine(_root, "blobs", name), "", Cancelled);
        var folder = Path.GetDirectoryName(Directory.EnumerateFiles(_root, "*.condemned", SearchOption.AllDirectories).Single())!;
        await File.WriteAllTextAsync(Path.Combine(folder, name + ".condemned"), "", Cancelled);
        Assert.Equal(kept, (await Store.ListAsync(Cancelled).SingleAsync(Cancelled)).Sha512);
        Assert.Equal(condemned!.Info.Sha512, (await Store.ListCondemnedAsync(Cancelled).SingleAsync(Cancelled)).Info.Sha512);
    }

    [Fact]
    public async Task One_that_is_no_more_condemned_when_its_turn_comes_is_left_out()
    {
        await Store.CondemnAsync(await PutAsync("one"), Cancelled);
        await Store.CondemnAsync(await PutAsync("two"), Cancelled);
        var seen = 0;
        await foreach (var blob in Store.ListCondemnedAsync(Cancelled))
        {
            seen++;
            foreach (var file in Directory.EnumerateFiles(_root, "*.condemned", SearchOption.AllDirectories))
            {
                File.Delete(file);
            }
        }

        Assert.Equal(1, seen);
    }

    [Fact]
    public async Task Says_that_a_blob_cannot_be_put_in_its_place()
    {
        var hex = HashOf("bytes").Hex;
        Directory.CreateDirectory(Path.Combine(_root, "blobs", hex[..2], hex[2..4], hex));
        var failure = await Assert.ThrowsAsync<MirrorException>(() => PutAsync("bytes"));
        Assert.Contains(Path.Combine(_root, "blobs"), failure.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(Unfinished, "*.part"));
    }

    [Fact]
    public async Task A_temporary_file_that_cannot_be_removed_is_left()
    {
        var writer = await Store.CreateAsync(Cancelled);
        var path = Directory.EnumerateFiles(Unfinished, "*.part").Single();
        File.Delete(path);
        Directory.CreateDirectory(path);
        await writer.DisposeAsync();
        Assert.True(Directory.Exists(path));
    }

    [Claim("A full disk and a read-only folder: reads go on, the reason is one sentence, it recovers by itself",
        With = [nameof(Says_that_the_folder_is_read_only_and_still_reads)],
        Red = "FileTrouble.Explain does not know ENOSPC")]
    [Fact]
    public async Task Says_that_the_disk_is_full_and_goes_on_by_itself()
    {
        await using var disk = await SmallDisk.MountAsync(_root, "size=256k");
        var kept = await PutAsync("kept");
        await using var hog = await Store.CreateAsync(Cancelled);
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await FillAsync(hog));
        Assert.Equal((MirrorFault.StoreReadOnly, true), (failure.Fault, failure.IsTransient));
        Assert.Contains("full", await Store.CheckWritableAsync(Cancelled), StringComparison.Ordinal);
        Assert.True(await Store.ExistsAsync(kept, Cancelled));

        await hog.DisposeAsync();
        Assert.Null(await Store.CheckWritableAsync(Cancelled));
        await PutAsync("again");
    }

    [Fact]
    public async Task Says_that_the_folder_is_read_only_and_still_reads()
    {
        await using var disk = await SmallDisk.MountAsync(_root, "size=256k");
        var kept = await PutAsync("kept");
        ((IDisposable)Store).Dispose();
        await disk.RemountAsync("ro");
        using var store = new FileBlobStore(_root, NullLogger<FileBlobStore>.Instance);
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await store.CreateAsync(Cancelled));
        Assert.Equal((MirrorFault.StoreReadOnly, true), (failure.Fault, failure.IsTransient));
        Assert.Contains("cannot be written", await store.CheckWritableAsync(Cancelled), StringComparison.Ordinal);
        await using (var blob = await store.OpenAsync(kept, Cancelled))
        {
            Assert.Equal(4, blob!.LengthBytes);
        }

        await disk.RemountAsync("rw");
        Assert.Null(await store.CheckWritableAsync(Cancelled));
    }

    private static async Task FillAsync(BlobWriter writer)
    {
        // Four times the disk.
        for (var i = 0; i < 16; i++)
        {
            await writer.AppendAsync(new byte[64 * 1024], Cancelled);
        }
    }

    /// <summary>A file system of a few pages over a folder: the only honest way to a full disk.</summary>
    private sealed class SmallDisk(string folder) : IAsyncDisposable
    {
        public static async Task<SmallDisk> MountAsync(string folder, string options)
        {
            Assert.SkipUnless(OperatingSystem.IsLinux() && await RunAsync("mount", "-t", "tmpfs", "-o", options, "none", folder), "A small disk needs the right to mount tmpfs (root).");
            return new SmallDisk(folder);
        }

        public async Task RemountAsync(string mode) => Assert.True(await RunAsync("mount", "-o", $"remount,{mode}", folder));

        public async ValueTask DisposeAsync() => await RunAsync("umount", "-l", folder);

        private static async Task<bool> RunAsync(string program, params string[] arguments)
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            await process.WaitForExitAsync(CancellationToken.None);
            return process.ExitCode == 0;
        }
    }
}
