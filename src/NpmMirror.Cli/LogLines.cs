using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace NpmMirror.Cli;

/// <summary>The log: one line of plain text an entry, with strangers' words made safe; the level has a colour on a terminal.</summary>
internal sealed class LogLines() : ConsoleFormatter(FormatterName)
{
    internal const string FormatterName = "lines";

    private readonly bool _isColored = !Console.IsErrorRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var (word, color) = logEntry.LogLevel switch
        {
            LogLevel.Trace => ("trce", "37"),
            LogLevel.Debug => ("dbug", "37"),
            LogLevel.Information => ("info", "32"),
            LogLevel.Warning => ("warn", "1;33"),
            LogLevel.Error => ("fail", "1;31"),
            _ => ("crit", "1;37;41"),
        };
        var failure = logEntry.Exception is { } exception ? $" {exception}" : "";
        var text = string.Create(CultureInfo.InvariantCulture, $"{logEntry.Category}[{logEntry.EventId.Id}] {logEntry.Formatter(logEntry.State, logEntry.Exception)}{failure}");
        textWriter.Write(TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss'Z' ", CultureInfo.InvariantCulture));
        textWriter.Write(_isColored ? $"\u001b[{color}m{word}\u001b[0m: " : $"{word}: ");
        textWriter.WriteLine(PlainText.Of(text));
    }
}
