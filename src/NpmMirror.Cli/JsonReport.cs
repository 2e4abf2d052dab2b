using System.Text.Encodings.Web;
using System.Text.Json;

namespace NpmMirror.Cli;

/// <summary>
/// One JSON document whose long list is written item by item, as it is found: no report is held in memory. <c>{"findings":[…],"summary":{…}}</c>
/// </summary>
internal sealed class JsonReport(TextWriter output, string listName)
{
    // Readable text: this JSON never gets into a page.
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
    };

    private bool _isBegun;

    /// <summary>A report without a list, as one line.</summary>
    internal static string Line(object report) => JsonSerializer.Serialize(report, Options);

    /// <summary>Adds an item to the list.</summary>
    internal void Add(object item)
    {
        output.Write(_isBegun ? ",\n" : $"{{\"{listName}\":[\n");
        output.Write(PlainText.Of(JsonSerializer.Serialize(item, Options)));
        _isBegun = true;
    }

    /// <summary>Ends the list and the document.</summary>
    internal void End(object summary) => End("summary", summary);

    /// <summary>Runs the work that fills the list; if that fails, the document still ends as JSON, with the reason in place of its summary.</summary>
    internal async Task<T> FillAsync<T>(Func<Task<T>> fill)
    {
        try
        {
            return await fill();
        }
        catch (MirrorException failure) when (_isBegun)
        {
            End("error", failure.Message);
            throw;
        }
    }

    private void End(string name, object value)
    {
        output.Write(_isBegun ? "\n]" : $"{{\"{listName}\":[]");
        output.WriteLine($",\"{name}\":{JsonSerializer.Serialize(value, Options)}}}");
    }
}
