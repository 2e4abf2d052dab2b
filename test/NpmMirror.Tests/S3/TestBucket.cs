using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.S3;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.S3;

/// <summary>A bucket as the program opens it, from a location and options.</summary>
internal static class TestBucket
{
    internal static IBlobStore Open(FakeS3 server, string folder, params (string Name, string Value)[] options) =>
        Open($"s3://{server.Bucket}/a mirror", folder, [("endpoint", server.Url.AbsoluteUri), ("accessKey", server.AccessKey), ("secretKey", server.SecretKey), .. options]);

    /// <summary>Later options beat earlier ones.</summary>
    internal static IBlobStore Open(string address, string folder, params IEnumerable<(string Name, string Value)> options) => new S3Engine().Create(new StoreSettings
    {
        Address = address,
        Options = options.GroupBy(option => option.Name, StringComparer.OrdinalIgnoreCase).ToDictionary(group => group.Key, group => group.Last().Value, StringComparer.OrdinalIgnoreCase),
        OptionsName = "store.blobOptions",
        DataFolder = folder,
        TimeProvider = TimeProvider.System,
        LoggerFactory = NullLoggerFactory.Instance,
    });
}
