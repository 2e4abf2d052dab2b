using Amazon.S3.Model;
using NpmMirror.Storage;

namespace NpmMirror.S3;

/// <summary>One body on its way into the bucket: in one request, or in parts where it is long.</summary>
internal static class S3Upload
{
    private const long WholeMaxBytes = 64L << 20;

    // With 10,000 parts, the most that there may be, longer than any tarball.
    private const long PartBytes = 16L << 20;

    internal static async Task RunAsync(S3Bucket bucket, string key, BlobWriter written, CancellationToken cancellationToken)
    {
        if (written.LengthBytes <= WholeMaxBytes)
        {
            await bucket.PutAsync(key, new S3Body(written, 0, written.LengthBytes), cancellationToken);
            return;
        }

        var upload = await bucket.BeginAsync(key, cancellationToken);
        try
        {
            var parts = new List<PartETag>();
            for (var at = 0L; at < written.LengthBytes; at += PartBytes)
            {
                parts.Add(await bucket.PutPartAsync(key, upload, parts.Count + 1, new S3Body(written, at, Math.Min(PartBytes, written.LengthBytes - at)), cancellationToken));
            }

            await bucket.FinishAsync(key, upload, parts, cancellationToken);
        }
        catch
        {
            // Also where the caller gave up. What stays after this is removed by gc.
            try
            {
                await bucket.AbandonAsync(key, upload, CancellationToken.None);
            }
            catch (MirrorException)
            {
            }

            throw;
        }
    }
}
