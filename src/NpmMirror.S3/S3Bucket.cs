using System.Runtime.CompilerServices;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace NpmMirror.S3;

/// <summary>The requests that are sent to a bucket. What they fail with is a <see cref="MirrorException"/>.</summary>
internal sealed class S3Bucket : IDisposable
{
    private const int TriesMax = 4;
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan UploadTimeout = TimeSpan.FromMinutes(10);

    // Long enough for a slow client to begin; a download that has begun goes on.
    private static readonly TimeSpan AddressMax = TimeSpan.FromMinutes(10);

    private readonly S3HttpClients _connections;
    private readonly AmazonS3Client _client;
    private readonly S3Settings _settings;
    private readonly TimeProvider _time;
    private readonly bool _isSignedBody;

    internal S3Bucket(S3Settings settings, TimeProvider time)
    {
        (_settings, _time) = (settings, time);
        _connections = new S3HttpClients(settings.CaFile);
        var checks = settings.HasChecksums;
        var configuration = new AmazonS3Config
        {
            ForcePathStyle = settings.IsPathStyle,
            RequestChecksumCalculation = checks ? RequestChecksumCalculation.WHEN_SUPPORTED : RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = checks ? ResponseChecksumValidation.WHEN_SUPPORTED : ResponseChecksumValidation.WHEN_REQUIRED,
            MaxErrorRetry = TriesMax - 1,
            RetryMode = RequestRetryMode.Standard,
            HttpClientFactory = _connections,
        };
        if (settings.Endpoint is { } endpoint)
        {
            configuration.ServiceURL = endpoint.AbsoluteUri;
            configuration.AuthenticationRegion = settings.Region ?? "us-east-1";
        }
        else if (settings.Region is { } region)
        {
            configuration.RegionEndpoint = Amazon.RegionEndpoint.GetBySystemName(region);
        }

        // Without TLS the signature has to cover the body.
        _isSignedBody = settings.Endpoint?.Scheme == Uri.UriSchemeHttp;
        _client = settings.Credentials switch
        {
            null => new AmazonS3Client(configuration),
            (var key, var secret, null) => new AmazonS3Client(new BasicAWSCredentials(key, secret), configuration),
            var (key, secret, token) => new AmazonS3Client(new SessionAWSCredentials(key, secret, token), configuration),
        };
    }

    /// <summary>For messages.</summary>
    internal string Location => _settings.Location;

    /// <summary>What is under the key: its length and when it was put there; null for nothing.</summary>
    internal Task<S3Entry?> FindAsync(string key, CancellationToken cancellationToken) => AskAsync<S3Entry?>(async token =>
    {
        try
        {
            var head = await _client.GetObjectMetadataAsync(new GetObjectMetadataRequest { BucketName = _settings.Bucket, Key = _settings.Prefix + key }, token);
            return new S3Entry(key, head.ContentLength, head.LastModified is { } at ? new DateTimeOffset(at.ToUniversalTime()) : default);
        }
        catch (AmazonS3Exception trouble) when (S3Faults.IsAbsent(trouble))
        {
            return null;
        }
    }, cancellationToken);

    /// <summary>Puts a body that can be read again under a key, in the place of an earlier one. It is durable when this returns.</summary>
    internal Task PutAsync(string key, Stream body, CancellationToken cancellationToken) => AskAsync(async token =>
    {
        body.Position = 0;
        await _client.PutObjectAsync(new PutObjectRequest
        {
            BucketName = _settings.Bucket,
            Key = _settings.Prefix + key,
            InputStream = body,
            AutoCloseStream = false,
            // Simple servers store the frames of the chunked coding as part of the body.
            UseChunkEncoding = false,
            DisablePayloadSigning = !_isSignedBody,
            ContentType = "application/octet-stream",
        }, token);
        return true;
    }, cancellationToken, UploadTimeout);

    /// <summary>Begins a body of several parts; returns the upload's id.</summary>
    internal Task<string> BeginAsync(string key, CancellationToken cancellationToken) => AskAsync(async token =>
        (await _client.InitiateMultipartUploadAsync(new InitiateMultipartUploadRequest { BucketName = _settings.Bucket, Key = _settings.Prefix + key, ContentType = "application/octet-stream" }, token)).UploadId, cancellationToken);

    /// <summary>Sends one part.</summary>
    internal Task<PartETag> PutPartAsync(string key, string upload, int number, Stream part, CancellationToken cancellationToken) => AskAsync(async token =>
    {
        part.Position = 0;
        var answer = await _client.UploadPartAsync(new UploadPartRequest
        {
            BucketName = _settings.Bucket,
            Key = _settings.Prefix + key,
            UploadId = upload,
            PartNumber = number,
            InputStream = part,
            PartSize = part.Length,
            UseChunkEncoding = false,
            DisablePayloadSigning = !_isSignedBody,
        }, token);
        return new PartETag(number, answer.ETag);
    }, cancellationToken, UploadTimeout);

    /// <summary>Makes one object of the parts.</summary>
    internal Task FinishAsync(string key, string upload, List<PartETag> parts, CancellationToken cancellationToken) => AskAsync(async token =>
    {
        await _client.CompleteMultipartUploadAsync(new CompleteMultipartUploadRequest { BucketName = _settings.Bucket, Key = _settings.Prefix + key, UploadId = upload, PartETags = parts }, token);
        return true;
    }, cancellationToken, UploadTimeout);

    /// <summary>Drops the parts. A server that cannot do this keeps them.</summary>
    internal Task AbandonAsync(string key, string upload, CancellationToken cancellationToken) => AskAsync(async token =>
    {
        try
        {
            await _client.AbortMultipartUploadAsync(_settings.Bucket, _settings.Prefix + key, upload, token);
        }
        catch (AmazonS3Exception trouble) when (S3Faults.IsUnknownRequest(trouble))
        {
            // Its operator has to set an end for unfinished uploads.
        }

        return true;
    }, cancellationToken);

    /// <summary>Bytes of an object, from <paramref name="from"/> to <paramref name="to"/>, that included; null when it is not there any more. The caller closes the answer.</summary>
    internal Task<GetObjectResponse?> OpenAsync(string key, long from, long to, CancellationToken cancellationToken) => AskAsync<GetObjectResponse?>(async token =>
    {
        try
        {
            return await _client.GetObjectAsync(new GetObjectRequest { BucketName = _settings.Bucket, Key = _settings.Prefix + key, ByteRange = new ByteRange(from, to) }, token);
        }
        catch (AmazonS3Exception trouble) when (S3Faults.IsAbsent(trouble))
        {
            return null;
        }
    }, cancellationToken);

    /// <summary>A signed address of the object, for clients; null where they are not to be sent there.</summary>
    internal async ValueTask<Uri?> FindAddressAsync(string key, CancellationToken cancellationToken) => !_settings.IsRedirecting ? null : await AskAsync(async token => new Uri(await _client.GetPreSignedURLAsync(new GetPreSignedUrlRequest
    {
        BucketName = _settings.Bucket,
        Key = _settings.Prefix + key,
        Verb = HttpVerb.GET,
        Expires = _time.GetUtcNow().UtcDateTime + AddressMax,
        Protocol = _isSignedBody ? Protocol.HTTP : Protocol.HTTPS,
    }).WaitAsync(token)), cancellationToken);

    /// <summary>Removes what is under the key, if anything is.</summary>
    internal Task DeleteAsync(string key, CancellationToken cancellationToken) => AskAsync(async token =>
    {
        await _client.DeleteObjectAsync(_settings.Bucket, _settings.Prefix + key, token);
        return true;
    }, cancellationToken);

    /// <summary>All objects whose key begins with a text, page by page.</summary>
    internal async IAsyncEnumerable<S3Entry> ListAsync(string start, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new ListObjectsV2Request { BucketName = _settings.Bucket, Prefix = _settings.Prefix + start };
        do
        {
            var page = await AskAsync(token => _client.ListObjectsV2Async(request, token), cancellationToken);
            foreach (var entry in page.S3Objects ?? [])
            {
                yield return new S3Entry(entry.Key[_settings.Prefix.Length..], entry.Size ?? 0, entry.LastModified is { } at ? new DateTimeOffset(at.ToUniversalTime()) : default);
            }

            // A server that gives the same page again would never come to an end.
            request.ContinuationToken = page.IsTruncated == true && page.NextContinuationToken != request.ContinuationToken ? page.NextContinuationToken : null;
        }
        while (request.ContinuationToken is not null);
    }

    /// <summary>Uploads of several parts that began before a moment and were not finished; none where the server cannot list them.</summary>
    internal async Task<List<(string Key, string Upload)>> ListUploadsAsync(string start, DateTimeOffset before, CancellationToken cancellationToken)
    {
        var found = await AskAsync(async token =>
        {
            try
            {
                return await _client.ListMultipartUploadsAsync(new ListMultipartUploadsRequest { BucketName = _settings.Bucket, Prefix = _settings.Prefix + start }, token);
            }
            catch (AmazonS3Exception trouble) when (S3Faults.IsUnknownRequest(trouble))
            {
                return null;
            }
        }, cancellationToken);
        return [.. (found?.MultipartUploads ?? []).Where(upload => upload.Initiated is { } at && at.ToUniversalTime() < before.UtcDateTime).Select(upload => (upload.Key[_settings.Prefix.Length..], upload.UploadId))];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _client.Dispose();
        _connections.Dispose();
    }

    private async Task<T> AskAsync<T>(Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken, TimeSpan? timeout = null)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        ends.CancelAfter(timeout ?? RequestTimeout);
        try
        {
            return await ask(ends.Token);
        }
        catch (Exception trouble) when (S3Faults.IsOne(trouble, cancellationToken))
        {
            throw S3Faults.Explain(trouble, Location);
        }
    }
}

/// <summary>An object in the bucket; its key without the prefix.</summary>
internal readonly record struct S3Entry(string Key, long SizeBytes, DateTimeOffset StoredAt);
