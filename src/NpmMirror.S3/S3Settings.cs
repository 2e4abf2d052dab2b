using System.Globalization;
using NpmMirror.Storage;

namespace NpmMirror.S3;

/// <summary>Which bucket, and how it is asked.</summary>
internal sealed record S3Settings
{
    private const string Example = "s3://bucket or s3://bucket/prefix";
    private const long CacheBytesDefault = 1L << 30;

    /// <summary>The bucket's name.</summary>
    internal required string Bucket { get; init; }

    /// <summary>What all keys begin with: empty, or with a slash at its end.</summary>
    internal required string Prefix { get; init; }

    /// <summary>Another server than Amazon's, or null.</summary>
    internal Uri? Endpoint { get; init; }

    /// <summary>The region that requests are signed for.</summary>
    internal string? Region { get; init; }

    /// <summary>Key and secret; null: what the AWS SDK finds in the environment, its files or the machine.</summary>
    internal (string Key, string Secret, string? Token)? Credentials { get; init; }

    /// <summary>Whether the bucket is named in the path instead of the host.</summary>
    internal bool IsPathStyle { get; init; }

    /// <summary>Whether bodies carry the checksums that Amazon checks; simple servers store them as part of the body.</summary>
    internal bool HasChecksums { get; init; }

    /// <summary>A file with certificates of authorities to trust, or null for those of the system.</summary>
    internal string? CaFile { get; init; }

    /// <summary>Whether clients are sent to the bucket for what is not on this machine.</summary>
    internal bool IsRedirecting { get; init; }

    /// <summary>How many bytes of tarballs are kept on this machine; 0: none.</summary>
    internal long CacheBytes { get; init; }

    /// <summary>For messages.</summary>
    internal string Location => $"s3://{Bucket}/{Prefix}";

    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: a setting is wrong.</exception>
    internal static S3Settings Read(StoreSettings settings)
    {
        settings.RequireOptions("S3", "endpoint", "region", "accessKey", "secretKey", "sessionToken", "pathStyle", "checksums", "caFile", "cacheBytes", "redirect");
        if (!Uri.TryCreate(settings.Address, UriKind.Absolute, out var address) || address.Scheme != "s3" || address.Host.Length == 0 || address.UserInfo.Length > 0 || address.Query.Length > 0)
        {
            throw Wrong($"store.blobs names no bucket; write {Example}, and give keys in {settings.OptionsName} or in the environment.");
        }

        var options = settings.Options;
        var (key, secret) = (options.GetValueOrDefault("accessKey"), options.GetValueOrDefault("secretKey"));
        if (key is null != secret is null)
        {
            throw Wrong($"{settings.OptionsName}.accessKey and {settings.OptionsName}.secretKey belong together; give both or neither.");
        }

        var endpoint = ReadEndpoint(settings);
        var prefix = Uri.UnescapeDataString(address.AbsolutePath).Trim('/');
        return new S3Settings
        {
            // Not the host of the address, which is in lower case: older buckets have capital letters.
            Bucket = address.OriginalString["s3://".Length..].Split('/', '?')[0],
            Prefix = prefix.Length == 0 ? "" : prefix + "/",
            Endpoint = endpoint,
            Region = options.GetValueOrDefault("region"),
            Credentials = key is null ? null : (key, secret!, options.GetValueOrDefault("sessionToken")),
            IsPathStyle = ReadFlag(settings, "pathStyle") ?? endpoint is not null,
            HasChecksums = ReadFlag(settings, "checksums") ?? endpoint is null,
            CaFile = options.GetValueOrDefault("caFile"),
            IsRedirecting = ReadFlag(settings, "redirect") ?? false,
            CacheBytes = ReadBytes(settings, "cacheBytes", CacheBytesDefault),
        };
    }

    private static Uri? ReadEndpoint(StoreSettings settings)
    {
        if (settings.Options.GetValueOrDefault("endpoint") is not { } text)
        {
            return null;
        }

        return Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.UserInfo.Length == 0 ? url
            : throw Wrong($"{settings.OptionsName}.endpoint is no address; write for example https://s3.example.org:9000.");
    }

    private static bool? ReadFlag(StoreSettings settings, string name) => settings.Options.GetValueOrDefault(name) is not { } text ? null
        : bool.TryParse(text, out var flag) ? flag
        : throw Wrong($"{settings.OptionsName}.{name} is {MirrorException.Quote(text)}; write true or false.");

    private static long ReadBytes(StoreSettings settings, string name, long otherwise) => settings.Options.GetValueOrDefault(name) is not { } text ? otherwise
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? bytes
        : throw Wrong($"{settings.OptionsName}.{name} is {MirrorException.Quote(text)}; write a number of bytes, 0 for none.");

    private static MirrorException Wrong(string message) => new(MirrorFault.Configuration, message);
}
