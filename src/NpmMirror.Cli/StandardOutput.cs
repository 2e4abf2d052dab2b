using System.Runtime.InteropServices;
using System.Text;

namespace NpmMirror.Cli;

/// <summary>Standard output is closed: the command ends there, quietly, as other tools do.</summary>
internal sealed class ClosedOutputException : Exception;

/// <summary>Standard output that can end a command: .NET ignores the signal for a closed pipe and passes over the failed write, so each write is followed by a look.</summary>
internal static partial class StandardOutput
{
    private const int FileDescriptor = 1;

    // From poll.h, the same on Linux and macOS.
    private const short Failed = 0x08;
    private const short HungUp = 0x10;

    /// <summary>Whether its reader has gone.</summary>
    public static bool IsClosed
    {
        get
        {
            var watched = new Watched { FileDescriptor = FileDescriptor };
            return !OperatingSystem.IsWindows() && Poll(ref watched, 1, timeoutMilliseconds: 0) > 0 && (watched.Happened & (Failed | HungUp)) != 0;
        }
    }

    /// <summary>From now on a write without a reader throws <see cref="ClosedOutputException"/>.</summary>
    public static void EndWhenClosed() => Console.SetOut(new WatchedWriter(Console.Out));

    /// <summary>Announces the start of a server: a server goes on without a reader.</summary>
    public static void Announce(string line)
    {
        try
        {
            Console.WriteLine(line);
        }
        catch (ClosedOutputException)
        {
            // Its log is on standard error.
        }
    }

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref Watched watched, nuint count, int timeoutMilliseconds);

    /// <summary>C's <c>struct pollfd</c>; asked for nothing, it still tells of failures.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Watched
    {
        public int FileDescriptor;
        public short Wanted;
        public short Happened;
    }

    private sealed class WatchedWriter(TextWriter inner) : TextWriter
    {
        public override Encoding Encoding => inner.Encoding;

        public override void Write(char value) => Write(value.ToString());

        public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

        public override void WriteLine(string? value) => Write(value + NewLine);

        public override void Write(string? value)
        {
            inner.Write(value);
            if (IsClosed)
            {
                throw new ClosedOutputException();
            }
        }
    }
}
