using System.Text.Json;
using System.Text.Json.Serialization;

namespace NpmMirror.Following;

/// <summary>
/// The trail of a follower, as one small text: where its cursor stood at which time, the rows read last, the windows read again, and the late rows.
/// </summary>
internal sealed class FeedTrail
{
    private readonly Dictionary<TimeSpan, DateTimeOffset> _readAgain;

    private FeedTrail(Kept kept)
    {
        Landmarks = new Landmarks((kept.Rows ?? []).Select(row => new Landmark(row.Seq, row.Id, row.Rev)), kept.Log is { } log ? new LogMark(log.Position, log.Hash) : null);
        Cursor = new CursorTrail((kept.Marks ?? []).Where(mark => IsMoment(mark.At) && mark.Seq is not null).Select(mark => new TrailMark(DateTimeOffset.FromUnixTimeMilliseconds(mark.At), new Sequence(mark.Seq))));
        _readAgain = (kept.ReadAgain ?? []).Where(window => IsMoment(window.Value)).ToDictionary(window => TimeSpan.FromSeconds(window.Key), window => DateTimeOffset.FromUnixTimeMilliseconds(window.Value));
        State = kept.State ?? new FollowingState();
    }

    internal CursorTrail Cursor { get; }

    internal Landmarks Landmarks { get; }

    internal FollowingState State { get; private set; }

    // Values that another program wrote are ignored.
    private static bool IsMoment(long ms) => ms >= DateTimeOffset.MinValue.ToUnixTimeMilliseconds() && ms <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    /// <summary>Reads a kept text; an absent or malformed one begins a new trail.</summary>
    internal static FeedTrail Parse(string? text) => new(FeedTrailJson.Read(text));

    /// <summary>
    /// The trail of a follower that begins at a noted head: rows may still appear this many sequences before it, so the longest window begins there.
    /// </summary>
    internal static string? Seeded(Sequence head, long lateSequences, TimeSpan longest, DateTimeOffset now)
    {
        if (lateSequences == 0 || head.Number is not { } number)
        {
            return null;
        }

        var trail = Parse(null);
        trail.Cursor.Note(now - longest, new Sequence($"{Math.Max(0, number - lateSequences)}"), now - longest);
        return trail.ToText();
    }

    internal DateTimeOffset? ReadAgainAt(TimeSpan window) => _readAgain.TryGetValue(window, out var at) ? at : null;

    internal void NoteReadAgain(TimeSpan window, DateTimeOffset at) => _readAgain[window] = at;

    /// <summary>Notes rows that came before the cursor, and how late the latest of them was.</summary>
    internal void NoteLate(int rows, TimeSpan? by, DateTimeOffset now) => State = State with
    {
        LateRows = State.LateRows + rows,
        LastLateAt = now,
        LongestLate = by > (State.LongestLate ?? TimeSpan.Zero) ? by : State.LongestLate,
    };

    internal void NoteAtHead(DateTimeOffset now, Sequence head) => State = State with { AtHeadAt = now, Head = head.Text };

    internal void NoteHead(Sequence head) => State = State with { Head = head.Text };

    internal string ToText()
    {
        var kept = new Kept(
            [.. Cursor.Marks.Select(mark => new KeptMark(mark.At.ToUnixTimeMilliseconds(), mark.Sequence.Text))],
            _readAgain.ToDictionary(window => (long)window.Key.TotalSeconds, window => window.Value.ToUnixTimeMilliseconds()),
            State,
            [.. Landmarks.All.Select(mark => new KeptRow(mark.Number, mark.Id, mark.Rev))],
            Landmarks.Log is { } log ? new KeptLog(log.Position, log.Hash) : null);
        return JsonSerializer.Serialize(kept, FeedTrailJson.Default.Kept);
    }

    internal sealed record Kept(IReadOnlyList<KeptMark>? Marks, Dictionary<long, long>? ReadAgain, FollowingState? State, IReadOnlyList<KeptRow>? Rows, KeptLog? Log);

    internal sealed record KeptMark(long At, string Seq);

    internal sealed record KeptRow(long Seq, string Id, string? Rev);

    internal sealed record KeptLog(long Position, string Hash);
}

/// <summary>How following goes, for <c>status</c>.</summary>
public sealed record FollowingState
{
    /// <summary>When the follower last stood at the feed's head with everything before it handled.</summary>
    public DateTimeOffset? AtHeadAt { get; init; }

    /// <summary>The feed's head as last known.</summary>
    public string? Head { get; init; }

    /// <summary>Rows that appeared before the cursor and brought news.</summary>
    public long LateRows { get; init; }

    /// <summary>When the last of them was found.</summary>
    public DateTimeOffset? LastLateAt { get; init; }

    /// <summary>How long after the cursor had passed its place the latest of them was found, as far as the trail tells.</summary>
    public TimeSpan? LongestLate { get; init; }

    /// <summary>Reads it out of the text that a follower keeps.</summary>
    public static FollowingState Parse(string? text) => FeedTrailJson.Read(text).State ?? new FollowingState();
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(FeedTrail.Kept))]
internal sealed partial class FeedTrailJson : JsonSerializerContext
{
    private static readonly FeedTrail.Kept Nothing = new(null, null, null, null, null);

    internal static FeedTrail.Kept Read(string? text)
    {
        try
        {
            return text is null ? Nothing : JsonSerializer.Deserialize(text, Default.Kept) ?? Nothing;
        }
        catch (JsonException)
        {
            // Without it windows begin anew; nothing else depends on it.
            return Nothing;
        }
    }
}
