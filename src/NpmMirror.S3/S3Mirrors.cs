using NpmMirror.Hosting;

namespace NpmMirror.S3;

/// <summary>Buckets among the places for tarballs of a mirror.</summary>
public static class S3Mirrors
{
    /// <summary>Lets <c>store.blobs</c> name a bucket.</summary>
    public static MirrorBuilder UseS3(this MirrorBuilder mirror) => mirror.AddEngine(new S3Engine());
}
