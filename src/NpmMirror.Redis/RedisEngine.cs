using NpmMirror.Storage;

namespace NpmMirror.Redis;

/// <summary>A mirror in Redis, where other programs read the packuments: <c>redis://host/0?prefix=npm:</c>, or <c>Redis</c> with options.</summary>
public sealed class RedisEngine : IMetadataEngine
{
    /// <inheritdoc/>
    public string Name => "Redis";

    /// <inheritdoc/>
    public IReadOnlyList<string> Aliases => ["rediss"];

    /// <inheritdoc/>
    public IMetadataStore Create(StoreSettings settings)
    {
        settings.RequireOptions(Name, RedisAddress.OptionNames);
        return new RedisStore(RedisAddress.Parse(settings), settings.TimeProvider, settings.LoggerFactory);
    }
}
