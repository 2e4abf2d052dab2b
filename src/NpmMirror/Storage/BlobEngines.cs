using Microsoft.Extensions.Logging;
using NpmMirror.Options;

namespace NpmMirror.Storage;

/// <summary>The places for tarballs that a program was built with, and the way from <c>store.blobs</c> to one. Files and memory are always there.</summary>
public sealed class BlobEngines
{
    private readonly IReadOnlyList<IBlobEngine> _engines;

    /// <summary>Takes the engines besides files and memory.</summary>
    public BlobEngines(params IReadOnlyList<IBlobEngine> engines) => _engines = [new FileEngine(), new MemoryEngine(), .. engines];

    /// <summary>The names that <c>store.blobs</c> may have.</summary>
    public IReadOnlyList<string> Names => [.. _engines.Select(engine => engine.Name).Order(StringComparer.Ordinal)];

    /// <summary>Makes the place that the options describe.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: the options are wrong; nothing was written.</exception>
    public IBlobStore Create(StoreOptions options, string dataFolder, TimeProvider timeProvider, ILoggerFactory loggerFactory)
    {
        var location = StoreLocation.Parse(options.Blobs);
        var engine = _engines.FirstOrDefault(engine => string.Equals(engine.Name, location.Engine, StringComparison.OrdinalIgnoreCase))
            ?? throw new MirrorException(MirrorFault.Configuration, $"There is no place for tarballs named {MirrorException.Quote(location.Engine)}; store.blobs knows {string.Join(", ", Names)}. Another place comes with its package (NpmMirror.<Place>) and its Use<Place>().");
        return engine.Create(new StoreSettings
        {
            Address = location.Address,
            Options = new Dictionary<string, string>(options.BlobOptions, StringComparer.OrdinalIgnoreCase),
            OptionsName = "store.blobOptions",
            DataFolder = dataFolder,
            TimeProvider = timeProvider,
            LoggerFactory = loggerFactory,
        });
    }

    /// <summary><c>files</c> below the data folder, or <c>files:/tarballs</c>.</summary>
    private sealed class FileEngine : IBlobEngine
    {
        public string Name => "Files";

        public IBlobStore Create(StoreSettings settings)
        {
            settings.RequireOptions(Name);
            return new FileBlobStore(settings.Address ?? settings.DataFolder, settings.LoggerFactory.CreateLogger<FileBlobStore>());
        }
    }

    private sealed class MemoryEngine : IBlobEngine
    {
        public string Name => "Memory";

        public IBlobStore Create(StoreSettings settings)
        {
            settings.RequireOptions(Name);
            return new MemoryBlobStore(settings.TimeProvider);
        }
    }
}
