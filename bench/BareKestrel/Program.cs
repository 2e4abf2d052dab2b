// The control of the benchmarks: Kestrel writing prepared bytes, with nothing between the request and the array.
//
//   BareKestrel http://127.0.0.1:5000 /express express.gz application/json [/other other.gz application/json …]
//
// A request picks one of the arrays by its path; an If-None-Match that is its ETag is answered 304.
using BareKestrel;

if (args.Length < 4 || args.Length % 3 != 1)
{
    await Console.Error.WriteLineAsync("Usage: BareKestrel <address> (<path> <gzip file> <content type>)…");
    return 2;
}

var prepared = args.Skip(1).Chunk(3).ToDictionary(
    part => part[0],
    part => Prepared.Read(part[1], part[2]),
    StringComparer.Ordinal);

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
    response.Headers.ContentEncoding = "gzip";
    response.ContentLength = answer.Body.Length;
    return response.Body.WriteAsync(answer.Body, 0, answer.Body.Length);
});

await app.RunAsync();
return 0;
