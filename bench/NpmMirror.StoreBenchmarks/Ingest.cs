using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Packuments;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.StoreBenchmarks;

/// <summary>What it takes to bring everything that an upstream lists into a store, stage by stage, and whether it is there afterwards.</summary>
internal sealed class Ingest(RegistryClient client, IReadOnlyList<PackageName> names) : IDisposable
{
    private const int FetchesAtOnce = 10;
    private const int CommitsAtOnce = 64;

    public static async Task<Ingest> OpenAsync(string upstream)
    {
        using var http = new HttpClient();
        using var list = await http.GetFromJsonAsync<JsonDocument>(new Uri(new Uri(upstream), "_all_docs"));
        var names = list!.RootElement.GetProperty("rows").EnumerateArray().Select(row => PackageName.Parse(row.GetProperty("id").GetString()!)).ToList();
        return new Ingest(new RegistryClient(new RegistryClientOptions { BaseUrl = new Uri(upstream) }, new ByteBudget(128 * 1024 * 1024), TimeProvider.System, NullLogger.Instance), names);
    }

    public void Dispose() => client.Dispose();

    /// <summary>Each stage alone over everything, the second time: processor seconds, as one line of JSON.</summary>
    public async Task<string> MeasureStagesAsync(string folder)
    {
        var documents = new byte[names.Count][];
        var seconds = new Dictionary<string, double>
        {
            ["receive"] = await MeasureAsync(FetchesAtOnce, _ => Task.CompletedTask, async i => documents[i] = await FetchAsync(names[i])),
        };
        var raw = documents.Sum(document => (long)document.Length);
        var parsed = new ParsedPackument[names.Count];
        var stored = new StoredDocument[names.Count];
        seconds["parse"] = await MeasureAsync(1, _ => Task.CompletedTask, i => Do(() => parsed[i] = PackumentReader.Read(documents[i], names[i])));
        var hashes = new Digest[names.Count];
        seconds["hash"] = await MeasureAsync(1, _ => Task.CompletedTask, i => Do(() => hashes[i] = Digest.OfSha256(documents[i])));
        seconds["compress"] = await MeasureAsync(1, _ => Task.CompletedTask, i => Do(() => stored[i] = DocumentCodecs.Encode(documents[i], hashes[i])));
        SqliteStore? store = null;
        seconds["commit"] = await MeasureAsync(
            CommitsAtOnce,
            async pass =>
            {
                await (store?.DisposeAsync() ?? ValueTask.CompletedTask);
                store = new SqliteStore(Path.Combine(folder, $"stages-{pass}.sqlite"), TimeProvider.System);
                await store.OpenAsync(CancellationToken.None);
            },
            async i => await store!.Packages.CommitAsync(Corpus.CommitOf(names[i], stored[i], parsed[i].Index, 0), CancellationToken.None));
        await store!.DisposeAsync();

        // Not a part of a first sync: what it costs when every document comes again with one member changed.
        seconds["diff"] = await MeasureAsync(1, _ => Task.CompletedTask, i => Do(() =>
        {
            byte[] document = [.. "{\"_rev\":\"2-0\","u8, .. documents[i].AsSpan(1)];
            var changed = PackumentReader.Read(document, names[i], hashSeed: parsed[i].Index.HashSeed);
            _ = PackumentDiff.Compare(parsed[i].Index, documents[i], changed.Index, document);
        })) - seconds["parse"];
        return JsonSerializer.Serialize(new { raw, seconds });
    }

    /// <summary>Reads every document of a store back and compares its SHA-256 with that of what the upstream sends.</summary>
    public async Task<string> CheckAsync(string file)
    {
        await using var store = new SqliteStore(file, TimeProvider.System);
        await store.OpenAsync(CancellationToken.None);
        using var budget = new ByteBudget(128 * 1024 * 1024);
        foreach (var name in names)
        {
            var package = await store.Packages.ReadAsync(name, CancellationToken.None)
                ?? throw new MirrorException(MirrorFault.StoreUnavailable, $"{name} is not in {file}.");
            using var document = await DocumentCodecs.DecodeAsync(name, package.Document, budget, CancellationToken.None);
            if (Digest.OfSha256(await FetchAsync(name)) != package.Document.Sha256)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"{name} in {file} is not what the upstream sends.");
            }
        }

        return $"{names.Count} documents read back, each with the SHA-256 of what the upstream sends";
    }

    private async Task<byte[]> FetchAsync(PackageName name)
    {
        var answer = (PackumentAnswer.Fetched)await client.GetPackumentAsync(name, default, isCacheBusted: false, CancellationToken.None);
        using (answer.Document)
        {
            return answer.Document.Bytes.ToArray();
        }
    }

    private async Task<double> MeasureAsync(int atOnce, Func<int, Task> prepare, Func<int, Task> work)
    {
        var seconds = 0.0;
        for (var pass = 0; pass < 2; pass++)
        {
            await prepare(pass);
            var next = -1;
            var before = Environment.CpuUsage.TotalTime;
            await Task.WhenAll(Enumerable.Range(0, atOnce).Select(_ => Task.Run(async () =>
            {
                for (int i; (i = Interlocked.Increment(ref next)) < names.Count;)
                {
                    await work(i);
                }
            })));
            seconds = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        }

        return seconds;
    }

    private static Task Do(Action action)
    {
        action();
        return Task.CompletedTask;
    }
}
