using System.Text;
using NpmMirror.Tests.Packuments;

namespace NpmMirror.Tests.Feeds;

public sealed class FeedFuzzTests(ITestOutputHelper output)
{
    private const int Inputs = 5_000;

    [Trait("Duration", "long")]
    [Fact]
    public async Task A_feed_is_read_alike_however_it_is_cut_or_is_refused()
    {
        var seed = FuzzSeed.Next(output);
        var mutator = FeedProperties.CreateMutator();
        var accepted = 0;
        for (var i = 0; i < Inputs; i++)
        {
            var random = new Random(seed + i);
            var (_, _, page) = mutator.Next(random);
            try
            {
                accepted += await FeedProperties.HoldAsync(page, random) ? 1 : 0;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"{FuzzSeed.Variable}={seed + i} (input {i}): {Encoding.UTF8.GetString(page.AsSpan(0, Math.Min(page.Length, 4_000)))}", e);
            }
        }

        output.WriteLine($"{Inputs:N0} pages, {accepted:N0} accepted");
        Assert.InRange(accepted, Inputs / 8, Inputs);
    }
}
