using System.Globalization;
using NpmMirror.Options;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

/// <summary>The events of simulated worlds, added up.</summary>
internal sealed class WorldCounts
{
    internal double Hours { get; private set; }

    /// <summary>Hours by how the feed was read.</summary>
    internal Dictionary<FeedMode, double> HoursOf { get; } = Enum.GetValues<FeedMode>().ToDictionary(mode => mode, _ => 0.0);

    /// <summary>Hours with sequences that are no numbers.</summary>
    internal double OpaqueHours { get; private set; }

    /// <summary>Hours with several nodes.</summary>
    internal double SharedHours { get; private set; }

    /// <summary>How often another node took over.</summary>
    internal long HandOvers { get; set; }

    internal long Crashes { get; set; }

    internal long Changes { get; set; }

    internal long Removals { get; set; }

    internal long LateRows { get; set; }

    internal long LostRows { get; set; }

    internal long LostDeletions { get; set; }

    internal long Troubles { get; set; }

    internal long Resets { get; private set; }

    /// <summary>Those that only the follower could find.</summary>
    internal long ResetsWithoutList { get; private set; }

    internal long BadNights { get; set; }

    internal long HalfNights { get; set; }

    internal long ShortLists { get; set; }

    internal long HandledChecks { get; set; }

    internal long Events { get; set; }

    /// <summary>The hours of a world.</summary>
    internal void Add(WorldKind kind, double hours)
    {
        Hours += hours;
        HoursOf[kind.Mode] += hours;
        SharedHours += kind.Nodes > 1 ? hours : 0;
        OpaqueHours += kind.Sequences == FakeSequenceStyle.Number ? 0 : hours;
    }

    /// <summary>A reset or a jump.</summary>
    internal void Add(WorldKind kind)
    {
        Resets++;
        ResetsWithoutList += kind.HasList ? 0 : 1;
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Hours:N0} hours ({string.Join(", ", HoursOf.Select(of => string.Create(CultureInfo.InvariantCulture, $"{of.Key} {of.Value:N0}")))}; {OpaqueHours:N0} of opaque sequences; {SharedHours:N0} of several nodes), {HandOvers:N0} hand-overs, {Crashes:N0} crashes, {Changes:N0} changes, {Removals:N0} removals, {LateRows:N0} late rows, {LostRows:N0} lost rows, {LostDeletions:N0} lost deletions, {Troubles:N0} requests that went wrong, {Resets:N0} resets and jumps ({ResetsWithoutList:N0} without a list), {BadNights:N0} bad nights, {HalfNights:N0} half nights, {ShortLists:N0} short lists; {HandledChecks:N0} times the cursor was compared, {Events:N0} events in order");
}
