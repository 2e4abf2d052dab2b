using System.Text;

namespace NpmMirror.Cli;

/// <summary>
/// Prints each line as plain text, with strangers' words made safe. Text without a line end (progress, colours, JSON of many lines) is
/// the program's own and passes as it is.
/// </summary>
internal sealed class PlainLines(TextWriter output) : TextWriter
{
    /// <summary>From now on all output of this process goes through one. Call it after standard output or error were replaced.</summary>
    internal static void Install()
    {
        Console.SetOut(new PlainLines(Console.Out));
        Console.SetError(new PlainLines(Console.Error));
    }

    public override Encoding Encoding => output.Encoding;

    public override void Write(char value) => output.Write(value);

    public override void Write(string? value) => output.Write(value);

    public override void Write(char[] buffer, int index, int count) => output.Write(buffer, index, count);

    public override void Write(ReadOnlySpan<char> buffer) => output.Write(buffer);

    public override void WriteLine(string? value) => output.WriteLine(PlainText.Of(value ?? ""));

    public override void WriteLine(char[] buffer, int index, int count) => WriteLine(new string(buffer, index, count));

    public override void WriteLine(ReadOnlySpan<char> buffer) => WriteLine(buffer.ToString());

    public override void Flush() => output.Flush();
}
