using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>The embedded default: one folder is the mirror. <c>sqlite:/data</c>, or <c>Sqlite</c> for the mirror's data folder.</summary>
public sealed class SqliteEngine : IMetadataEngine
{
    /// <summary>The database's file name inside its folder.</summary>
    public const string FileName = "npm-mirror.sqlite";

    /// <inheritdoc/>
    public string Name => "Sqlite";

    /// <inheritdoc/>
    public IMetadataStore Create(StoreSettings settings) => new SqliteStore(Path.Combine(FolderOf(settings), FileName), settings.TimeProvider);

    /// <inheritdoc/>
    public StorePlace Locate(StoreSettings settings) => new(FolderOf(settings), FileName);

    private string FolderOf(StoreSettings settings)
    {
        settings.RequireOptions(Name, "path");
        var folder = settings.Address ?? settings.Options.GetValueOrDefault("path") ?? settings.DataFolder;
        if (string.IsNullOrWhiteSpace(folder))
        {
            throw new MirrorException(MirrorFault.Configuration, $"The store engine {Name} has an empty folder; give one with data or store.options.path.");
        }

        return Path.GetFullPath(folder);
    }
}
