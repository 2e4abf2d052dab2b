using System.Globalization;
using System.Text;

namespace NpmMirror.AspNetCore.Shortcut;

/// <summary>The last line of every head, made once a second: when it was sent (RFC 9110 §6.6.1), and the empty line.</summary>
internal sealed class DateLine(TimeProvider time)
{
    private Line _line = new(0, []);

    /// <summary><c>Date: …</c> and the end of the head.</summary>
    internal ReadOnlySpan<byte> Now()
    {
        var second = time.GetTimestamp() / time.TimestampFrequency;
        var line = Volatile.Read(ref _line);
        if (line.Second != second || line.Bytes.Length == 0)
        {
            line = new Line(second, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"Date: {time.GetUtcNow():R}\r\n\r\n")));
            Volatile.Write(ref _line, line);
        }

        return line.Bytes;
    }

    private sealed record Line(long Second, byte[] Bytes);
}
