using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror;
using NpmMirror.MongoDB;
using NpmMirror.Options;
using NpmMirror.Postgres;
using NpmMirror.Sqlite;
using NpmMirror.StoreBenchmarks;
using NpmMirror.Storage;

// Usage: NpmMirror.StoreBenchmarks [commits <concurrency> <count> | reads <concurrency> <count> | size <corpus folder>] [--memory | --store=LOCATION]
//        --store: another engine, for example postgres://user:password@host/database?schema=bench; the store should be empty
//        NpmMirror.StoreBenchmarks stages <upstream>           each stage of a sync alone
//        NpmMirror.StoreBenchmarks check <upstream> <file>     every document of a database against the upstream's
// Without a mode: all of them. To count syncs: strace -c -f -e trace=fsync,fdatasync dotnet NpmMirror.StoreBenchmarks.dll commits 64 1000
var folder = Directory.CreateTempSubdirectory("npm-mirror-bench-").FullName;
try
{
    if (args is ["stages" or "check", var upstream, ..])
    {
        using var ingest = await Ingest.OpenAsync(upstream);
        Console.WriteLine(args is ["check", _, var file] ? await ingest.CheckAsync(file) : await ingest.MeasureStagesAsync(folder));
        return 0;
    }

    var location = args.FirstOrDefault(arg => arg.StartsWith("--store=", StringComparison.Ordinal))?["--store=".Length..];
    var words = args.Where(arg => !arg.StartsWith("--", StringComparison.Ordinal)).ToArray();
    string[][] runs = words.Length > 0
        ? [words]
        : [["commits", "1", "3000"], ["commits", "10", "10000"], ["commits", "64", "20000"], ["reads", "1", "50000"], ["reads", "2", "100000"], ["size", "/tmp/corpus/packuments"]];
    foreach (var run in runs)
    {
        await using IMetadataStore store = args.Contains("--memory")
            ? new MemoryStore(TimeProvider.System)
            : location is not null ? new MetadataEngines(new MongoEngine(), new PostgresEngine()).Create(new StoreOptions { Engine = location }, folder, TimeProvider.System, NullLoggerFactory.Instance)
            : new SqliteStore(Path.Combine(folder, $"{run[0]}-{Guid.NewGuid():N}.sqlite"), TimeProvider.System);
        await store.OpenAsync(CancellationToken.None);
        var line = run switch
        {
            ["commits", var concurrency, var count] => await Workloads.CommitAsync(store, Number(concurrency), Number(count)),
            ["reads", var concurrency, var count] => await Workloads.ReadAsync(store, Number(concurrency), Number(count)),
            ["size", var corpus] => await Workloads.FillAsync(store, corpus, folder),
            _ => throw new MirrorException(MirrorFault.BadInput, $"There is no run {string.Join(' ', run)}; see the first lines of Program.cs."),
        };
        Console.WriteLine($"{string.Join(' ', run),-34} {line}");
    }

    return 0;
}
catch (MirrorException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
finally
{
    Directory.Delete(folder, recursive: true);
}

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
