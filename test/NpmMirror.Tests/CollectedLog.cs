using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace NpmMirror.Tests;

/// <summary>The log lines, for tests about them.</summary>
internal sealed class CollectedLog
{
    /// <summary>The messages, in order.</summary>
    public ConcurrentQueue<string> Lines { get; } = new();

    /// <summary>Loggers of all categories, which collect here.</summary>
    public ILoggerFactory Factory => new Loggers(this);

    /// <summary>A logger that collects here.</summary>
    public ILogger<T> For<T>() => new Logger<T>(this);

    private sealed class Loggers(CollectedLog log) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => log.For<object>();

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }

    private sealed class Logger<T>(CollectedLog log) : ILogger<T>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Lines.Enqueue(formatter(state, exception));
    }
}
