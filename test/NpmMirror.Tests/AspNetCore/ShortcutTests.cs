using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using NpmMirror.AspNetCore;

namespace NpmMirror.Tests.AspNetCore;

public sealed class ShortcutTests
{
    // The cost of a DefaultHttpContext itself: Kestrel keeps Content-Length as a number, this one as a string.
    private const int AllocatedBytesMax = 256;

    [Claim("Bytes are prepared once: a warm request parses nothing and asks no store (never-again 1)",
        With =
        [
            $"{nameof(FreshnessTests)}.{nameof(FreshnessTests.Warm_requests_ask_no_store)}",
            $"{nameof(FreshnessTests)}.{nameof(FreshnessTests.Twenty_at_once_make_a_large_packument_once)}",
            $"{nameof(FreshnessTests)}.{nameof(FreshnessTests.After_a_restart_not_modified_costs_one_row_and_no_document)}",
        ],
        Red = "`PackumentEndpoint.Remember` remembers nothing: the first was red; `RenditionCache.IsCurrent` is false: the first two; each who waits makes his own: the third; the body is made before the validators are compared: the last")]
    [Theory]
    [InlineData("GET", "", 200)]
    [InlineData("HEAD", "", 200)]
    [InlineData("GET", "*", 304)]
    public async Task A_repeated_request_parses_nothing_and_allocates_next_to_nothing(string method, string ifNoneMatch, int status)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.SettleAsync();
        var endpoints = new ServedRegistry(mirror.Services, []).Endpoints;
        var context = ContextOf(method, "/npm/ms", ifNoneMatch);
        await endpoints.HandleAsync(context);
        var made = mirror.Cache.MadeCount;

        // The second round is measured: the first lets the runtime compile.
        long allocated = 0;
        for (var round = 0; round < 2; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1_000; i++)
            {
                Assert.True(endpoints.HandleAsync(context).IsCompletedSuccessfully);
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(status, context.Response.StatusCode);
        Assert.InRange(allocated / 1_000, 0, AllocatedBytesMax);
        Assert.Equal(made, mirror.Cache.MadeCount);
    }

    private static DefaultHttpContext ContextOf(string method, string target, string ifNoneMatch)
    {
        var request = new HttpRequestFeature { Method = method, RawTarget = target, Scheme = "http", Headers = new HeaderDictionary() };
        request.Headers.Host = "localhost:4873";
        request.Headers.Accept = "application/json";
        request.Headers.AcceptEncoding = "gzip,deflate";
        if (ifNoneMatch.Length > 0)
        {
            request.Headers.IfNoneMatch = ifNoneMatch;
        }

        var context = new DefaultHttpContext();
        context.Features.Set<IHttpRequestFeature>(request);
        context.Features.Set<IHttpResponseBodyFeature>(new Discarding());
        context.Connection.LocalIpAddress = IPAddress.Loopback;
        return context;
    }

    private sealed class Discarding : PipeWriter, IHttpResponseBodyFeature
    {
        private readonly byte[] _room = new byte[64 * 1024];

        public Stream Stream => Stream.Null;

        public PipeWriter Writer => this;

        public override void Advance(int bytes)
        {
        }

        public override void CancelPendingFlush()
        {
        }

        public override void Complete(Exception? exception = null)
        {
        }

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => default;

        public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default) => default;

        public override Memory<byte> GetMemory(int sizeHint = 0) => _room;

        public override Span<byte> GetSpan(int sizeHint = 0) => _room;

        public void DisableBuffering()
        {
        }

        public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public Task CompleteAsync() => Task.CompletedTask;
    }
}
