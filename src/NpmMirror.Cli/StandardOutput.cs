using System.Runtime.InteropServices;

namespace NpmMirror.Cli;

/// <summary>Nobody reads standard output any more: the command ends there, quietly, as other tools do.</summary>
internal sealed class ClosedOutputException : Exception;

/// <summary>
/// Standard output that can end a command. .NET ignores the signal for a closed pipe and passes over the failed write, so that <c>monitor | head</c> would
/// go on for ever; here each write looks whether there still is a reader, and an endless command that has nothing to write looks now and then.
/// </summary>
internal static partial class StandardOutput
{
    private const int FileDescriptor = 1;

    // From poll.h, the same on Linux and macOS.
    private const short Failed = 0x08;
    private const short HungUp = 0x10;

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    private static bool IsClosed
    {
        get
        {
            if (OperatingSystem.IsWindows())
            {
                return false;
            }

            var watched = new Watched { FileDescriptor = FileDescriptor };
            return Poll(ref watched, 1, timeoutMilliseconds: 0) > 0 && (watched.Happened & (Failed | HungUp)) != 0;
        }
    }

    /// <summary>From now on a write that nobody reads throws <see cref="ClosedOutputException"/>.</summary>
    public static void EndWhenClosed() => Console.SetOut(new StreamWriter(new WatchedStream(Console.OpenStandardOutput()), Console.OutputEncoding, bufferSize: 256) { AutoFlush = true });

    /// <summary>Cancels once nobody reads any more, for a command that waits for something to write.</summary>
    public static async Task CancelWhenClosedAsync(CancellationTokenSource source, TimeProvider time)
    {
        using var timer = new PeriodicTimer(LookEvery, time);
        try
        {
            while (await timer.WaitForNextTickAsync(source.Token) && !IsClosed)
            {
            }

            await source.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // The command ended first.
        }
    }

    /// <summary>Says what a server is about to do: a server goes on without anybody who reads it.</summary>
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

    private sealed class WatchedStream(Stream inner) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            inner.Write(buffer);
            if (IsClosed)
            {
                throw new ClosedOutputException();
            }
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
