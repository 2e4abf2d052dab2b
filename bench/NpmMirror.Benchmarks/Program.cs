using System.Buffers;
using System.Diagnostics;
using System.IO.Compression;
using NpmMirror.Benchmarks;
using NpmMirror.Packuments;

// Usage: NpmMirror.Benchmarks [corpus folder] [rounds]: one thread; each line is the median of the rounds, in MB of raw JSON a second.
//        NpmMirror.Benchmarks floor CORPUS [passes]: the least that taking it in can cost (Floor.cs), as one line of JSON.
if (args is ["floor", var packuments, ..])
{
    using var floor = new Floor(Corpus.Load(packuments));
    Console.WriteLine(floor.Measure(args.Length > 2 ? int.Parse(args[2], System.Globalization.CultureInfo.InvariantCulture) : 3));
    return 0;
}

var folder = args.Length > 0 ? args[0] : "/tmp/corpus/packuments";
var rounds = args.Length > 1 ? int.Parse(args[1], System.Globalization.CultureInfo.InvariantCulture) : 5;
if (!Directory.Exists(folder))
{
    Console.Error.WriteLine($"There is no folder {folder}; pass one with packuments as <percent-encoded name>.json.");
    return 2;
}

var corpus = Corpus.Load(folder);
var indexes = corpus.Packages.Select(package => PackumentReader.Read(package.Document, package.Name).Index).ToArray();
var stored = indexes.Select(index => index.ToBytes()).ToArray();
var versions = indexes.Sum(index => index.Versions.Count);
Console.WriteLine($"corpus: {corpus.Packages.Count:N0} packuments, {versions:N0} versions, {corpus.SizeBytes / 1e6:N1} MB; {rounds} rounds, one thread");
Console.WriteLine($"index: {stored.Sum(bytes => bytes.Length):N0} bytes = {stored.Sum(bytes => (double)bytes.Length) / versions:F1} a version = {stored.Sum(bytes => (double)bytes.Length) / corpus.SizeBytes:P2} of raw");

const string BaseUrl = "http://127.0.0.1:4873/npm";
var output = new ArrayBufferWriter<byte>(64 * 1024 * 1024);
Measure("Utf8JsonReader alone (control)", (_, document) => Benchmark.Scan(document));
Measure("parse + index + hashes", (at, document) => PackumentReader.Read(document, corpus.Packages[at].Name));
Measure("index to bytes", (at, _) => indexes[at].ToBytes());
Measure("index from bytes", (at, _) => PackumentIndex.FromBytes(stored[at]));
Measure("diff, the same", (at, document) => PackumentDiff.Compare(indexes[at], document, indexes[at], document));
Measure("diff, one manifest and _rev", Benchmark.PrepareDiff(corpus, indexes));
Measure("full rendition", (at, document) => Write(PackumentForm.Full, at, document));
Measure("abbreviated rendition", (at, document) => Write(PackumentForm.Abbreviated, at, document));
for (var level = 1; level <= 4; level++)
{
    var options = new ZLibCompressionOptions { CompressionLevel = level };
    Measure($"gzip, level {level}", (_, document) => Benchmark.Compress(new GZipStream(Stream.Null, options), document));
}

Measure("brotli, quality 1", (_, document) => Benchmark.Compress(new BrotliStream(Stream.Null, new BrotliCompressionOptions { Quality = 1 }), document));
using var zstandard = new ZstdSharp.Compressor(1);
var coded = new byte[ZstdSharp.Compressor.GetCompressBound(corpus.Packages.Max(package => package.Document.Length))];
Measure("zstd, level 1", (_, document) => zstandard.Wrap(document, coded));
Measure("brotli, quality 2", (_, document) => Benchmark.Compress(new BrotliStream(Stream.Null, new BrotliCompressionOptions { Quality = 2 }), document));
return 0;

void Write(PackumentForm form, int at, byte[] document)
{
    output.ResetWrittenCount();
    PackumentWriter.Write(form, indexes[at], document, corpus.Packages[at].Name, BaseUrl, output);
}

void Measure(string what, Action<int, byte[]> action)
{
    // Processor time beside the clock's: on a busy machine only the former says anything.
    List<double> rates = [], processorRates = [];
    for (var round = 0; round <= rounds; round++)
    {
        var clock = Stopwatch.StartNew();
        var processor = Environment.CpuUsage.TotalTime;
        for (var i = 0; i < corpus.Packages.Count; i++)
        {
            action(i, corpus.Packages[i].Document);
        }

        // The first round warms up.
        if (round > 0)
        {
            rates.Add(corpus.SizeBytes / clock.Elapsed.TotalSeconds / 1e6);
            processorRates.Add(corpus.SizeBytes / (Environment.CpuUsage.TotalTime - processor).TotalSeconds / 1e6);
        }
    }

    rates.Sort();
    processorRates.Sort();
    Console.WriteLine($"{what,-32} {rates[rates.Count / 2],12:N0} MB/s  ({rates[0]:N0} … {rates[^1]:N0})  {processorRates[rates.Count / 2],12:N0} MB per processor second");
}
