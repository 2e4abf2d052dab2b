using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror;
using NpmMirror.MongoDB;
using NpmMirror.Options;
using NpmMirror.Postgres;
using NpmMirror.Redis;
using NpmMirror.Sqlite;
using NpmMirror.StoreBenchmarks;
using NpmMirror.Storage;

// Usage: NpmMirror.StoreBenchmarks PART CORPUS STORE [NAME=VALUE ...]
//        PART   ingest (into an empty store; kills itself at the end), open, read, list or change
//        CORPUS a folder of packuments
//        STORE  a location, for example sqlite:/tmp/bench or postgres://user:password@host/database?schema=bench; NAME=VALUE is an option of its engine
//        NpmMirror.StoreBenchmarks stages UPSTREAM           each stage of a sync alone
//        NpmMirror.StoreBenchmarks check UPSTREAM FILE       every document of a SQLite database against the upstream's
try
{
    switch (args)
    {
        case ["stages", var upstream]:
            var folder = Directory.CreateTempSubdirectory("npm-mirror-bench-").FullName;
            try
            {
                using var ingest = await Ingest.OpenAsync(upstream);
                Console.WriteLine(await ingest.MeasureStagesAsync(folder));
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }

            return 0;
        case ["check", var upstream, var file]:
            using (var ingest = await Ingest.OpenAsync(upstream))
            {
                Console.WriteLine(await ingest.CheckAsync(file));
            }

            return 0;
        case [var part, var corpus, var location, .. var settings]:
            var options = new StoreOptions { Engine = location };
            foreach (var setting in settings.Select(setting => setting.Split('=', 2)))
            {
                options.Options[setting[0]] = setting[^1];
            }

            var engines = new MetadataEngines(new SqliteEngine(), new PostgresEngine(), new RedisEngine(), new MongoEngine());
            await using (var store = engines.Create(options, Path.GetTempPath(), TimeProvider.System, NullLoggerFactory.Instance))
            {
                var suite = new Suite(store, new Corpus(corpus));
                await suite.WaitAsync();
                Console.WriteLine(part switch
                {
                    "ingest" => await suite.IngestAsync(),
                    "open" => await suite.OpenAsync(),
                    "read" => await suite.ReadAsync(),
                    "list" => await suite.ListAsync(),
                    "change" => await suite.ChangeAsync(),
                    _ => throw new MirrorException(MirrorFault.BadInput, $"There is no part {part}; see the first lines of Program.cs."),
                });
                if (part == "ingest")
                {
                    // What was acknowledged is there, also of a process that does not close its store.
                    Process.GetCurrentProcess().Kill();
                }
            }

            return 0;
        default:
            throw new MirrorException(MirrorFault.BadInput, "Name a part, a corpus and a store; see the first lines of Program.cs.");
    }
}
catch (MirrorException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
