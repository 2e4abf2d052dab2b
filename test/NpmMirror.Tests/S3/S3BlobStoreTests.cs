using NpmMirror.Conformance;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.S3;

/// <summary>The contract over a server that checks signatures and bodies as Amazon's does, in small pages.</summary>
[Claim("The contract of blob stores holds for a bucket, with and without tarballs kept on this machine, and at a server that is not ours (s3rver)",
    With =
    [
        nameof(Gives_back_bytes_that_came_in_pieces_of_any_memory),
        nameof(Keeps_bytes_stored_anew_when_a_condemned_blob_goes_or_returns),
        $"{nameof(S3CachedBlobStoreTests)}.{nameof(S3CachedBlobStoreTests.Gives_back_bytes_that_came_in_pieces_of_any_memory)}",
        $"{nameof(S3rverTests)}.{nameof(S3rverTests.Gives_back_bytes_that_came_in_pieces_of_any_memory)}",
    ])]
public class S3BlobStoreTests : BlobStoreContract
{
    private readonly TestFolder _folder = new();
    private FakeS3 _server = null!;

    protected virtual long CacheBytes => 0;

    protected override async ValueTask<IBlobStore> CreateStoreAsync()
    {
        _server = await FakeS3.StartAsync(cancellationToken: Cancelled);
        _server.PageSize = 2;
        return TestBucket.Open(_server, _folder.Path, ("cacheBytes", $"{CacheBytes}"));
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _server.DisposeAsync();
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>The same where what is read is kept on this machine.</summary>
public sealed class S3CachedBlobStoreTests : S3BlobStoreTests
{
    protected override long CacheBytes => 1 << 20;
}
