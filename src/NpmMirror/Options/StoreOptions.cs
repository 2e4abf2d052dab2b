namespace NpmMirror.Options;

/// <summary>The engines of metadata and tarballs.</summary>
public sealed class StoreOptions
{
    /// <summary>An engine's name (<c>Sqlite</c>, <c>Memory</c>) or a location (<c>sqlite:/data</c>). Null: <c>Sqlite</c>, unless there is a <see cref="Module"/>.</summary>
    public string? Engine { get; set; }

    /// <summary>The assembly of a third-party engine; not together with <see cref="Engine"/>.</summary>
    public string? Module { get; set; }

    /// <summary>Where tarballs go: an engine's name (<c>Files</c>: below the data folder; <c>Memory</c>) or a location (<c>files:/tarballs</c>).</summary>
    public string Blobs { get; set; } = "Files";

    /// <summary>The engine's own settings.</summary>
    public IDictionary<string, string> Options { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>The settings of the engine that <see cref="Blobs"/> names.</summary>
    public IDictionary<string, string> BlobOptions { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
}
