using System.Diagnostics;
using System.Text;

namespace NpmMirror.Tests.Packuments;

[Trait("Duration", "long")]
public sealed class FuzzTests(ITestOutputHelper output)
{
    private const int Inputs = 100_000;

    [Claim("Any document of an upstream is served as sent or refused; the earlier one stays served, to the byte",
        With =
        [
            nameof(Depth_1000_is_accepted_and_1001_refused),
            $"{nameof(Feeds.FeedFuzzTests)}.{nameof(Feeds.FeedFuzzTests.A_feed_is_read_alike_however_it_is_cut_or_is_refused)}",
            $"{nameof(Syncing.SyncFuzzTests)}.{nameof(Syncing.SyncFuzzTests.A_document_that_is_refused_leaves_the_one_before_it_byte_for_byte)}",
        ],
        Red = "`JsonText.DepthMax` of 1,200: the first two were red; a refused document is committed all the same: the last was red")]
    [Fact]
    public void An_upstreams_bytes_are_served_as_sent_or_refused()
    {
        var seed = FuzzSeed.Next(output);
        var mutator = new PackumentMutator(Fixture.All());
        var accepted = 0;
        var clock = Stopwatch.StartNew();
        Parallel.For(0, Inputs, i =>
        {
            var (name, original, document) = mutator.Next(new Random(seed + i));
            try
            {
                if (PackumentProperties.Hold(name, original, document))
                {
                    Interlocked.Increment(ref accepted);
                }
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"{FuzzSeed.Variable}={seed + i} (input {i}) of {name}: {Excerpt(document)}", e);
            }
        });
        output.WriteLine($"seed {seed}: {Inputs:N0} inputs in {clock.Elapsed.TotalSeconds:F1} s, {accepted:N0} accepted");
        Assert.InRange(accepted, Inputs / 4, Inputs);
    }

    [Theory]
    [InlineData("[", "]")]
    [InlineData("{\"a\":", "}")]
    public void Depth_1000_is_accepted_and_1001_refused(string open, string close)
    {
        Assert.True(Hold(Nested(999)));
        Assert.False(Hold(Nested(1_000)));

        string Nested(int depth) =>
            "{\"name\":\"deep\",\"x\":" + string.Concat(Enumerable.Repeat(open, depth)) + (close == "}" ? "1" : "") + string.Concat(Enumerable.Repeat(close, depth)) + "}";

        static bool Hold(string document) => PackumentProperties.Hold(PackageName.Parse("deep"), "{}"u8.ToArray(), Encoding.UTF8.GetBytes(document));
    }

    private static string Excerpt(byte[] document) => Encoding.UTF8.GetString(document.AsSpan(0, Math.Min(document.Length, 4_000)));
}
