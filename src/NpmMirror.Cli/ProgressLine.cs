namespace NpmMirror.Cli;

/// <summary>How far a long command is, on standard error: one line that is written over on a terminal, a line every few seconds elsewhere, nothing beside JSON.</summary>
internal sealed class ProgressLine(bool isSilent, TimeProvider time)
{
    private static readonly TimeSpan TerminalEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan PlainEvery = TimeSpan.FromSeconds(5);

    private readonly TerminalWriter? _terminal = TerminalWriter.Installed;
    private long _shownAt = time.GetTimestamp();

    /// <summary>Shows the command's first step, on a terminal.</summary>
    internal void Begin(string text)
    {
        if (!isSilent)
        {
            _terminal?.Show(text);
        }
    }

    /// <summary>Shows the line, unless another was shown just before; the last one on a terminal in any case.</summary>
    internal void Show(Func<string> line, bool isLast = false)
    {
        var isSoon = time.GetElapsedTime(_shownAt) < (_terminal is null ? PlainEvery : TerminalEvery);
        if (isSilent || (isSoon && !(isLast && _terminal is not null)))
        {
            return;
        }

        _shownAt = time.GetTimestamp();
        if (_terminal is null)
        {
            Console.Error.WriteLine(line());
        }
        else
        {
            _terminal.Show(line());
        }
    }

    /// <summary>Makes room for other output.</summary>
    internal void Clear() => _terminal?.Show("");
}
