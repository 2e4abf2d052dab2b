// The control of the benchmarks: Kestrel writing prepared bytes, with nothing between the request and the bytes.
//
//   BareKestrel http://127.0.0.1:5000 /express express.gz application/json gzip '"an-etag"' [/other file type coding etag …]
//
// A request picks one of the arrays by its path (a file whose coding is "-" is read in pieces of 64 KB); an If-None-Match that is its ETag is answered 304.
using System.Buffers;
using BareKestrel;

if (args.Length <= Prepared.Words || args.Length % Prepared.Words != 1)
{
    await Console.Error.WriteLineAsync("Usage: BareKestrel <address> (<path> <file> <content type> <content coding or -> <ETag>)…");
    return 2;
}

var prepared = args.Skip(1).Chunk(Prepared.Words).ToDictionary(words => words[0], Prepared.Read, StringComparer.Ordinal);

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls(args[0]);
var app = builder.Build();

app.Run(context =>
{
    var response = context.Response;
    if (!prepared.TryGetValue(context.Request.Path.Value!, out var answer))
    {
        response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }

    response.Headers.ETag = answer.ETag;
    if (context.Request.Headers.IfNoneMatch == answer.ETag)
    {
        response.StatusCode = StatusCodes.Status304NotModified;
        return Task.CompletedTask;
    }

    response.Headers.ContentType = answer.ContentType;
    response.ContentLength = answer.Body.Length;
    if (answer.File is { } file)
    {
        return SendAsync(file, response);
    }

    response.Headers.ContentEncoding = answer.ContentEncoding;
    return response.Body.WriteAsync(answer.Body, 0, answer.Body.Length);
});

await app.RunAsync();
return 0;

static async Task SendAsync(string path, HttpResponse response)
{
    using var file = File.OpenHandle(path);
    var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
    try
    {
        int read;
        for (long at = 0; (read = RandomAccess.Read(file, buffer, at)) > 0; at += read)
        {
            await response.Body.WriteAsync(buffer.AsMemory(0, read));
        }
    }
    finally
    {
        ArrayPool<byte>.Shared.Return(buffer);
    }
}
