using System.Globalization;
using NpmMirror.Testing;
using NpmMirror.Tests.Packuments;

namespace NpmMirror.Tests.Following;

/// <summary>
/// Hundreds of simulated hours against a hostile upstream, with crashes between any two writes: a quiet time later the mirror is the upstream, and
/// on the way no cursor was ahead of what was done. <c>NPM_MIRROR_SIMULATED_HOURS=10000</c> for a long run.
/// </summary>
public sealed class FollowingProofTests(ITestOutputHelper output)
{
    private const string Variable = "NPM_MIRROR_SIMULATED_HOURS";

    [Fact]
    public async Task Loses_nothing_in_hundreds_of_hostile_hours()
    {
        var hours = int.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : 200;
        var seed = FuzzSeed.Next(output);
        var counts = new WorldCounts();
        for (var round = 0; counts.Hours < hours; round++)
        {
            // Mostly the feed that lies, with the list that puts it right, and without it; every fourth world a CouchDB, whose sequences are numbers, texts or lists.
            var kind = (round % 4) switch
            {
                3 => new WorldKind(FakeFeedDialect.CouchDb, (FakeSequenceStyle)((round / 4) % 3), HasList: true),
                var other => new WorldKind(FakeFeedDialect.NpmPaged, FakeSequenceStyle.Number, HasList: other != 1),
            };
            try
            {
                await using var world = await SimulatedWorld.StartAsync(seed + round, kind, counts);
                await world.LiveAsync(TestContext.Current.CancellationToken);
            }
            catch (Exception)
            {
                output.WriteLine($"The world of {FuzzSeed.Variable}={seed + round} ({kind}) went wrong, after {counts}");
                throw;
            }
        }

        output.WriteLine(counts.ToString());
        Assert.True(counts.Hours >= hours, $"{counts}");
        Assert.True(counts.Crashes > hours / 20 && counts.LateRows > hours / 4 && counts.LostRows > hours / 20 && counts.LostDeletions > hours / 40, $"Too little happened: {counts}");
        Assert.True(counts.BadNights > 0 && counts.ShortLists > 0 && counts.Resets > 0 && counts.HandledChecks > hours, $"Too little happened: {counts}");
    }
}
