using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace NpmMirror.ScaleBenchmarks;

/// <summary>What is measured of a mirror that serves a folder.</summary>
internal sealed class ServedMirror(string program, string folder, SyntheticRegistry registry, string upstream)
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    /// <summary>From the start of the process to the whole of the first packument; the process ends again.</summary>
    internal async Task<TimeSpan> StartAsync(int package)
    {
        using var client = new HttpClient();
        var clock = Stopwatch.StartNew();
        await using var mirror = Launch([]);
        var address = await AddressAsync(mirror);
        var body = await client.GetStringAsync(new Uri(address + Escape(registry.NameOf(package))));
        var elapsed = clock.Elapsed;
        SyntheticStore.Require(body.Contains(registry.RevOf(package, 1), StringComparison.Ordinal));
        return elapsed;
    }

    /// <summary>The memory after it has followed its upstream for some seconds with nothing to do, and the most until then.</summary>
    internal async Task<(long ResidentBytes, long PeakBytes)> IdleAsync()
    {
        await using var mirror = Launch([]);
        await AddressAsync(mirror);
        await Task.Delay(TimeSpan.FromSeconds(15), TimeProvider.System);
        SyntheticStore.Require(!mirror.HasExited);
        return (mirror.ResidentBytes, mirror.PeakBytes);
    }

    /// <summary>Random packuments a second, by wrk over 16 connections; and the most memory meanwhile.</summary>
    /// <param name="lua">The script that asks.</param>
    /// <param name="names">The file of names it picks from.</param>
    /// <param name="seconds">How long.</param>
    /// <param name="options">Further options of the mirror.</param>
    internal async Task<(double PerSecond, long PeakBytes)> DriveAsync(string lua, string names, int seconds, params string[] options)
    {
        await using var mirror = Launch(options);
        var address = await AddressAsync(mirror);
        await WrkAsync(address, lua, names, 3);
        var perSecond = await WrkAsync(address, lua, names, seconds);
        return (perSecond, mirror.PeakBytes);
    }

    /// <summary>Ids a second of <c>_all_docs</c>, page by page; each page is checked for order, and the whole for completeness.</summary>
    internal async Task<double> ListAsync()
    {
        const int PageRows = 10_000;
        await using var mirror = Launch([]);
        var address = await AddressAsync(mirror);
        using var client = new HttpClient();
        var best = 0.0;
        for (var pass = 0; pass < 2; pass++)
        {
            var (ids, last) = (0, Array.Empty<byte>());
            var clock = Stopwatch.StartNew();
            for (var isLast = false; !isLast;)
            {
                var key = ids == 0 ? "" : $"&startkey={Uri.EscapeDataString(JsonSerializer.Serialize(Encoding.UTF8.GetString(last)))}";
                var page = await client.GetByteArrayAsync(new Uri($"{address}_all_docs?limit={PageRows}{key}"));
                var rows = ReadPage(page, ids > 0, ref last);
                ids += rows;
                isLast = rows < PageRows - 1;
            }

            SyntheticStore.Require(ids == registry.Packages);
            best = Math.Max(best, ids / clock.Elapsed.TotalSeconds);
        }

        return best;
    }

    private static int ReadPage(byte[] page, bool skipsFirst, ref byte[] last)
    {
        var reader = new Utf8JsonReader(page);
        var rows = 0;
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals("id"u8))
            {
                reader.Read();
                if (skipsFirst)
                {
                    skipsFirst = false;
                    SyntheticStore.Require(reader.ValueSpan.SequenceEqual(last));
                    continue;
                }

                SyntheticStore.Require(last.AsSpan().SequenceCompareTo(reader.ValueSpan) < 0);
                last = reader.ValueSpan.ToArray();
                rows++;
            }
        }

        return rows;
    }

    private static async Task<double> WrkAsync(string address, string lua, string names, int seconds)
    {
        await using var wrk = ChildProcess.Start("wrk", "-t1", "-c16", string.Create(CultureInfo.InvariantCulture, $"-d{seconds}s"), "-s", lua, address, "--", names);
        await wrk.WaitAsync(TimeSpan.FromSeconds(seconds) + Longest);
        var lines = wrk.Output.Split('\n');
        SyntheticStore.Require(!lines.Any(line => line.Contains("Non-2xx", StringComparison.Ordinal) || line.Contains("Socket errors", StringComparison.Ordinal)));
        return double.Parse(lines.Single(line => line.StartsWith("Requests/sec:", StringComparison.Ordinal)).Split(':')[1], CultureInfo.InvariantCulture);
    }

    private static string Escape(string name) => name.Replace("/", "%2f", StringComparison.Ordinal);

    private ChildProcess Launch(string[] options) =>
        ChildProcess.StartMirror(program, ["serve", $"--data={folder}", $"--upstream={upstream}/", "--metadata=all", "--listen=http://127.0.0.1:0", .. options]);

    private static async Task<string> AddressAsync(ChildProcess mirror) => (await mirror.WaitForLineAsync("Serving ", Longest)).Split(' ')[1];
}
