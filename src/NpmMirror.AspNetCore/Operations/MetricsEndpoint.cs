using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace NpmMirror.AspNetCore.Operations;

/// <summary>Answers <c>/metrics</c>: the library's instruments as OpenMetrics text.</summary>
internal sealed class MetricsEndpoint(MetricsListener listener)
{
    internal async Task HandleAsync(HttpContext context)
    {
        var text = new StringBuilder();
        foreach (var family in listener.Collect())
        {
            Write(text, family);
        }

        text.Append("# EOF\n");
        var body = Encoding.UTF8.GetBytes(text.ToString());
        var headers = context.Response.Headers;
        headers.ContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        headers.ContentLength = body.Length;
        headers.CacheControl = "no-store";
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.BodyWriter.WriteAsync(body, context.RequestAborted);
        }
    }

    private static void Write(StringBuilder text, MetricFamily family)
    {
        text.Append(CultureInfo.InvariantCulture, $"# TYPE {family.Name} {family.Kind.ToString().ToLowerInvariant()}\n");
        if (family.Help.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"# HELP {family.Name} {Escape(family.Help)}\n");
        }

        foreach (var (labels, series) in family.Series)
        {
            switch (family.Kind)
            {
                case MetricKind.Counter:
                    text.Append(CultureInfo.InvariantCulture, $"{family.Name}_total{labels} {series.Sum:R}\n");
                    break;
                case MetricKind.Summary:
                    text.Append(CultureInfo.InvariantCulture, $"{family.Name}_count{labels} {series.Count}\n{family.Name}_sum{labels} {series.Sum:R}\n");
                    break;
                default:
                    text.Append(CultureInfo.InvariantCulture, $"{family.Name}{labels} {series.Sum:R}\n");
                    break;
            }
        }
    }

    private static string Escape(string text) => text.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
}
