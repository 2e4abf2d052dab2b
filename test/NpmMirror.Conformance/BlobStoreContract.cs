using System.Security.Cryptography;
using System.Text;
using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

/// <summary>The contract of every <see cref="IBlobStore"/>, as tests. Derive from it, name your engine, and its tests are there.</summary>
public abstract class BlobStoreContract : IAsyncLifetime
{
    private IBlobStore? _store;

    /// <summary>The store under test, empty at first.</summary>
    protected IBlobStore Store => _store ?? throw new InvalidOperationException("The store is created before each test.");

    /// <summary>Ends a test that hangs.</summary>
    protected static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>Creates an empty store, different for each test.</summary>
    protected abstract ValueTask<IBlobStore> CreateStoreAsync();

    /// <inheritdoc/>
    public virtual async ValueTask InitializeAsync() => _store = await CreateStoreAsync();

    /// <inheritdoc/>
    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_store is IAsyncDisposable waits)
        {
            await waits.DisposeAsync();
        }
        else
        {
            (_store as IDisposable)?.Dispose();
        }
    }

    [Fact]
    public async Task Gives_back_a_blob_under_its_sha512()
    {
        var sha512 = await PutAsync("left-pad");
        Assert.Equal(HashOf("left-pad"), sha512);
        Assert.Equal("left-pad", await ReadAllAsync(sha512));
        Assert.True(await Store.ExistsAsync(sha512, Cancelled));
    }

    [Fact]
    public async Task Gives_back_bytes_that_came_in_pieces_of_any_memory()
    {
        var text = string.Concat(Enumerable.Range(0, 1_000));
        await using var writer = await Store.CreateAsync(Cancelled);
        foreach (var piece in text.Chunk(7))
        {
            await writer.AppendAsync(Encoding.UTF8.GetBytes(piece), Cancelled);
        }

        var sha512 = await writer.CommitAsync(Cancelled);
        Assert.Equal(HashOf(text), sha512);
        Assert.Equal(text, await ReadAllAsync(sha512));
        await using var blob = await Store.OpenAsync(sha512, Cancelled);
        Assert.Equal(text.Length, blob!.LengthBytes);
        var buffer = new byte[100];
        foreach (var offset in new[] { 0, 1_001, text.Length - 40 })
        {
            var read = await blob.ReadAsync(offset, buffer, Cancelled);
            Assert.Equal(text[offset..Math.Min(offset + 100, text.Length)], Encoding.UTF8.GetString(buffer, 0, read));
        }

        Assert.Equal(0, await blob.ReadAsync(text.Length, buffer, Cancelled));
    }

    [Fact]
    public async Task Has_nothing_under_an_unknown_hash()
    {
        Assert.Null(await Store.OpenAsync(HashOf("unknown"), Cancelled));
        Assert.False(await Store.ExistsAsync(HashOf("unknown"), Cancelled));
        Assert.Null(await Store.CondemnAsync(HashOf("unknown"), Cancelled));
    }

    [Fact]
    public async Task Holds_an_empty_blob()
    {
        var sha512 = await PutAsync("");
        await using var blob = await Store.OpenAsync(sha512, Cancelled);
        Assert.Equal(0, blob!.LengthBytes);
        Assert.Equal(0, await blob.ReadAsync(0, new byte[1], Cancelled));
    }

    [Fact]
    public async Task Shows_nothing_before_the_commit()
    {
        await using var writer = await Store.CreateAsync(Cancelled);
        await writer.AppendAsync("half"u8.ToArray(), Cancelled);
        Assert.False(await Store.ExistsAsync(HashOf("half"), Cancelled));
        Assert.Empty(await ListAsync());
    }

    [Fact]
    public async Task Throws_away_uncommitted_bytes()
    {
        await using (var writer = await Store.CreateAsync(Cancelled))
        {
            await writer.AppendAsync("dropped"u8.ToArray(), Cancelled);
        }

        Assert.False(await Store.ExistsAsync(HashOf("dropped"), Cancelled));
        Assert.Empty(await ListAsync());
    }

    [Fact]
    public async Task Lets_others_read_the_bytes_written_so_far()
    {
        await using var writer = await Store.CreateAsync(Cancelled);
        await writer.AppendAsync("first,"u8.ToArray(), Cancelled);
        var buffer = new byte[100];
        Assert.Equal(6, await writer.ReadAsync(0, buffer, Cancelled));
        Assert.Equal(0, await writer.ReadAsync(6, buffer, Cancelled));
        await writer.AppendAsync("second"u8.ToArray(), Cancelled);
        Assert.Equal(12, writer.LengthBytes);
        Assert.Equal(6, await writer.ReadAsync(6, buffer, Cancelled));
        Assert.Equal("second", Encoding.UTF8.GetString(buffer, 0, 6));
    }

    [Fact]
    public async Task Lets_readers_of_the_writer_go_on_after_the_commit()
    {
        await using var writer = await Store.CreateAsync(Cancelled);
        await writer.AppendAsync("whole"u8.ToArray(), Cancelled);
        await writer.CommitAsync(Cancelled);
        var buffer = new byte[100];
        Assert.Equal(4, await writer.ReadAsync(1, buffer, Cancelled));
        Assert.Equal("hole", Encoding.UTF8.GetString(buffer, 0, 4));
        Assert.Equal("whole", await ReadAllAsync(HashOf("whole")));
    }

    [Fact]
    public async Task Tells_the_hash_at_any_time_without_disturbing_it()
    {
        await using var writer = await Store.CreateAsync(Cancelled);
        Assert.Equal(HashOf(""), writer.ComputeSha512());
        await writer.AppendAsync("ab"u8.ToArray(), Cancelled);
        Assert.Equal(HashOf("ab"), writer.ComputeSha512());
        await writer.AppendAsync("c"u8.ToArray(), Cancelled);
        Assert.Equal(HashOf("abc"), writer.ComputeSha512());
        Assert.Equal(HashOf("abc"), await writer.CommitAsync(Cancelled));
    }

    [Fact]
    public async Task Reads_from_any_offset()
    {
        var sha512 = await PutAsync("0123456789");
        await using var blob = await Store.OpenAsync(sha512, Cancelled);
        var buffer = new byte[4];
        Assert.Equal(10, blob!.LengthBytes);
        Assert.Equal(4, await blob.ReadAsync(3, buffer, Cancelled));
        Assert.Equal("3456", Encoding.UTF8.GetString(buffer));
        Assert.Equal(2, await blob.ReadAsync(8, buffer, Cancelled));
        Assert.Equal(0, await blob.ReadAsync(10, buffer, Cancelled));
        Assert.Equal(0, await blob.ReadAsync(11, buffer, Cancelled));
    }

    [Fact]
    public async Task Takes_the_same_bytes_twice_also_while_they_are_read()
    {
        var sha512 = await PutAsync("twice");
        await using var open = await Store.OpenAsync(sha512, Cancelled);
        Assert.Equal(sha512, await PutAsync("twice"));
        var buffer = new byte[5];
        Assert.Equal(5, await open!.ReadAsync(0, buffer, Cancelled));
        Assert.Equal("twice", Encoding.UTF8.GetString(buffer));
        Assert.Single(await ListAsync());
    }

    [Fact]
    public async Task Takes_the_same_bytes_from_many_writers_at_once()
    {
        var written = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => PutAsync("crowd"))));
        Assert.All(written, sha512 => Assert.Equal(HashOf("crowd"), sha512));
        Assert.Equal("crowd", await ReadAllAsync(written[0]));
        Assert.Single(await ListAsync());
    }

    [Fact]
    public async Task Takes_a_condemned_blob_out_of_sight_and_deletes_it()
    {
        var sha512 = await PutAsync("gone");
        await using var open = await Store.OpenAsync(sha512, Cancelled);
        var condemned = await Store.CondemnAsync(sha512, Cancelled);
        Assert.Equal((sha512, 4L), (condemned!.Info.Sha512, condemned.Info.SizeBytes));
        Assert.False(await Store.ExistsAsync(sha512, Cancelled));
        Assert.Null(await Store.OpenAsync(sha512, Cancelled));
        Assert.Null(await Store.CondemnAsync(sha512, Cancelled));
        Assert.Empty(await ListAsync());
        Assert.Equal(sha512, (await Store.ListCondemnedAsync(Cancelled).SingleAsync(Cancelled)).Info.Sha512);
        Assert.Equal(4, await open!.ReadAsync(0, new byte[10], Cancelled));

        await condemned.DeleteAsync(Cancelled);
        Assert.False(await Store.ExistsAsync(sha512, Cancelled));
        Assert.Empty(await Store.ListCondemnedAsync(Cancelled).ToListAsync(Cancelled));
        Assert.Equal(sha512, await PutAsync("gone"));
    }

    [Fact]
    public async Task Restores_a_condemned_blob()
    {
        var sha512 = await PutAsync("needed");
        var before = (await ListAsync()).Single();
        await (await Store.CondemnAsync(sha512, Cancelled))!.RestoreAsync(Cancelled);
        Assert.Equal("needed", await ReadAllAsync(sha512));
        Assert.Equal(before, (await ListAsync()).Single());
        Assert.Empty(await Store.ListCondemnedAsync(Cancelled).ToListAsync(Cancelled));
    }

    [Fact]
    public async Task Keeps_bytes_stored_anew_when_a_condemned_blob_goes_or_returns()
    {
        var sha512 = await PutAsync("twice");
        var first = await Store.CondemnAsync(sha512, Cancelled);
        await PutAsync("twice");
        await first!.RestoreAsync(Cancelled);
        Assert.Equal("twice", await ReadAllAsync(sha512));
        Assert.Empty(await Store.ListCondemnedAsync(Cancelled).ToListAsync(Cancelled));

        var second = await Store.CondemnAsync(sha512, Cancelled);
        await PutAsync("twice");
        await second!.DeleteAsync(Cancelled);
        Assert.Equal("twice", await ReadAllAsync(sha512));
    }

    [Fact]
    public async Task Counts_nothing_of_a_living_process_as_unfinished()
    {
        await using var writer = await Store.CreateAsync(Cancelled);
        await writer.AppendAsync("half"u8.ToArray(), Cancelled);
        Assert.Equal(default, await Store.RemoveUnfinishedAsync(isDryRun: true, Cancelled));
        Assert.Equal(default, await Store.RemoveUnfinishedAsync(isDryRun: false, Cancelled));
        Assert.Equal(HashOf("half"), await writer.CommitAsync(Cancelled));
    }

    [Fact]
    public async Task Lists_every_blob_with_its_size()
    {
        string[] contents = ["", "a", "bb", "ccc"];
        foreach (var content in contents)
        {
            await PutAsync(content);
        }

        var listed = await ListAsync();
        Assert.Equal(contents.Select(c => (HashOf(c).Hex, (long)c.Length)).Order(), listed.Select(b => (b.Sha512.Hex, b.SizeBytes)).Order());
    }

    [Fact]
    public async Task Refuses_a_hash_of_another_length() =>
        await Assert.ThrowsAsync<ArgumentException>(async () => await Store.OpenAsync(Digest.OfSha256("x"u8), Cancelled));

    [Fact]
    public async Task Says_that_it_can_be_written()
    {
        Assert.Null(await Store.CheckWritableAsync(Cancelled));
        Assert.Empty(await ListAsync());
    }

    [Fact]
    public async Task Commits_nothing_once_cancelled()
    {
        await using var writer = await Store.CreateAsync(Cancelled);
        await writer.AppendAsync("late"u8.ToArray(), Cancelled);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await writer.CommitAsync(new CancellationToken(canceled: true)));
        Assert.False(await Store.ExistsAsync(HashOf("late"), Cancelled));
    }

    /// <summary>The SHA-512 of a text's UTF-8 bytes.</summary>
    protected static Digest HashOf(string content) => new(SHA512.HashData(Encoding.UTF8.GetBytes(content)));

    /// <summary>Stores a text.</summary>
    protected async Task<Digest> PutAsync(string content)
    {
        await using var writer = await Store.CreateAsync(Cancelled);
        await writer.AppendAsync(Encoding.UTF8.GetBytes(content), Cancelled);
        return await writer.CommitAsync(Cancelled);
    }

    private async Task<string> ReadAllAsync(Digest sha512)
    {
        await using var blob = await Store.OpenAsync(sha512, Cancelled);
        var bytes = new byte[blob!.LengthBytes];
        Assert.Equal(bytes.Length, await blob.ReadAsync(0, bytes, Cancelled));
        return Encoding.UTF8.GetString(bytes);
    }

    private async Task<List<BlobInfo>> ListAsync()
    {
        var blobs = new List<BlobInfo>();
        await foreach (var blob in Store.ListAsync(Cancelled))
        {
            blobs.Add(blob);
        }

        return blobs;
    }
}
