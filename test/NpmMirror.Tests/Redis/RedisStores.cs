using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Redis;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>Makes stores as a program does: by the engine, from a location.</summary>
internal static class RedisStores
{
    internal static IMetadataStore Create(string location, TimeProvider? time = null, ILoggerFactory? loggers = null, params (string Name, string Value)[] options) => new RedisEngine().Create(new StoreSettings
    {
        Address = location,
        Options = options.ToDictionary(option => option.Name, option => option.Value),
        DataFolder = "/nowhere",
        TimeProvider = time ?? TimeProvider.System,
        LoggerFactory = loggers ?? NullLoggerFactory.Instance,
    });
}
