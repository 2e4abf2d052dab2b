using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;

namespace NpmMirror.Storage;

/// <summary>Loads an engine from an assembly that this program does not know.</summary>
internal static class EngineModule
{
    /// <summary>The one engine in the assembly.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: no such file, no assembly, no engine in it or several; or this program cannot load any.</exception>
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Types are missing from a program that was trimmed for a native compiler, and that one refuses before it loads anything.")]
    internal static IMetadataEngine Load(string file)
    {
        if (string.IsNullOrWhiteSpace(file))
        {
            throw Fault("store.module is empty; give the path of the engine's .dll");
        }

        if (!RuntimeFeature.IsDynamicCodeSupported)
        {
            throw Fault("store.module is set, but this program is compiled to native code and loads no engine modules; run the ordinary build (NPM_MIRROR_BUILD=jit ./build.sh), or choose a built-in engine with store.engine");
        }

        var path = Path.GetFullPath(file);
        if (!File.Exists(path))
        {
            throw Fault($"store.module names {path}, but there is no such file; give the path of the engine's .dll");
        }

        try
        {
            var types = new ModuleContext(path).LoadFromAssemblyPath(path).GetExportedTypes();
            var engines = types.Where(type => type is { IsClass: true, IsAbstract: false } && type.IsAssignableTo(typeof(IMetadataEngine))).ToList();
            return engines switch
            {
                [var engine] when engine.GetConstructor(Type.EmptyTypes) is { } constructor => (IMetadataEngine)constructor.Invoke(null),
                [var engine] => throw Fault($"{engine} in {path} needs a public constructor without parameters"),
                [] => throw Fault($"{path} has no public class that implements {typeof(IMetadataEngine)}; was it built against another npm-mirror?"),
                _ => throw Fault($"{path} has {engines.Count} engines ({string.Join(", ", engines)}); store.module needs an assembly with one"),
            };
        }
        catch (Exception e) when (e is BadImageFormatException or IOException or TypeLoadException or ReflectionTypeLoadException or TargetInvocationException)
        {
            throw Fault($"store.module {path} cannot be loaded: {(e.InnerException ?? e).Message}", e);
        }
    }

    private static MirrorException Fault(string message, Exception? inner = null) => new(MirrorFault.Configuration, message.TrimEnd('.') + ".", inner: inner);

    // The module brings its own driver, but shares our assemblies: an interface of its own copy would not be ours.
    private sealed class ModuleContext(string path) : AssemblyLoadContext(Path.GetFileNameWithoutExtension(path))
    {
        private readonly AssemblyDependencyResolver _resolver = new(path);

        [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "As above: a native program does not get here.")]
        protected override Assembly? Load(AssemblyName assemblyName)
        {
            if (Default.Assemblies.Any(loaded => loaded.GetName().Name == assemblyName.Name))
            {
                return null;
            }

            return _resolver.ResolveAssemblyToPath(assemblyName) is { } file ? LoadFromAssemblyPath(file) : null;
        }

        protected override nint LoadUnmanagedDll(string unmanagedDllName) =>
            _resolver.ResolveUnmanagedDllToPath(unmanagedDllName) is { } file ? LoadUnmanagedDllFromPath(file) : 0;
    }
}
