using NpmMirror.Options;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

/// <summary>The kind of a world.</summary>
/// <param name="Dialect">The feed's dialect.</param>
/// <param name="Mode">How it is read.</param>
/// <param name="Sequences">How it writes its sequences.</param>
/// <param name="HasList">Whether everything is compared with the upstream's list every day; if not, nothing is lost, only late.</param>
/// <param name="Nodes">How many mirrors share the store. One of several follows; which one changes all the time, because the clock leaps past leases.</param>
internal sealed record WorldKind(FakeFeedDialect Dialect, FeedMode Mode, FakeSequenceStyle Sequences, bool HasList, int Nodes)
{
    /// <summary>
    /// Two of five worlds have npm's feed, with its faults, with the list that corrects them and without it; the others a CouchDB that is waited
    /// for in each way. Each second world has three nodes. The rest is drawn.
    /// </summary>
    internal static WorldKind Draw(int round, int seed)
    {
        // Reproducible on purpose: not for secrets.
#pragma warning disable CA5394
        var random = new Random(seed);
        var style = (FakeSequenceStyle)random.Next(3);
        var hasList = random.Next(2) == 0;
        var nodes = round % 2 == 0 ? 1 : 3;
        return (round % 5) switch
        {
            0 => new WorldKind(FakeFeedDialect.NpmPaged, FeedMode.Poll, FakeSequenceStyle.Number, HasList: true, nodes),
            1 => new WorldKind(FakeFeedDialect.CouchDb, FeedMode.Longpoll, style, HasList: false, nodes),
            2 => new WorldKind(FakeFeedDialect.CouchDb, FeedMode.Continuous, round == 2 ? (FakeSequenceStyle)random.Next(1, 3) : style, HasList: true, nodes),
            3 => new WorldKind(FakeFeedDialect.NpmPaged, FeedMode.Poll, FakeSequenceStyle.Number, HasList: false, nodes),
            _ => new WorldKind(FakeFeedDialect.CouchDb, (FeedMode)random.Next(3), style, hasList, nodes),
        };
#pragma warning restore CA5394
    }
}
