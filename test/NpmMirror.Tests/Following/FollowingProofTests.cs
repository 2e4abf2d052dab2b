using System.Globalization;
using NpmMirror.Tests.Packuments;

namespace NpmMirror.Tests.Following;

/// <summary>
/// Hundreds of simulated hours against a hostile upstream, of one mirror and of three on one store, with crashes between any two writes: a quiet time later the mirror is the upstream, and
/// on the way no cursor was ahead of the work. <c>NPM_MIRROR_SIMULATED_HOURS=10000</c> for a long run.
/// </summary>
public sealed class FollowingProofTests(ITestOutputHelper output)
{
    private const string Variable = "NPM_MIRROR_SIMULATED_HOURS";

    private const int HoursForAll = 200;

    [Claim("Hundreds of simulated hours against a hostile upstream, of one mirror and of three nodes on one store, with crashes between any two writes: after a quiet time documents, removals and tags are the upstream's, each change is in the log once and in order, and `handled` was never ahead; a night of 404 and a short list remove nothing (never-again 10–16)",
        Red = "trailing windows that go back from the present instead of from when they were read last: a row that was late by most of a day was missing for ever; a process that dies between `read` and `handled` leaves the latter as it was until the next change")]
    [Trait("Duration", "long")]
    [Fact(Timeout = 3_600_000)]
    public async Task Loses_nothing_in_hundreds_of_hostile_hours()
    {
        var hours = int.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : HoursForAll;
        var seed = FuzzSeed.Next(output);
        var counts = new WorldCounts();
        for (var round = 0; counts.Hours < hours; round++)
        {
            var kind = WorldKind.Draw(round, seed + round);
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
        Assert.True(counts.Hours >= hours && counts.HandledChecks > hours, $"Too little happened: {counts}");
        if (hours < HoursForAll)
        {
            // One world of a short run need not bring everything about.
            return;
        }

        Assert.True(counts.Crashes > hours / 20 && counts.LateRows > hours / 8 && counts.LostRows > hours / 200 && counts.LostDeletions > hours / 1000, $"Too little happened: {counts}");
        Assert.True(counts.BadNights > 0 && counts.HalfNights > 0 && counts.ShortLists > 0 && counts.Resets > counts.ResetsWithoutList && counts.ResetsWithoutList > hours / 100, $"Too little happened: {counts}");
        Assert.True(counts.OpaqueHours > hours / 8 && counts.SharedHours > hours / 4 && counts.HandOvers > hours && counts.HoursOf.Values.All(of => of > hours / 8), $"Too little happened: {counts}");
    }
}
