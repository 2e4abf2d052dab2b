using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Copying;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Tests.S3;

namespace NpmMirror.Tests.Copying;

public sealed class CopyBlobsTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private RichMirror _source = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _source = await RichMirror.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A copy takes the bytes of tarballs along, from files into a bucket and back; bytes that no row names stay; the next run copies none again")]
    [Fact]
    public async Task Bytes_go_into_a_bucket_and_back()
    {
        await using var bucket = await FakeS3.StartAsync(cancellationToken: Token);
        var inBucket = TestBucket.Open(bucket, _folder.Path, ("cacheBytes", "0"));
        using var files = new FileBlobStore(_folder.File("back"), NullLogger<FileBlobStore>.Instance);
        var unneeded = await _source.Bench.PutBlobAsync([1, 2, 3]);
        var clock = _source.Bench.Clock;
        await using var one = new MemoryStore(clock);
        await using var two = new MemoryStore(clock);

        var there = await _source.CopyToAsync(one, (_source.Bench.Blobs, inBucket));
        var back = await new MirrorCopy(one, two, (inBucket, files), clock).RunAsync(new CopyRequest(), Token);
        var rows = await _source.Store.Tarballs.ListTarballsAsync(null, Token).Where(row => row.State == TarballState.Held).ToListAsync(Token);
        Assert.True(rows.Count >= 8);
        var blobs = rows.DistinctBy(row => row.Sha512).ToList();
        foreach (var summary in (CopySummary[])[there, back])
        {
            Assert.Equal((true, 0, blobs.Sum(row => row.SizeBytes)), (summary.IsFinished, summary.Found, summary.BlobBytes));
            Assert.Equal(blobs.Count, summary.Copied["tarballs"]);
        }

        Assert.Equal(blobs.Select(row => (row.Sha512, row.SizeBytes)).ToHashSet(), await files.ListAsync(Token).Select(blob => (blob.Sha512, blob.SizeBytes)).ToHashSetAsync(cancellationToken: Token));
        Assert.False(await inBucket.ExistsAsync(unneeded, Token));
        Assert.Equal(0, (await _source.CopyToAsync(one, (_source.Bench.Blobs, inBucket))).BlobBytes);
        (inBucket as IDisposable)?.Dispose();
    }

    [Claim("A copy tells of each tarball whose bytes the source does not have, or has damaged, and takes none of them for a good one",
        Red = "`BlobCopy` does not compare the SHA-512")]
    [Fact]
    public async Task Missing_and_damaged_bytes_are_told_and_not_copied()
    {
        var (damaged, gone) = ((await _source.Bench.RowAsync("left-pad"))!, (await _source.Bench.RowAsync("ms"))!);
        var bytes = await File.ReadAllBytesAsync(_source.Bench.FileOf(damaged.Sha512), Token);
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(_source.Bench.FileOf(damaged.Sha512), bytes, Token);
        File.Delete(_source.Bench.FileOf(gone.Sha512));
        using var files = new FileBlobStore(_folder.File("copy"), NullLogger<FileBlobStore>.Instance);
        await using var target = new MemoryStore(_source.Bench.Clock);
        var findings = new List<CopyFinding>();
        var summary = await _source.CopyToAsync(target, (_source.Bench.Blobs, files), findings.Add);
        Assert.Equal((true, 2), (summary.IsFinished, summary.Found));
        Assert.Equal(["left-pad left-pad-1.0.0.tgz", "ms ms-1.0.0.tgz"], findings.Select(finding => finding.Subject).Order(StringComparer.Ordinal));
        Assert.Contains(findings, finding => finding.Problem.Contains("are not what their SHA-512 says", StringComparison.Ordinal));
        Assert.False(await files.ExistsAsync(damaged.Sha512, Token));
    }
}
