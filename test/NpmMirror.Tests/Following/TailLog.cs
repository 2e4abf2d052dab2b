using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace NpmMirror.Tests.Following;

/// <summary>The last lines that were logged, with the time of a simulated clock: to look at when something went wrong.</summary>
internal sealed class TailLog(TimeProvider time, int linesMax = 400) : ILoggerFactory
{
    private readonly ConcurrentQueue<string> _lines = new();

    internal string Text => string.Join('\n', _lines);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public ILogger CreateLogger(string categoryName) => new Logger(this);

    public void Dispose()
    {
    }

    internal void Add(string line)
    {
        if (line.Contains("The process is dead", StringComparison.Ordinal))
        {
            return;
        }

        _lines.Enqueue($"{time.GetUtcNow().ToString("dd HH:mm:ss", CultureInfo.InvariantCulture)} {line}");
        while (_lines.Count > linesMax)
        {
            _lines.TryDequeue(out _);
        }
    }

    private sealed class Logger(TailLog log) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Debug;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Add(formatter(state, exception));
    }
}
