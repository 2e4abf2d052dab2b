using System.Net;
using Amazon.Runtime;
using Amazon.S3;

namespace NpmMirror.S3;

/// <summary>Turns what a bucket answers, or does not, into what an operator can act on.</summary>
internal static class S3Faults
{
    /// <summary>Whether the bucket or the way to it is the reason, rather than a mistake of ours or the caller who gave up.</summary>
    internal static bool IsOne(Exception trouble, CancellationToken cancellationToken) =>
        trouble is AmazonServiceException or AmazonClientException or HttpRequestException or IOException or TimeoutException
        || (trouble is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    /// <summary>Whether the bucket says that there is nothing under the key.</summary>
    internal static bool IsAbsent(Exception trouble) => trouble is AmazonS3Exception { StatusCode: HttpStatusCode.NotFound } missing && missing.ErrorCode is not "NoSuchBucket";

    /// <summary>Whether the server does not know a request at all.</summary>
    internal static bool IsUnknownRequest(Exception trouble) =>
        trouble is AmazonS3Exception { StatusCode: HttpStatusCode.NotImplemented or HttpStatusCode.MethodNotAllowed or HttpStatusCode.BadRequest or HttpStatusCode.NotFound };

    internal static MirrorException Explain(Exception trouble, string location)
    {
        var code = (trouble as AmazonServiceException)?.ErrorCode;
        return code switch
        {
            "NoSuchBucket" => Unavailable($"There is no bucket for {location}; make it, or name another in store.blobs."),
            "InvalidAccessKeyId" or "SignatureDoesNotMatch" or "InvalidToken" or "ExpiredToken" => Unavailable($"The server of {location} does not accept the key ({code}); see store.blobOptions.accessKey and secretKey, or the credentials in the environment."),
            "AccessDenied" or "AllAccessDisabled" or "AccountProblem" => new MirrorException(MirrorFault.StoreReadOnly, $"The key may not do this in {location} ({code}); give it the right to get, put, delete and list objects there.", isTransient: true, inner: trouble),
            "RequestTimeTooSkewed" => Unavailable($"The server of {location} says that this machine's clock is wrong; set it right."),
            "PermanentRedirect" or "AuthorizationHeaderMalformed" or "IllegalLocationConstraintException" => Unavailable($"The bucket of {location} is in another region ({code}); name it with store.blobOptions.region."),
            "QuotaExceeded" or "XMinioStorageFull" or "InsufficientStorage" => new MirrorException(MirrorFault.StoreReadOnly, $"{location} is full ({code}); free some space: what is stored is served meanwhile.", isTransient: true, inner: trouble),
            { } other => Unavailable($"The server of {location} answered with {other} ({(int)((AmazonServiceException)trouble).StatusCode}); it is asked again later."),
            null when trouble is AmazonClientException && trouble.Message.Contains("credentials", StringComparison.OrdinalIgnoreCase) => Unavailable($"There are no credentials for {location}; give store.blobOptions.accessKey and secretKey, or set them in the environment."),
            null => Unavailable($"{location} cannot be reached: {(trouble is OperationCanceledException ? "no answer in time" : trouble.Message)}"),
        };

        MirrorException Unavailable(string message) => new(MirrorFault.StoreUnavailable, message, isTransient: true, inner: trouble);
    }
}
