using System.Text;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

/// <summary>Bodies of 200 MB, as large as any that is accepted, made to be as slow or as hungry as possible.</summary>
[Trait("Duration", "long")]
public sealed class LargeBodyTests(ITestOutputHelper output)
{
    private const int SizeBytes = 200_000_000;

    [Claim("A body of 200 MB, made to be as slow or as large in memory as possible, costs time and memory in proportion to its length",
        Red = "`JsonMembers.Check` does not count the members: bodies of a million members were taken")]
    [Theory]
    [InlineData("a text", "{\"versions\":{\"1.0.0\":{\"readme\":\"", "x", "\"}}}", true)]
    [InlineData("escapes", "{\"readme\":\"", "\\ud800\\\"", "\"}", true)]
    [InlineData("bytes that are no UTF-8", "{\"name\":\"", "\u00ff\u00c3", "\"}", false)]
    [InlineData("blanks", "{", " \n", "}", true)]
    [InlineData("numbers", "{\"x\":[1", ",1", "]}", true)]
    [InlineData("nesting", "{\"x\":[[]", ",[[{}]]", "]}", true)]
    [InlineData("members of a manifest", "{\"versions\":{\"1.0.0\":{\"a\":1", ",\"a\":1", "}}}", false)]
    [InlineData("members of dist", "{\"versions\":{\"1.0.0\":{\"dist\":{\"a\":1", ",\"tarball\":\"\"", "}}}}", true)]
    [InlineData("one version again and again", "{\"versions\":{\"1\":{}", ",\"1\":{}", "}}", false)]
    [InlineData("one broken version again and again", "{\"versions\":{\"1\":{}", ",\"1\":0", "}}", false)]
    [InlineData("all versions again and again", "{\"versions\":{}", ",\"versions\":{\"1\":{}}", "}", false)]
    [InlineData("the name of a version", "{\"versions\":{\"", "\u00ff\u00c3", "\":{}}}", false)]
    [InlineData("one top-level member again and again", "{\"x\":1", ",\"x\":1", "}", false)]
    [InlineData("one time again and again", "{\"time\":{\"1\":1", ",\"1\":\"2011-01-01\"", "}}", false)]
    [InlineData("keywords", "{\"keywords\":[\"\"", ",\"\"", "]}", true)]
    [InlineData("maintainers", "{\"maintainers\":[{}", ",{}", "]}", true)]
    [InlineData("a rev", "{\"_rev\":\"", "\u00ff\u00c3", "\"}", true)]
    [InlineData("an integrity", "{\"versions\":{\"1\":{\"dist\":{\"integrity\":\"", "\u00ff\u00c3", "\"}}}}", true)]
    [InlineData("a tarball's URL", "{\"versions\":{\"1\":{\"dist\":{\"tarball\":\"", "\u00ff\\\\", "\"}}}}", true)]
    [InlineData("tags", "{\"dist-tags\":{\"a\":\"\"", ",\"a\":\"\"", "}}", false)]
    public void Two_hundred_megabytes_cost_time_and_memory_in_proportion(string of, string start, string filling, string end, bool isAccepted)
    {
        var document = Document(Encoding.Latin1.GetBytes(start), Encoding.Latin1.GetBytes(filling), Encoding.Latin1.GetBytes(end));
        var control = Scan(document);
        var before = ProcessorTime.OfThread();
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(isAccepted, IsServed(document));
        var took = ProcessorTime.OfThread() - before;
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        output.WriteLine($"{of}: {took.TotalSeconds:F2} s, a bare reader {control.TotalSeconds:F2} s; {allocated / 1e6:N0} MB allocated");

        // No measure of speed: a reader that looks back at earlier bytes, at each member, takes hundreds of times as long here. If a plain reader
        // only looks for the end of a text, it is faster than memory can be read twice; a busy machine makes any difference of such a time.
        Assert.InRange(took.TotalSeconds, 0, Math.Max(control.TotalSeconds, 0.1) * 20);
        Assert.InRange(allocated, 0, 2L * SizeBytes);
    }

    private static bool IsServed(byte[] document)
    {
        try
        {
            var name = PackageName.Parse("a");
            var index = PackumentReader.Read(document, name).Index;
            index.ToBytes();
            foreach (var version in index.Versions)
            {
                Manifest.TarballUrl(version, document);
                TarballUrls.FindVersion(index, document, name, "x.tgz");
            }

            return true;
        }
        catch (MirrorException e)
        {
            Assert.Equal(MirrorFault.UpstreamMalformed, e.Fault);
            return false;
        }
    }

    private static TimeSpan Scan(byte[] document)
    {
        var before = ProcessorTime.OfThread();
        var reader = new System.Text.Json.Utf8JsonReader(document);
        while (reader.Read())
        {
        }

        return ProcessorTime.OfThread() - before;
    }

    private static byte[] Document(byte[] start, byte[] filling, byte[] end)
    {
        var document = new byte[start.Length + ((SizeBytes - start.Length - end.Length) / filling.Length * filling.Length) + end.Length];
        start.CopyTo(document, 0);
        var filled = document.AsSpan(start.Length..^end.Length);
        filling.CopyTo(filled);
        for (var length = filling.Length; length < filled.Length; length *= 2)
        {
            filled[..Math.Min(length, filled.Length - length)].CopyTo(filled[length..]);
        }

        end.CopyTo(document, document.Length - end.Length);
        return document;
    }
}
