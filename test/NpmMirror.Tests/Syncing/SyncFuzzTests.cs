using NpmMirror.Syncing;
using NpmMirror.Tests.Packuments;

namespace NpmMirror.Tests.Syncing;

public sealed class SyncFuzzTests(ITestOutputHelper output)
{
    private const int Inputs = 1_500;

    [Fact]
    public async Task A_document_that_is_refused_leaves_the_one_before_it_byte_for_byte()
    {
        var seed = FuzzSeed.Next(output);
        var mutator = new PackumentMutator(Fixture.All().Where(package => package.Document.Length < 20_000 && package.Name.Value != "unpublished"));
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Knobs.HasRevision = false;
        var held = new Dictionary<string, byte[]>();
        int stored = 0, refused = 0;
        for (var i = 0; i < Inputs; i++)
        {
            var (name, original, document) = mutator.Next(new Random(seed + i));
            if (held.TryAdd(name.Value, original))
            {
                bench.Upstream.PutDocument(name.Value, original);
                await bench.SyncAsync(name.Value);
            }

            bench.Upstream.PutDocument(name.Value, document);
            try
            {
                if (await bench.SyncAsync(name.Value) is SyncResult.Stored)
                {
                    held[name.Value] = document;
                    stored++;
                }
            }
            catch (MirrorException)
            {
                refused++;
            }

            // A package that says that it is gone is in the graveyard, with its earlier document.
            var served = await bench.DocumentAsync(name.Value);
            Assert.True(served.AsSpan().SequenceEqual(held[name.Value]), $"{FuzzSeed.Variable}={seed + i}: what is held of {name} is what was sent last and accepted; held {Text(served)}, sent {Text(held[name.Value])}");
        }

        output.WriteLine($"{Inputs:N0} documents, {stored:N0} stored, {refused:N0} refused");
        Assert.True(stored > Inputs / 4 && refused > Inputs / 20, "both happen");
    }

    private static string Text(byte[] document) => System.Text.Encoding.UTF8.GetString(document.AsSpan(0, Math.Min(document.Length, 1_000)));
}
