using System.Text;
using System.Text.Json;
using NpmMirror.Log;

namespace NpmMirror.Tests.Chain;

/// <summary>The chain against hashes that another program computed from the documented layout.</summary>
public sealed class ChainHashTests
{
    private static readonly string Golden = Path.Combine(AppContext.BaseDirectory, "Fixtures", "chain-vectors.json");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("The chain's hashes equal those that another program computes from the documented layout, and change with every field",
        With = [nameof(Changes_with_every_field_of_a_row), nameof(The_expected_hashes_are_those_of_the_other_program)],
        Red = "`ChainHash.Next` leaves out the upstream's rev, or writes a missing date as 1970")]
    [Fact]
    public async Task Gives_the_hashes_that_another_program_computed()
    {
        var previous = ChainHash.Genesis;
        var position = LogPosition.Zero;
        foreach (var vector in await ReadVectorsAsync())
        {
            var pending = new PendingEvent { Ordinal = vector.Ordinal, Type = vector.Type, At = vector.At, SeenAt = vector.SeenAt, UpstreamRev = vector.Rev, Payload = Encoding.UTF8.GetBytes(vector.Payload) };
            var row = ChainHash.Append(position, previous, PackageName.Parse(vector.Package), vector.Generation, pending);
            Assert.Equal((vector.Position, vector.Hash), (row.Position.Value, row.Hash.Hex));

            // A purged payload leaves the link as it was, and the hash that a row carries does not count.
            Assert.Equal(row.Hash, ChainHash.Next(previous, row with { Payload = null, Hash = default }));
            (position, previous) = (row.Position, row.Hash);
        }
    }

    [Fact]
    public async Task Changes_with_every_field_of_a_row()
    {
        var vector = (await ReadVectorsAsync())[0];
        var pending = new PendingEvent { Ordinal = vector.Ordinal, Type = vector.Type, At = vector.At, SeenAt = vector.SeenAt, UpstreamRev = vector.Rev, Payload = Encoding.UTF8.GetBytes(vector.Payload) };
        var row = ChainHash.Append(LogPosition.Zero, ChainHash.Genesis, PackageName.Parse(vector.Package), vector.Generation, pending);
        LogRow[] changed =
        [
            row with { Position = new LogPosition(2) },
            row with { Package = PackageName.Parse("left-paD") },
            row with { Generation = 2 },
            row with { Ordinal = 1 },
            row with { Type = "VersionRemoved" },
            row with { At = null },
            row with { At = DateTimeOffset.UnixEpoch },
            row with { SeenAt = row.SeenAt.AddMilliseconds(1) },
            row with { UpstreamRev = null },
            row with { UpstreamRev = "" },
            row with { PayloadSha256 = Digest.OfSha256([]) },
        ];
        var hashes = changed.Select(other => ChainHash.Next(ChainHash.Genesis, other)).Append(row.Hash).Append(ChainHash.Next(row.Hash, row)).ToHashSet();
        Assert.Equal(changed.Length + 2, hashes.Count);
    }

    [Fact]
    public async Task The_expected_hashes_are_those_of_the_other_program()
    {
        Assert.SkipUnless(TestTools.Has("node"), TestTools.Missing("node"));
        var script = Path.Combine(AppContext.BaseDirectory, "Chain", "chain-vectors.mjs");
        var run = await TestProcess.RunAsync([.. TestTools.Command("node"), script], AppContext.BaseDirectory, new Dictionary<string, string>(), TimeSpan.FromSeconds(60), Token);
        Assert.Equal((await File.ReadAllTextAsync(Golden, Token)).TrimEnd(), run.Output.TrimEnd());
    }

    private static async Task<List<Vector>> ReadVectorsAsync()
    {
        await using var file = File.OpenRead(Golden);
        var vectors = (await JsonSerializer.DeserializeAsync<List<Vector>>(file, JsonSerializerOptions.Web, Token))!;
        Assert.True(vectors.Count > 10);
        return vectors;
    }

    private sealed record Vector(string Package, long Generation, int Ordinal, string Type, DateTimeOffset? At, DateTimeOffset SeenAt, string? Rev, string Payload, long Position, string Hash);
}
