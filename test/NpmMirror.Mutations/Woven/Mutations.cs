using System.IO.MemoryMappedFiles;

namespace NpmMirror;

/// <summary>The switches of the changes that were compiled in, for this process and its children: which one is on, and which were reached.</summary>
public static unsafe class Mutations
{
    private static readonly int On = int.Parse(Environment.GetEnvironmentVariable("TEST_MUTATION") ?? "0", System.Globalization.CultureInfo.InvariantCulture);

    private static readonly byte* Reached = Map();

    private static long _length;

    /// <summary>Whether a change is on.</summary>
    public static bool Is(int id)
    {
        if (Reached != null)
        {
            Reached[id] = 1;
        }

        return id == On;
    }

    /// <summary>Which switches this process and its children reached since the last call.</summary>
    public static List<int> TakeReached()
    {
        var ids = new List<int>();
        for (var id = 0; Reached != null && id < _length; id++)
        {
            if (Reached[id] != 0)
            {
                ids.Add(id);
                Reached[id] = 0;
            }
        }

        return ids;
    }

    // A file that all processes share, so that a killed process has recorded its switches too.
    private static byte* Map()
    {
        if (Environment.GetEnvironmentVariable("TEST_MUTATION_REACHED") is not { Length: > 0 } file)
        {
            return null;
        }

        _length = new FileInfo(file).Length;
        byte* pointer = null;
        MemoryMappedFile.CreateFromFile(file, FileMode.Open, null, 0).CreateViewAccessor().SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        return pointer;
    }
}
