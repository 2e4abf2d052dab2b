using System.Reflection;
using System.Runtime.InteropServices;
using LightningDB;

namespace Engine;

/// <summary>Finds LMDB itself: the one that the package brings, or the system's where that one is too new for it (Debian 12).</summary>
internal static class LmdbLibrary
{
    private static readonly Lazy<bool> Loaded = new(() =>
    {
        NativeLibrary.SetDllImportResolver(typeof(LightningEnvironment).Assembly, Find);
        return true;
    });

    /// <summary>Before the first call of LMDB.</summary>
    internal static void Load() => _ = Loaded.Value;

    // 0: the runtime looks for itself, and tells what is missing.
    private static nint Find(string name, Assembly assembly, DllImportSearchPath? path) =>
        TryLoad(name, assembly, path, out var library) || NativeLibrary.TryLoad("liblmdb.so.0", out library) ? library : 0;

    private static bool TryLoad(string name, Assembly assembly, DllImportSearchPath? path, out nint library)
    {
        try
        {
            return NativeLibrary.TryLoad(name, assembly, path, out library);
        }
        catch (DllNotFoundException)
        {
            // Found, but made for another system.
            library = 0;
            return false;
        }
    }
}
