using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace NpmMirror.Cli;

/// <summary>
/// One JSON document whose long list is written item by item, as it is found: no report is held in memory. <c>{"findings":[…],"summary":{…}}</c>
/// </summary>
internal sealed class JsonReport(TextWriter output, string listName)
{
    private bool _isBegun;

    /// <summary>Adds an item to the list.</summary>
    internal void Add<T>(T item, JsonTypeInfo<T> type)
    {
        output.Write(_isBegun ? ",\n" : $"{{\"{listName}\":[\n");
        output.Write(PlainText.Of(JsonSerializer.Serialize(item, type)));
        _isBegun = true;
    }

    /// <summary>Ends the list and the document.</summary>
    internal void End<T>(T summary, JsonTypeInfo<T> type) => End("summary", summary, type);

    /// <summary>Runs the work that fills the list; if that fails, the document still ends as JSON, with the reason in place of its summary.</summary>
    internal async Task<T> FillAsync<T>(Func<Task<T>> fill)
    {
        try
        {
            return await fill();
        }
        catch (MirrorException failure) when (_isBegun)
        {
            End("error", failure.Message, ReportJson.Lines.String);
            throw;
        }
    }

    private void End<T>(string name, T value, JsonTypeInfo<T> type)
    {
        output.Write(_isBegun ? "\n]" : $"{{\"{listName}\":[]");
        output.WriteLine($",\"{name}\":{JsonSerializer.Serialize(value, type)}}}");
    }
}
