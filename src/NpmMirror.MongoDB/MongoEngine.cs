using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>A mirror in MongoDB, whose packages and versions people can query: <c>mongodb://user:password@host/database</c>, or <c>MongoDB</c> with options.</summary>
public sealed class MongoEngine : IMetadataEngine
{
    /// <inheritdoc/>
    public string Name => "MongoDB";

    /// <inheritdoc/>
    public IReadOnlyList<string> Aliases => ["mongodb+srv"];

    /// <inheritdoc/>
    public IMetadataStore Create(StoreSettings settings)
    {
        settings.RequireOptions(Name, MongoAddress.OptionNames);
        return new MongoStore(MongoAddress.Parse(settings), settings.TimeProvider);
    }
}
