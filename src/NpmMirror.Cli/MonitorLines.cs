using System.Text.Json;
using NpmMirror.Following;
using NpmMirror.Packuments;

namespace NpmMirror.Cli;

/// <summary>A monitor's events, a line each: for people, or JSON for programs.</summary>
internal sealed class MonitorLines(bool asJson, TextWriter output, TextWriter errors)
{
    /// <summary>Prints the event; polls are for programs only.</summary>
    public void Print(MonitorEvent told)
    {
        if (asJson)
        {
            output.WriteLine(JsonSerializer.Serialize(ToJson(told), ReportJson.Lines.DictionaryStringObject));
            return;
        }

        if (told is MonitorEvent.Failed failed)
        {
            errors.WriteLine(failed.Package is { } package ? $"{package}: {failed.Error.Message}" : failed.Error.Message);
        }
        else if (ToText(told) is { } line)
        {
            output.WriteLine(line);
        }
    }

    private static string? ToText(MonitorEvent told) => told switch
    {
        MonitorEvent.Polled => null,
        MonitorEvent.Appeared appeared => $"{told}{Latest(appeared.Package, appeared.Metadata, "@")}",
        MonitorEvent.Updated updated => $"{told}{Latest(updated.Package, updated.Metadata, "@")}",
        _ => told.ToString(),
    };

    private static Dictionary<string, object?> ToJson(MonitorEvent told) => told switch
    {
        MonitorEvent.Started => new() { ["event"] = "start" },
        MonitorEvent.Polled polled => new() { ["event"] = "poll", ["last_seq"] = polled.Since.Text },
        MonitorEvent.Appeared appeared => new() { ["event"] = "new", ["id"] = appeared.Package.Value, ["latest"] = Latest(appeared.Package, appeared.Metadata, "") },
        MonitorEvent.Updated updated => new() { ["event"] = "update", ["id"] = updated.Package.Value, ["latest"] = Latest(updated.Package, updated.Metadata, "") },
        MonitorEvent.Deleted deleted => new() { ["event"] = "delete", ["id"] = deleted.Package.Value },
        MonitorEvent.Revised revised => new() { ["event"] = "rev", ["last_seq"] = revised.LastSequence.Text, ["nb_changes"] = revised.Changes },
        MonitorEvent.Failed failed => new() { ["event"] = "error", ["id"] = failed.Package?.Value, ["error"] = failed.Error.Message },
        _ => new() { ["event"] = "end" },
    };

    /// <summary>The latest version with something before it, or null for a packument that has none.</summary>
    private static string? Latest(PackageName package, ReadOnlyMemory<byte> metadata, string before)
    {
        try
        {
            return PackumentReader.Read(metadata.Span, package).Index.DistTags.TryGetValue("latest", out var latest) ? before + latest : null;
        }
        catch (MirrorException)
        {
            // Malformed metadata is still a change.
            return null;
        }
    }
}
