using System.Globalization;

namespace NpmMirror.Storage;

/// <summary>
/// A newer program has migrated a store that this one has open. For authors of engines: ask for the schema's version in each transaction that writes, so that no older
/// program writes into tables that it does not know.
/// </summary>
public static class SchemaMoved
{
    /// <summary>The failure of the write: the store is for reading now, as far as this program still can.</summary>
    /// <param name="location">Which store.</param>
    /// <param name="version">The schema's version now.</param>
    /// <param name="known">The newest version that this program knows.</param>
    public static MirrorException ToException(string location, long version, long known) => new(
        MirrorFault.StoreReadOnly,
        string.Create(CultureInfo.InvariantCulture, $"A newer npm-mirror has brought {location} to schema version {version}, and this one knows versions up to {known}: it writes no more. Stop it, and start the newer one in its place."),
        isTransient: true);
}
