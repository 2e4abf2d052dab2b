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

    /// <summary>Adds an item to the list.</summary>
    internal void Add(object item)
    {
        output.Write(_isBegun ? ",\n" : $"{{\"{listName}\":[\n");
        output.Write(JsonSerializer.Serialize(item, Options));
        _isBegun = true;
    }

    /// <summary>Ends the list and the document.</summary>
    internal void End(object summary)
    {
        output.Write(_isBegun ? "\n]" : $"{{\"{listName}\":[]");
        output.WriteLine($",\"summary\":{JsonSerializer.Serialize(summary, Options)}}}");
    }
}
