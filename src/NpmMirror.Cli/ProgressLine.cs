namespace NpmMirror.Cli;

/// <summary>How far a long command is, on standard error: one line that is written over on a terminal, a line every few seconds elsewhere, nothing beside JSON.</summary>
internal sealed class ProgressLine(bool isSilent, TimeProvider time)
{
    private static readonly TimeSpan TerminalEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan PlainEvery = TimeSpan.FromSeconds(5);

    private readonly bool _isTerminal = !Console.IsErrorRedirected;
    private long _shownAt = time.GetTimestamp();
    private int _width;

    /// <summary>Shows the line, unless another was shown just before.</summary>
    internal void Show(Func<string> line)
    {
        if (isSilent || time.GetElapsedTime(_shownAt) < (_isTerminal ? TerminalEvery : PlainEvery))
        {
            return;
        }

        _shownAt = time.GetTimestamp();
        var text = line();
        if (_isTerminal)
        {
            Console.Error.Write($"\r{text.PadRight(_width)}");
            _width = text.Length;
        }
        else
        {
            Console.Error.WriteLine(text);
        }
    }

    /// <summary>Makes room for other output.</summary>
    internal void Clear()
    {
        if (_isTerminal && _width > 0)
        {
            Console.Error.Write($"\r{new string(' ', _width)}\r");
            _width = 0;
        }
    }
}
