using System.ComponentModel;

namespace NpmMirror.Options;

/// <summary>The engines of metadata and tarballs.</summary>
public sealed class StoreOptions
{
    /// <summary>An engine's name (<c>Sqlite</c>, <c>Memory</c>) or a location (<c>sqlite:/data</c>). Null: <c>Sqlite</c>, unless there is a <see cref="Module"/>.</summary>
    [Description("An engine's name (Sqlite, Memory) or a location (sqlite:/data); default: Sqlite")]
    public string? Engine { get; set; }

    /// <summary>The assembly of a third-party engine; not together with <see cref="Engine"/>.</summary>
    [Description("The assembly of a third-party engine; not together with store.engine")]
    public string? Module { get; set; }

    /// <summary>Where tarballs go: an engine's name (<c>Files</c>: below the data folder; <c>Memory</c>) or a location (<c>files:/tarballs</c>).</summary>
    [Description("Where tarballs go: an engine's name (Files: below data; Memory) or a location (files:/tarballs)")]
    public string Blobs { get; set; } = "Files";

    /// <summary>The engine's own settings.</summary>
    [Description("The engine's own settings: store.options.<name>")]
    public IDictionary<string, string> Options { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>The settings of the engine that <see cref="Blobs"/> names.</summary>
    [Description("The settings of the engine that store.blobs names: store.blobOptions.<name>")]
    public IDictionary<string, string> BlobOptions { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
}
