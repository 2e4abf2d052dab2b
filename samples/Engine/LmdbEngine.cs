using System.Globalization;
using NpmMirror;
using NpmMirror.Storage;

namespace Engine;

/// <summary>A mirror's metadata in LMDB. <c>store.module=Engine.dll</c> finds this class and makes the store.</summary>
public sealed class LmdbEngine : IMetadataEngine
{
    private const long MapDefaultBytes = 64L << 30;
    private const long MapMinBytes = 1L << 20;

    /// <inheritdoc/>
    public string Name => "Lmdb";

    /// <inheritdoc/>
    public IMetadataStore Create(StoreSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        var text = settings.Options.GetValueOrDefault("mapBytes");
        if (text is not null && (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var given) || given < MapMinBytes))
        {
            throw new MirrorException(MirrorFault.Configuration, $"store.options.mapBytes is {MirrorException.Quote(text)}; give a number of bytes, at least {MapMinBytes}.");
        }

        return new LmdbStore(FolderOf(settings), text is null ? MapDefaultBytes : long.Parse(text, CultureInfo.InvariantCulture), settings.TimeProvider);
    }

    /// <inheritdoc/>
    public StorePlace Locate(StoreSettings settings) => new(FolderOf(settings), "data.mdb");

    private string FolderOf(StoreSettings settings)
    {
        settings.RequireOptions(Name, "path", "mapBytes");
        return Path.GetFullPath(settings.Options.GetValueOrDefault("path") ?? Path.Combine(settings.DataFolder, "lmdb"));
    }
}
