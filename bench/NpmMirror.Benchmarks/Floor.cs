using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using ZstdSharp;

namespace NpmMirror.Benchmarks;

/// <summary>
/// The least that taking in packuments can cost: inflate, read the JSON, one SHA-256, zstd 1, on one thread, with buffers that are there already.
/// No requests, no index, no store. <c>sync</c> is measured against it (bench/keep.sh, bench/quick.sh).
/// </summary>
internal sealed class Floor : IDisposable
{
    private readonly List<(byte[] Gzip, int RawBytes)> _documents = [];
    private readonly byte[] _raw;
    private readonly byte[] _stored;
    private readonly Compressor _compressor = new(level: 1);

    internal Floor(Corpus corpus)
    {
        foreach (var (_, document) in corpus.Packages)
        {
            using var gzip = new MemoryStream();
            using (var coder = new GZipStream(gzip, CompressionLevel.Optimal, leaveOpen: true))
            {
                coder.Write(document);
            }

            _documents.Add((gzip.ToArray(), document.Length));
        }

        _raw = new byte[_documents.Max(document => document.RawBytes)];
        _stored = new byte[Compressor.GetCompressBound(_raw.Length)];
    }

    private long RawBytes => _documents.Sum(document => (long)document.RawBytes);

    public void Dispose() => _compressor.Dispose();

    /// <summary>Some passes over everything after one that does not count: the median of their processor seconds, as one line of JSON.</summary>
    internal string Measure(int passes)
    {
        var stored = Pass();
        var seconds = new List<double>();
        for (var pass = 0; pass < passes; pass++)
        {
            var before = Environment.CpuUsage.TotalTime;
            Pass();
            seconds.Add((Environment.CpuUsage.TotalTime - before).TotalSeconds);
        }

        seconds.Sort();
        return string.Create(CultureInfo.InvariantCulture, $$"""{"raw":{{RawBytes}},"stored":{{stored}},"seconds":{{seconds[seconds.Count / 2]:F4}}}""");
    }

    private long Pass()
    {
        var stored = 0L;
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        foreach (var (gzip, rawBytes) in _documents)
        {
            var raw = _raw.AsSpan(0, rawBytes);
            using (var inflater = new GZipStream(new MemoryStream(gzip), CompressionMode.Decompress))
            {
                inflater.ReadExactly(raw);
            }

            Benchmark.Scan(raw);
            SHA256.HashData(raw, hash);
            stored += _compressor.Wrap(raw, _stored);
        }

        return stored;
    }
}
