using System.Text;

namespace NpmMirror.Cli;

/// <summary>
/// Standard error on a terminal. A line of progress stands below everything else: other output, log lines too, goes above it and tears neither
/// it nor themselves.
/// </summary>
/// <param name="inner">The terminal.</param>
/// <param name="width">Its columns: a longer line would wrap, and could not be written over.</param>
internal sealed class TerminalWriter(TextWriter inner, Func<int> width) : TextWriter
{
    private const int ColumnsMin = 20;

    private readonly Lock _lock = new();
    private string _line = "";
    private int _shownColumns;
    private bool _isAtLineStart = true;

    /// <summary>The one of this process; null if standard error is no terminal.</summary>
    internal static TerminalWriter? Installed { get; private set; }

    /// <inheritdoc/>
    public override Encoding Encoding => inner.Encoding;

    /// <summary>From now on standard error is one, if it is a terminal. Before anything takes <see cref="Console.Error"/> for itself, as loggers do.</summary>
    internal static void Install()
    {
        if (!Console.IsErrorRedirected && Installed is null)
        {
            Installed = new TerminalWriter(Console.Error, ColumnsOfConsole);
            Console.SetError(Installed);
        }
    }

    /// <summary>Shows this as the line of progress, in the place of the last one; empty removes it.</summary>
    internal void Show(string line)
    {
        lock (_lock)
        {
            Erase();
            _line = PlainText.Of(line);
            Draw();
            inner.Flush();
        }
    }

    /// <inheritdoc/>
    public override void Write(char value) => Write(value.ToString());

    /// <inheritdoc/>
    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    /// <inheritdoc/>
    public override void Write(string? value)
    {
        if (string.IsNullOrEmpty(value))
        {
            return;
        }

        lock (_lock)
        {
            Erase();
            inner.Write(value);
            _isAtLineStart = value.EndsWith('\n');
            Draw();
        }
    }

    /// <inheritdoc/>
    public override void WriteLine(string? value) => Write(value + Environment.NewLine);

    /// <inheritdoc/>
    public override void Flush()
    {
        lock (_lock)
        {
            inner.Flush();
        }
    }

    private static int ColumnsOfConsole()
    {
        try
        {
            return Console.WindowWidth;
        }
        catch (IOException)
        {
            // A terminal that does not tell.
            return 80;
        }
    }

    private void Erase()
    {
        if (_shownColumns > 0)
        {
            inner.Write($"\r{new string(' ', _shownColumns)}\r");
            _shownColumns = 0;
        }
    }

    private void Draw()
    {
        // In the middle of another line it waits for that line's end.
        if (_isAtLineStart && _line.Length > 0)
        {
            var shown = _line[..Math.Min(_line.Length, Math.Max(width(), ColumnsMin) - 1)];
            inner.Write(shown);
            _shownColumns = shown.Length;
        }
    }
}
