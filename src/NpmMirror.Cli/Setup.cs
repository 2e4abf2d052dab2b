using Microsoft.Extensions.Logging.Console;
using NpmMirror.Hosting;
using NpmMirror.MongoDB;
using NpmMirror.Options;
using NpmMirror.Postgres;
using NpmMirror.Redis;
using NpmMirror.S3;
using NpmMirror.Storage;

namespace NpmMirror.Cli;

/// <summary>The parts of the commands: log output, the engines this program was built with, store and blobs.</summary>
internal static class Setup
{
    private static readonly TimeSpan DrainMax = TimeSpan.FromSeconds(20);

    // Besides memory, files and the default, which are there without being named.
    private static readonly IMetadataEngine[] MetadataBuiltIn = [new MongoEngine(), new PostgresEngine(), new RedisEngine()];
    private static readonly IBlobEngine[] BlobsBuiltIn = [new S3Engine()];

    /// <summary>The engines this program was built with.</summary>
    public static MetadataEngines Engines { get; } = new(MetadataBuiltIn);

    /// <summary>The places for tarballs this program was built with.</summary>
    public static BlobEngines BlobPlaces { get; } = new(BlobsBuiltIn);

    /// <summary>Lets the options of a mirror name the same engines.</summary>
    public static MirrorBuilder UseEngines(this MirrorBuilder mirror) =>
        BlobsBuiltIn.Aggregate(MetadataBuiltIn.Aggregate(mirror, (with, engine) => with.AddEngine(engine)), (with, engine) => with.AddEngine(engine));

    /// <summary>Logging to standard error, one line each; standard output is for results.</summary>
    public static ILoggerFactory CreateLogging(LogOptions options) => LoggerFactory.Create(builder => ConfigureLogging(builder, options));

    private static void ConfigureLogging(ILoggingBuilder builder, LogOptions options)
    {
        builder.ClearProviders();
        builder.SetMinimumLevel(options.Level);
        // The framework's lines at Information are of no use to an operator.
        builder.AddFilter("Microsoft", Max(options.Level, LogLevel.Warning));
        builder.AddFilter("System", Max(options.Level, LogLevel.Warning));
        // A start or end that fails is told in one sentence, when the command ends.
        builder.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        // It never logs at Warning; but if enabled, each request costs an Activity.
        builder.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        builder.AddFilter("NpmMirror.Monitor", options.Monitor ?? options.Level);
        builder.AddFilter("NpmMirror.Mirror", options.Mirror ?? options.Level);
        builder.Services.AddSingleton<ConsoleFormatter, LogLines>();
        builder.AddConsole(console =>
        {
            console.FormatterName = LogLines.FormatterName;
            console.LogToStandardErrorThreshold = LogLevel.Trace;
        });
    }

    /// <summary>The store that the options describe, not opened yet.</summary>
    public static IMetadataStore CreateStore(MirrorOptions options, ILoggerFactory logging) =>
        Engines.Create(options.Store, options.Data, TimeProvider.System, logging);

    /// <summary>Where the tarballs are.</summary>
    public static IBlobStore CreateBlobs(MirrorOptions options, ILoggerFactory logging) =>
        BlobPlaces.Create(options.Store, options.Data, TimeProvider.System, logging);

    /// <summary>Opens the mirror that the options describe, for work that is done once.</summary>
    /// <exception cref="MirrorException">The upstream is not known, or the store refuses.</exception>
    public static Task<Mirror> OpenAsync(MirrorOptions options, ILoggerFactory logging, CancellationToken cancellationToken) =>
        new MirrorBuilder(options).UseEngines().UseLoggers(logging).OpenAsync(cancellationToken);

    /// <summary>The common settings of all hosts of this program: where they log, how long ending may take, and that signals are the program's.</summary>
    public static void ConfigureHost(IServiceCollection services, ILoggingBuilder logging, MirrorOptions options)
    {
        ConfigureLogging(logging, options.Log);
        services.AddSingleton<IHostLifetime, SignalsLifetime>();
        services.Configure<HostOptions>(host => host.ShutdownTimeout = DrainMax);
    }

    /// <summary>Refuses a folder without a store, also the empty one of a disk that is not mounted: a command for held packages makes nothing.</summary>
    /// <exception cref="MirrorException">There is no store.</exception>
    public static void RequireExistingStore(MirrorOptions options)
    {
        if (Locate(options) is { IsThere: false } place)
        {
            throw new MirrorException(
                MirrorFault.StoreUnavailable,
                $"There is no mirror in {place.Folder}, no {place.FileName}; see that its disk is mounted, name its folder with data, or let npm-mirror serve make one.");
        }
    }

    /// <summary>Refuses requests to the upstream if <c>offline</c> is set.</summary>
    /// <exception cref="MirrorException">It is set.</exception>
    public static void RequireOnline(MirrorOptions options, string command)
    {
        if (options.Offline)
        {
            throw new MirrorException(MirrorFault.Configuration, $"offline is set, and {command} asks the upstream; leave offline out, or run npm-mirror serve, which serves what is held.");
        }
    }

    /// <summary>Opens the store of a mirror that is there.</summary>
    /// <exception cref="MirrorException">There is none, or it refuses.</exception>
    public static async Task<IMetadataStore> OpenExistingStoreAsync(MirrorOptions options, ILoggerFactory logging, CancellationToken cancellationToken)
    {
        RequireExistingStore(options);
        var store = CreateStore(options, logging);
        try
        {
            await store.OpenAsync(cancellationToken);

            // A server makes an empty store under any name. A mirror leaves notes from its first moment on.
            if (store.IsShared && !await store.Notes.ListNotesAsync("", cancellationToken).AnyAsync(cancellationToken))
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"There is no mirror in {store.Location}; see that database, schema or prefix are right, or let npm-mirror serve make one.");
            }

            return store;
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }

    /// <summary>Where the store keeps its files on this machine; null for an engine that keeps none here.</summary>
    public static StorePlace? Locate(MirrorOptions options) => Engines.Locate(options.Store, options.Data);

    private static LogLevel Max(LogLevel left, LogLevel right) => left > right ? left : right;

    /// <summary>The host's own lifetime would swallow a second signal, which must still end the process.</summary>
    private sealed class SignalsLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
