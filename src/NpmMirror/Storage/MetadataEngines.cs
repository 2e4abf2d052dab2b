using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Options;

namespace NpmMirror.Storage;

/// <summary>The engines a program was built with, and the way from <c>store.*</c> to a store. Memory is always there, and the default engine where its assembly is.</summary>
/// <example><code>new MetadataEngines(new PostgresEngine()).Create(options.Store, options.Data, timeProvider, loggerFactory)</code></example>
public sealed class MetadataEngines
{
    private const string DefaultEngine = "Sqlite";
    private readonly IReadOnlyList<IMetadataEngine> _engines;

    /// <summary>Takes the engines besides memory and the default.</summary>
    public MetadataEngines(params IReadOnlyList<IMetadataEngine> engines) =>
        _engines = [new MemoryEngine(), .. engines, .. FindDefault() is { } found && !engines.Any(engine => engine.Name == found.Name) ? [found] : (IMetadataEngine[])[]];

    /// <summary>The names that <c>store.engine</c> may have.</summary>
    public IReadOnlyList<string> Names => [.. _engines.Select(engine => engine.Name).Order(StringComparer.Ordinal)];

    /// <summary>Makes the store that the options describe; it has not been opened.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: the options are wrong; nothing was written.</exception>
    public IMetadataStore Create(StoreOptions options, string dataFolder, TimeProvider timeProvider, ILoggerFactory loggerFactory)
    {
        var (engine, settings) = Choose(options, dataFolder, timeProvider, loggerFactory);
        return engine.Create(settings);
    }

    /// <summary>Where the store that the options describe keeps its files on this machine; null for an engine that keeps none here.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: the options are wrong.</exception>
    public StorePlace? Locate(StoreOptions options, string dataFolder)
    {
        var (engine, settings) = Choose(options, dataFolder, TimeProvider.System, NullLoggerFactory.Instance);
        return engine.Locate(settings);
    }

    // The one place that names it: found if its assembly is part of the program, which trimming understands.
    private static IMetadataEngine? FindDefault() =>
        Type.GetType("NpmMirror.Sqlite.SqliteEngine, NpmMirror.Sqlite") is { } type ? (IMetadataEngine)Activator.CreateInstance(type)! : null;

    private (IMetadataEngine Engine, StoreSettings Settings) Choose(StoreOptions options, string dataFolder, TimeProvider timeProvider, ILoggerFactory loggerFactory)
    {
        if (options.Engine is not null && options.Module is not null)
        {
            throw new MirrorException(MirrorFault.Configuration, "store.engine and store.module are both given; keep one: the module names its engine itself.");
        }

        var location = options.Module is null ? StoreLocation.Parse(options.Engine ?? DefaultEngine) : null;
        var engine = location is null ? EngineModule.Load(options.Module!) : Find(location.Engine);
        return (engine, new StoreSettings
        {
            Address = location?.Address,
            Options = new Dictionary<string, string>(options.Options, StringComparer.OrdinalIgnoreCase),
            DataFolder = dataFolder,
            TimeProvider = timeProvider,
            LoggerFactory = loggerFactory,
        });
    }

    private IMetadataEngine Find(string name) =>
        _engines.FirstOrDefault(engine => engine.Aliases.Prepend(engine.Name).Contains(name, StringComparer.OrdinalIgnoreCase))
        ?? throw new MirrorException(MirrorFault.Configuration, name.Equals(DefaultEngine, StringComparison.OrdinalIgnoreCase)
            ? $"The store engine {DefaultEngine}, the default, is not part of this program; add its package NpmMirror.{DefaultEngine}, or name another with store.engine ({string.Join(", ", Names)})."
            : $"There is no store engine {MirrorException.Quote(name)}; store.engine knows {string.Join(", ", Names)}. Another engine comes with its package (NpmMirror.<Engine>) and its Use<Engine>(); store.module loads one from an assembly.");

    private sealed class MemoryEngine : IMetadataEngine
    {
        public string Name => "Memory";

        public IMetadataStore Create(StoreSettings settings)
        {
            settings.RequireOptions(Name);
            return new MemoryStore(settings.TimeProvider);
        }
    }
}
