namespace NpmMirror.Conformance;

/// <summary>The clock of due times and expiries; it moves only on command. Timers run in real time.</summary>
public sealed class ContractClock : TimeProvider
{
    private DateTimeOffset _now = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => _now;

    /// <summary>Moves the clock; back where it is less than zero, as one that was ahead is set right.</summary>
    public void Advance(TimeSpan by) => _now += by;
}
