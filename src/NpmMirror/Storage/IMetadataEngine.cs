using Microsoft.Extensions.Logging;

namespace NpmMirror.Storage;

/// <summary>
/// A kind of store, by name. Implement it, with a public constructor without parameters, in an assembly of your own, and
/// <c>store.module</c> loads it.
/// </summary>
public interface IMetadataEngine
{
    /// <summary>The name in <c>store.engine</c> and before the colon of a location; case does not count.</summary>
    string Name { get; }

    /// <summary>Further names before the colon of a location, such as <c>rediss</c> or <c>postgresql</c>; case does not count.</summary>
    IReadOnlyList<string> Aliases => [];

    /// <summary>Makes a store that has not been opened; nothing is read or written yet.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: a setting is wrong.</exception>
    IMetadataStore Create(StoreSettings settings);

    /// <summary>Where the store keeps its files on this machine; null for an engine that keeps none here.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: a setting is wrong.</exception>
    StorePlace? Locate(StoreSettings settings) => null;
}

/// <summary>The files of an embedded engine.</summary>
/// <param name="Folder">Their folder, whole.</param>
/// <param name="FileName">The file that is there when there is a store.</param>
public sealed record StorePlace(string Folder, string FileName)
{
    /// <summary>True when there is a store already.</summary>
    public bool IsThere => File.Exists(Path.Combine(Folder, FileName));
}

/// <summary>The settings that an engine gets.</summary>
public sealed record StoreSettings
{
    /// <summary>The text after the engine's name in a location (<c>/data</c> of <c>sqlite:/data</c>; the whole of a URL), or null.</summary>
    public string? Address { get; init; }

    /// <summary>The engine's own settings; the names' case does not count.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>Where <see cref="Options"/> come from, for messages.</summary>
    public string OptionsName { get; init; } = "store.options";

    /// <summary>The mirror's data folder: where an embedded engine keeps its files when no address says otherwise.</summary>
    public required string DataFolder { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider TimeProvider { get; init; }

    /// <summary>Where the engine logs.</summary>
    public required ILoggerFactory LoggerFactory { get; init; }

    /// <summary>Refuses options that an engine does not know, so that a misspelt one is not silently without effect.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>.</exception>
    public void RequireOptions(string engine, params IReadOnlyList<string> known)
    {
        var unknown = Options.Keys.Where(key => !known.Contains(key, StringComparer.OrdinalIgnoreCase)).Order(StringComparer.Ordinal).ToList();
        if (unknown.Count > 0)
        {
            var knows = known.Count == 0 ? "has no options" : $"knows {string.Join(", ", known)}";
            throw new MirrorException(MirrorFault.Configuration, $"The store engine {engine} {knows}, but not {OptionsName}.{string.Join($", {OptionsName}.", unknown)}.");
        }
    }
}
