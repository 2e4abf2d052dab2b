using System.Collections.Concurrent;
using System.Numerics;
using System.Runtime.InteropServices;

namespace NpmMirror;

/// <summary>
/// Memory outside the managed heap. A few blocks of 64 KB to 1 MB are kept for whatever comes next: the system clears each page of fresh memory at its first
/// use, which costs more than to read a document into it.
/// </summary>
internal static class NativeBlocks
{
    private const int SmallestKeptBytes = 64 * 1024;
    private const int LargestKeptBytes = 1024 * 1024;
    private const int AllKeptMaxBytes = 8 * 1024 * 1024;

    private static readonly ConcurrentStack<nint>[] Kept = [.. Enumerable.Range(0, BitOperations.Log2(LargestKeptBytes / SmallestKeptBytes) + 1).Select(_ => new ConcurrentStack<nint>())];
    private static int _keptBytes;

    /// <summary>A block of at least <paramref name="bytes"/>, less than twice as long. What is in it is not defined.</summary>
    internal static unsafe (nint Start, int SizeBytes) Rent(int bytes)
    {
        var size = bytes is >= SmallestKeptBytes and <= LargestKeptBytes ? (int)BitOperations.RoundUpToPowerOf2((uint)bytes) : Math.Max(bytes, 1);
        if (IsKeptSize(size) && StackOf(size).TryPop(out var kept))
        {
            Interlocked.Add(ref _keptBytes, -size);
            return (kept, size);
        }

        return ((nint)NativeMemory.Alloc((nuint)size), size);
    }

    /// <summary>A longer or shorter block with the first <paramref name="keptBytes"/> of this one, which is gone. Long blocks are moved without a copy where the system can.</summary>
    internal static unsafe (nint Start, int SizeBytes) Resize(nint start, int sizeBytes, int bytes, int keptBytes)
    {
        if (sizeBytes > LargestKeptBytes && bytes > LargestKeptBytes)
        {
            return ((nint)NativeMemory.Realloc((void*)start, (nuint)bytes), bytes);
        }

        var resized = Rent(bytes);
        Buffer.MemoryCopy((void*)start, (void*)resized.Start, resized.SizeBytes, keptBytes);
        Return(start, sizeBytes);
        return resized;
    }

    /// <summary>Takes a block back.</summary>
    internal static unsafe void Return(nint start, int sizeBytes)
    {
        if (IsKeptSize(sizeBytes) && Interlocked.Add(ref _keptBytes, sizeBytes) <= AllKeptMaxBytes)
        {
            StackOf(sizeBytes).Push(start);
            return;
        }

        if (IsKeptSize(sizeBytes))
        {
            Interlocked.Add(ref _keptBytes, -sizeBytes);
        }

        NativeMemory.Free((void*)start);
    }

    private static bool IsKeptSize(int bytes) => bytes is >= SmallestKeptBytes and <= LargestKeptBytes && BitOperations.IsPow2(bytes);

    private static ConcurrentStack<nint> StackOf(int sizeBytes) => Kept[BitOperations.Log2((uint)(sizeBytes / SmallestKeptBytes))];
}
