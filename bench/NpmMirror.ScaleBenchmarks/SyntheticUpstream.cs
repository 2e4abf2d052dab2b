using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace NpmMirror.ScaleBenchmarks;

/// <summary>
/// The upstream of a mirror of a <see cref="SyntheticRegistry"/>: a feed at its head, the packuments, and the list of everything in
/// CouchDB's collation. It has moved on from what the store was filled with: a thousandth each is missing there, stale, and vanished here.
/// </summary>
internal sealed class SyntheticUpstream
{
    internal const string DatabaseId = "scale";

    private const int OneIn = 1000;
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(20);

    private readonly SyntheticRegistry _registry;
    private readonly (string Name, int Number)[] _listed;
    private readonly Dictionary<string, int> _numbers;

    internal SyntheticUpstream(SyntheticRegistry registry)
    {
        _registry = registry;
        var missing = registry.Packages / OneIn;
        _listed = [.. Enumerable.Range(0, registry.Packages + missing).Where(i => !IsVanished(i)).Select(i => (registry.NameOf(i), i))];
        Array.Sort(_listed, (left, right) => Collation.Compare(left.Item1, right.Item1));
        _numbers = _listed.ToDictionary(listed => listed.Name, listed => listed.Number, StringComparer.Ordinal);
    }

    /// <summary>Serves until cancelled.</summary>
    internal async Task RunAsync(int port, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        builder.Services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.None));
        await using var application = builder.Build();
        application.Run(AnswerAsync);
        await application.StartAsync(cancellationToken);
        await Console.Out.WriteLineAsync($"Lists {_listed.Length} packages");
        await application.WaitForShutdownAsync(cancellationToken);
    }

    private static bool IsVanished(int i) => i % OneIn == 1;

    private static bool IsStale(int i) => i % OneIn == 2;

    private Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        return path switch
        {
            "/" => WriteAsync(context, $"{{\"db_name\":\"{DatabaseId}\",\"uuid\":\"{DatabaseId}\",\"doc_count\":{_listed.Length},\"update_seq\":1}}"),
            "/_changes" => AnswerFeedAsync(context),
            "/_all_docs" => AnswerListAsync(context),
            _ => _numbers.TryGetValue(Uri.UnescapeDataString(path[1..]), out var number)
                ? WriteAsync(context, _registry.DocumentOf(number, EditionOf(number)))
                : NotFoundAsync(context),
        };
    }

    private static async Task AnswerFeedAsync(HttpContext context)
    {
        if (context.Request.Query["feed"] == "longpoll" && context.Request.Query["since"] != "0")
        {
            await Task.Delay(Idle, TimeProvider.System, context.RequestAborted);
        }

        await WriteAsync(context, "{\"results\":[\n],\n\"last_seq\":1}\n");
    }

    private async Task AnswerListAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var limit = int.Parse(query["limit"].ToString(), CultureInfo.InvariantCulture);
        var start = 0;
        if (query["startkey"].ToString() is { Length: > 0 } key)
        {
            var name = JsonSerializer.Deserialize<string>(key)!;
            var at = Array.BinarySearch(_listed, (name, 0), Comparer<(string Name, int)>.Create((left, right) => Collation.Compare(left.Name, right.Name)));
            start = at < 0 ? ~at : at;
        }

        var body = new ArrayBufferWriter<byte>(limit * 120);
        Write(body, $"{{\"total_rows\":{_listed.Length},\"offset\":{start},\"rows\":[\n");
        for (var i = start; i < Math.Min(_listed.Length, start + limit); i++)
        {
            var (name, number) = _listed[i];
            Write(body, $"{(i > start ? ",\n" : "")}{{\"id\":\"{name}\",\"key\":\"{name}\",\"value\":{{\"rev\":\"{_registry.RevOf(number, EditionOf(number))}\"}}}}");
        }

        Write(body, "\n]}\n");
        await WriteAsync(context, body.WrittenMemory);
    }

    private static int EditionOf(int number) => IsStale(number) ? 2 : 1;

    private static void Write(ArrayBufferWriter<byte> body, string text) => body.Advance(Encoding.UTF8.GetBytes(text, body.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length))));

    private static Task NotFoundAsync(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return WriteAsync(context, "{\"error\":\"not_found\"}");
    }

    private static Task WriteAsync(HttpContext context, string json) => WriteAsync(context, Encoding.UTF8.GetBytes(json));

    private static async Task WriteAsync(HttpContext context, ReadOnlyMemory<byte> json)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = json.Length;
        await context.Response.BodyWriter.WriteAsync(json, context.RequestAborted);
    }
}
