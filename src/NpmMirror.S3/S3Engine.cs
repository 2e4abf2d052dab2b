using Microsoft.Extensions.Logging;
using NpmMirror.Storage;

namespace NpmMirror.S3;

/// <summary>
/// Tarballs in a bucket of Amazon S3 or of a server that speaks its protocol: <c>s3://bucket/prefix</c>. See <c>docs/storage.md</c> for the options.
/// </summary>
public sealed class S3Engine : IBlobEngine
{
    /// <inheritdoc/>
    public string Name => "S3";

    /// <inheritdoc/>
    public IBlobStore Create(StoreSettings settings)
    {
        var place = S3Settings.Read(settings);
        // Bodies are written to a file before they are sent: their length and hash are known then, and clients can read what has come so far.
        var files = new FileBlobStore(Path.Combine(settings.DataFolder, "s3"), settings.LoggerFactory.CreateLogger<FileBlobStore>());
        return new S3BlobStore(new S3Bucket(place, settings.TimeProvider), files, new S3Cache(files, place.CacheBytes), settings.TimeProvider);
    }
}
