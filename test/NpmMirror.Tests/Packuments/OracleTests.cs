using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

/// <summary>Our reading of a packument against that of the engine that clients run: <c>JSON.parse</c> in node, which knows nothing of this code.</summary>
public sealed class OracleTests(ITestOutputHelper output)
{
    private const string BaseUrl = "https://mirror.example.org/npm";

    [Claim("Odd packuments mean the same to us as to JavaScript (compatibility D6)",
        With =
        [
            nameof(Mutated_packuments_are_read_as_JavaScript_reads_them),
            $"{nameof(PackumentReaderTests)}.{nameof(PackumentReaderTests.The_last_of_equal_keys_counts_on_every_level)}",
            $"{nameof(PackumentReaderTests)}.{nameof(PackumentReaderTests.Escaped_keys_are_the_same_keys)}",
            $"{nameof(PackumentReaderTests)}.{nameof(PackumentReaderTests.Half_a_surrogate_pair_stays_half_a_pair)}",
            $"{nameof(PackumentReaderTests)}.{nameof(PackumentReaderTests.Slices_count_the_byte_order_mark)}",
            $"{nameof(PackumentReaderTests)}.{nameof(PackumentReaderTests.Names_of_JavaScript_are_names_like_others)}",
            $"{nameof(PackumentReaderTests)}.{nameof(PackumentReaderTests.Accepts_a_packument_that_lacks_nearly_everything)}",
        ],
        Red = "of two equal versions the first counts: the first three were red")]
    [Fact]
    public void Fixtures_are_read_as_JavaScript_reads_them() =>
        Agree(Fixture.All().Select(package => (package.Name, package.Document, package.Document)));

    [Fact]
    public void Mutated_packuments_are_read_as_JavaScript_reads_them()
    {
        var random = new Random(FuzzSeed.Next(output));
        var mutator = new PackumentMutator(Fixture.All());
        Agree(Enumerable.Range(0, 4_000).Select(_ => mutator.Next(random)));
    }

    private void Agree(IEnumerable<(PackageName Name, byte[] Old, byte[] Document)> cases)
    {
        var file = Path.GetTempFileName();
        try
        {
            using (var stream = File.Create(file))
            {
                foreach (var (name, old, document) in cases)
                {
                    WriteCase(stream, name, old, document);
                }
            }

            var (exitCode, text) = RunNode(Path.Combine(AppContext.BaseDirectory, "Packuments", "oracle.js"), file);
            output.WriteLine(text);
            Assert.True(exitCode == 0, text);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static (int ExitCode, string Output) RunNode(string script, string file)
    {
        using var node = Process.Start(new ProcessStartInfo("node", ["--stack-size=4000", script, file]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = node.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var text = node.StandardOutput.ReadToEnd();
        Assert.True(node.WaitForExit(TimeSpan.FromMinutes(2)), "node answers within two minutes");
        return (node.ExitCode, text + error.GetAwaiter().GetResult());
    }

    private static void WriteCase(Stream stream, PackageName name, byte[] old, byte[] document)
    {
        byte[] view = [], full = [], abbreviated = [];
        try
        {
            var index = PackumentReader.Read(document, name).Index;
            view = ViewOf(index, document, PackumentDiff.Compare(PackumentReader.Read(old, name).Index, old, index, document));
            full = Write(PackumentForm.Full, index, document, name);
            abbreviated = Write(PackumentForm.Abbreviated, index, document, name);
        }
        catch (MirrorException)
        {
            // An empty view says that it was refused.
        }

        Span<byte> length = stackalloc byte[sizeof(uint)];
        foreach (var part in new[] { Encoding.UTF8.GetBytes(name.Value), old, document, view, full, abbreviated })
        {
            BinaryPrimitives.WriteUInt32LittleEndian(length, (uint)part.Length);
            stream.Write(length);
            stream.Write(part);
        }
    }

    private static byte[] Write(PackumentForm form, PackumentIndex index, byte[] document, PackageName name)
    {
        var output = new ArrayBufferWriter<byte>();
        PackumentWriter.Write(form, index, document, name, BaseUrl, output);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] ViewOf(PackumentIndex index, byte[] document, PackumentDiff diff)
    {
        var view = new StringBuilder("{")
            .Append("\"rev\":").Append(Json(index.Rev))
            .Append(",\"created\":").Append(Json(index.CreatedAt))
            .Append(",\"modified\":").Append(Json(index.ModifiedAt))
            .Append(",\"tags\":").Append(List(Sorted(index.DistTags, tag => tag.Key).Select(tag => List([Json(tag.Key), Json(tag.Value)]))))
            .Append(",\"versions\":").Append(List(Sorted(index.Versions, version => version.Version).Select(version => Json(version, document))))
            .Append(",\"isUnpublished\":").Append(Json(index.IsUnpublished))
            .Append(",\"isSecurityHolder\":").Append(Json(index.IsSecurityHolder))
            .Append(",\"diff\":{\"added\":").Append(Names(diff.Added.Select(version => version.Version)))
            .Append(",\"removed\":").Append(Names(diff.Removed.Select(version => version.Version)))
            .Append(",\"changed\":").Append(List(Sorted(diff.Changed, change => change.Version).Select(change => List([Json(change.Version), Names(change.Members.Select(member => member.Name))]))))
            .Append(",\"tags\":").Append(Names(diff.Tags.Select(tag => tag.Tag)))
            .Append(",\"areMaintainersChanged\":").Append(Json(diff.AreMaintainersChanged))
            .Append(",\"members\":").Append(Names(diff.Members.Select(member => member.Name)))
            .Append("}}");
        return Encoding.UTF8.GetBytes(view.ToString());
    }

    private static string Json(VersionEntry version, byte[] document)
    {
        var promise = Manifest.Promise(version, document);
        return List([Json(version.Version), Json(Manifest.TarballUrl(version, document)), Json(Manifest.AttestationsUrl(version, document)), Json(version.PublishedAt), Json(promise.Integrity), Json(promise.Shasum)]);
    }

    private static IEnumerable<T> Sorted<T>(IEnumerable<T> items, Func<T, string> key) => items.OrderBy(key, StringComparer.Ordinal);

    private static string Names(IEnumerable<string> names) => List(Sorted(names, name => name).Select(Json));

    private static string List(IEnumerable<string> items) => "[" + string.Join(',', items) + "]";

    private static string Json(bool value) => value ? "true" : "false";

    private static string Json(DateTimeOffset? date) =>
        date is { } known ? Math.Floor((known.UtcTicks - DateTimeOffset.UnixEpoch.Ticks) / (double)TimeSpan.TicksPerMillisecond).ToString("F0", CultureInfo.InvariantCulture) : "null";

    // Escaped letter by letter: no writer of .NET's passes half a surrogate pair on.
    private static string Json(string? text) =>
        text is null ? "null" : "\"" + string.Concat(text.Select(c => "\\u" + ((int)c).ToString("x4", CultureInfo.InvariantCulture))) + "\"";
}
