using NpmMirror.Options;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

/// <summary>The kind of a world.</summary>
/// <param name="Dialect">The feed's dialect.</param>
/// <param name="Mode">How it is read.</param>
/// <param name="Sequences">How it writes its sequences.</param>
/// <param name="HasList">Whether everything is compared with the upstream's list every day; if not, nothing is lost, only late.</param>
internal sealed record WorldKind(FakeFeedDialect Dialect, FeedMode Mode, FakeSequenceStyle Sequences, bool HasList)
{
    /// <summary>
    /// Two of five worlds have npm's feed, with its faults, with the list that corrects them and without it; the others a CouchDB that is waited
    /// for in each way. The rest is drawn.
    /// </summary>
    internal static WorldKind Draw(int round, int seed)
    {
        // Reproducible on purpose: not for secrets.
#pragma warning disable CA5394
        var random = new Random(seed);
        var style = (FakeSequenceStyle)random.Next(3);
        var hasList = random.Next(2) == 0;
        return (round % 5) switch
        {
            0 => new WorldKind(FakeFeedDialect.NpmPaged, FeedMode.Poll, FakeSequenceStyle.Number, HasList: true),
            1 => new WorldKind(FakeFeedDialect.CouchDb, FeedMode.Longpoll, style, HasList: false),
            2 => new WorldKind(FakeFeedDialect.CouchDb, FeedMode.Continuous, round == 2 ? (FakeSequenceStyle)random.Next(1, 3) : style, HasList: true),
            3 => new WorldKind(FakeFeedDialect.NpmPaged, FeedMode.Poll, FakeSequenceStyle.Number, HasList: false),
            _ => new WorldKind(FakeFeedDialect.CouchDb, (FeedMode)random.Next(3), style, hasList),
        };
#pragma warning restore CA5394
    }
}
