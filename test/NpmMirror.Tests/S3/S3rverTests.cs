using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.S3;

/// <summary>The contract over a server that somebody else wrote, in its own process.</summary>
public sealed class S3rverTests(S3rverServer server) : BlobStoreContract, IClassFixture<S3rverServer>
{
    private readonly TestFolder _folder = new();

    protected override ValueTask<IBlobStore> CreateStoreAsync() => ValueTask.FromResult(TestBucket.Open(
        $"s3://{S3rverServer.Bucket}/{Guid.NewGuid():N}", _folder.Path, ("endpoint", server.Url), ("accessKey", S3rverServer.Key), ("secretKey", S3rverServer.Key)));

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>An s3rver on a free port, for the tests of a class.</summary>
public sealed partial class S3rverServer : IAsyncLifetime
{
    internal const string Bucket = "tarballs";

    // The only one that it knows, as key and as secret.
    internal const string Key = "S3RVER";

    private readonly TempFolder _folder = new();
    private Process? _server;

    /// <summary>Its address.</summary>
    public string Url { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(TestTools.Has("s3rver"), TestTools.Missing("s3rver"));
        _server = TestProcess.Start(
            [.. TestTools.Command("s3rver"), "--directory", _folder.Path, "--address", "127.0.0.1", "--port", "0", "--no-vhost-buckets", "--configure-bucket", Bucket],
            _folder.Path,
            new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH")!, ["HOME"] = _folder.Path, ["NODE_OPTIONS"] = "--openssl-legacy-provider" });
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (Url.Length == 0)
        {
            var line = await _server.StandardOutput.ReadLineAsync(deadline.Token) ?? throw new InvalidOperationException($"s3rver ended: {await _server.StandardError.ReadToEndAsync(deadline.Token)}");
            if (Port().Match(line) is { Success: true } told)
            {
                Url = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{told.Groups[1].Value}");
            }
        }

        _ = TestProcess.GatherAsync(_server.StandardOutput, new(), CancellationToken.None);
        _ = TestProcess.GatherAsync(_server.StandardError, new(), CancellationToken.None);
    }

    public ValueTask DisposeAsync()
    {
        if (_server is { } server)
        {
            server.Kill(entireProcessTree: true);
            server.WaitForExit(10_000);
            server.Dispose();
        }

        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [GeneratedRegex(@"127\.0\.0\.1:(\d+)")]
    private static partial Regex Port();
}
